"""The room where processes run: one supervisord and what it keeps running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi


class Supervisor(pulumi.CustomResource):
    """The supervisord of a run folder. It restarts a process that dies; deleting it stops all that run in
    the folder."""

    def __init__(self, name: str, folder: Path, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:local:Supervisor", name, {"folder": str(folder)}, opts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessArgs:
    """One supervised process."""

    folder: Path
    """The run folder, the Supervisor's own."""
    command: Sequence[pulumi.Input[str]]
    """Its words; ``{port}`` stands for the port, ``{folder}`` for the process' own folder."""
    ready: str
    """The path that answers 2xx when the process can take work."""
    port: int = 0
    """A fixed loopback port, or 0: a free one is chosen once and kept."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Text by file name, written to the process' own folder before each start; a change restarts it."""
    seeds: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files that others own afterwards: written only where they are missing."""
    source: Path | None = None
    """A folder of Python code that the process runs: a change of it is a change of the process."""
    scrape: Mapping[str, str] | None = None
    """Labels under which Prometheus scrapes it; None: not scraped."""
    metrics_path: str = "/metrics"
    ready_seconds: int = 300
    """For a first start on a busy machine, which compiles what it imports: with 20 processes on 2 cores a
    minute was too little. A server that ends instead of becoming ready isn't waited for."""
    stop_seconds: int = 30


class Process(pulumi.CustomResource):
    """A supervised process, ready when its declaration is done.

    On a fixed port a change restarts it in place; on a chosen port its replacement is ready before it is
    stopped.
    """

    address: pulumi.Output[str]
    """``127.0.0.1:PORT``. A preview knows it unless the process is new and chooses its port."""

    def __init__(self, name: str, args: ProcessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "folder": str(args.folder),
            "command": list(args.command),
            "ready": args.ready,
            "port": args.port,
            "environment": dict(args.environment),
            "files": dict(args.files),
            "seeds": dict(args.seeds),
            "source": None if args.source is None else str(args.source),
            "scrape": None if args.scrape is None else dict(args.scrape),
            "metricsPath": args.metrics_path,
            "readySeconds": args.ready_seconds,
            "stopSeconds": args.stop_seconds,
            "address": None,
        }
        super().__init__("delivery:local:Process", name, properties, opts)
