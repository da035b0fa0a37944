"""Programs, provider plugins and policy packs as processes: their arguments and their output."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import cast

import grpc
from pulumi.runtime.proto import analyzer_pb2, language_pb2

from tools.language_host.children import Children
from tools.language_host.policy_proxy import PolicyProxy
from tools.language_host.pythons import Python

CHUNK_BYTES = 64 * 1024


def arguments(request: language_pb2.RunRequest, engine: str) -> list[str]:
    """The executor's command line for one run of a program."""
    named = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "stack": request.stack,
        "organization": request.organization,
        "root_directory": request.info.root_directory,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
    }
    flags = [part for name, value in named.items() if value for part in (f"--{name}", value)]
    return [*flags, request.info.entry_point or ".", *request.args]


def output(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, bytes]]:
    """What a captured process writes, as it comes: ("stdout" or "stderr", bytes), until both streams end."""
    chunks: queue.Queue[tuple[str, bytes]] = queue.Queue()

    def pump(name: str, stream: BufferedReader) -> None:
        while data := stream.read1(CHUNK_BYTES):
            chunks.put((name, data))
        chunks.put((name, b""))

    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=pump, args=(name, cast("BufferedReader", stream)), daemon=True).start()
    open_streams = 2
    while open_streams:
        name, data = chunks.get()
        if data:
            yield name, data
        else:
            open_streams -= 1


def plugin(
    children: Children,
    request: language_pb2.RunPluginRequest,
    python: Python,
    env: Mapping[str, str],
    context: grpc.ServicerContext,
) -> Iterator[language_pb2.RunPluginResponse]:
    """Runs a plugin's `__main__.py` and streams what it writes; its exit code is the last message."""
    process = children.start(
        [str(python.executable), "-u", request.info.program_directory, *request.args],
        cwd=request.pwd,
        env=env,
        capture=True,
    )
    context.add_callback(lambda: children.stop(process))
    for stream, data in output(process):
        yield _written(stream, data)
    yield _exit_code(children.wait(process))


def policy_pack(
    children: Children,
    request: language_pb2.RunPluginRequest,
    python: Python,
    env: Mapping[str, str],
    context: grpc.ServicerContext,
) -> Iterator[language_pb2.RunPluginResponse]:
    """Runs a policy pack behind a proxy: a pack reads its stack's configuration from its environment, but the
    engine tells it only after it has started."""
    proxy = PolicyProxy()
    context.add_callback(proxy.stop)
    yield language_pb2.RunPluginResponse(stdout=f"{proxy.port}\n".encode())
    configuration = proxy.configuration()
    if proxy.stopped:
        return
    process = children.start(
        [str(python.executable), "-u", "-m", "pulumi.policy", *request.args, request.info.program_directory],
        cwd=request.info.program_directory,
        env={**env, **_policy_environment(configuration)},
        capture=True,
    )
    context.add_callback(lambda: children.stop(process, how=signal.SIGTERM))
    first = b""
    attached = False
    for stream, data in output(process):
        if stream == "stdout" and not attached:
            first += data
            if b"\n" not in first:
                continue
            port, data = first.split(b"\n", 1)
            proxy.attach(int(port))
            attached = True
        if data:
            yield _written(stream, data)
    proxy.stop()
    yield _exit_code(children.wait(process))


def _policy_environment(configuration: analyzer_pb2.AnalyzerStackConfigureRequest | None) -> dict[str, str]:
    if configuration is None:
        return {}
    named = {
        "PULUMI_ORGANIZATION": configuration.organization,
        "PULUMI_PROJECT": configuration.project,
        "PULUMI_STACK": configuration.stack,
        "PULUMI_DRY_RUN": "true" if configuration.dry_run else "false",
        "PULUMI_CONFIG": json.dumps(dict(configuration.config)),
    }
    return {name: value for name, value in named.items() if value}


def _written(stream: str, data: bytes) -> language_pb2.RunPluginResponse:
    if stream == "stdout":
        return language_pb2.RunPluginResponse(stdout=data)
    return language_pb2.RunPluginResponse(stderr=data)


def _exit_code(code: int) -> language_pb2.RunPluginResponse:
    return language_pb2.RunPluginResponse(exitcode=code)
