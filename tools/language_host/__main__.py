"""Serve the language host: print the port, then serve until the engine goes away."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Runs as a folder (`python .../language_host`), from any working directory.
sys.path[0] = str(Path(__file__).resolve().parents[2])

import grpc  # noqa: E402
from pulumi.runtime.proto import language_pb2_grpc  # noqa: E402

from tools.language_host.children import Children  # noqa: E402
from tools.language_host.engine import Engine  # noqa: E402
from tools.language_host.host import LanguageHost  # noqa: E402

THREADS = 64
"""Every Run and every RunPlugin holds a thread for as long as its program lives."""


def main() -> int:
    """Serves until the engine is gone; ends every program that still runs. Returns the exit code."""
    children = Children()
    server = grpc.server(
        ThreadPoolExecutor(max_workers=THREADS),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    positional = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(children, engine=positional[0] if positional else "")
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    watched = Engine()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    watched.wait()
    children.stop_all(told=watched.interrupted)
    server.stop(grace=None)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads of programs that ended badly must not keep the host alive.
    os._exit(code)
