"""Serve the language host: print the port, then serve until the engine goes away.

The engine holds the other end of our standard input for as long as it lives, so the end of that stream is the
one sign of its death that even `kill -9` can't suppress.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

# Runs as a folder (`python .../language_host`), from any working directory.
sys.path[0] = str(Path(__file__).resolve().parents[2])

import grpc  # noqa: E402
from pulumi.runtime.proto import language_pb2_grpc  # noqa: E402

from tools.language_host.children import Children  # noqa: E402
from tools.language_host.host import LanguageHost  # noqa: E402

# Every Run and every RunPlugin holds a thread for as long as its program lives.
THREADS = 64


def main() -> int:
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

    stopped = threading.Event()

    def interrupted(signum: int, frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    threading.Thread(target=_wait_for_engine, args=(stopped,), daemon=True).start()

    print(port, flush=True)
    stopped.wait()
    children.stop_all()
    server.stop(grace=None)
    return 0


def _wait_for_engine(stopped: threading.Event) -> None:
    """Sets `stopped` when the engine's end of standard input closes. A terminal is nobody's engine."""
    if sys.stdin is None or sys.stdin.isatty():
        return
    while os.read(0, 4096):
        pass
    stopped.set()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads of programs that ended badly must not keep the host alive.
    os._exit(code)
