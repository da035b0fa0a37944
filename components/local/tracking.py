"""MLflow: the tracking server and model registry, on SQLite and a local artifact folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi

from components.local.cluster import Process, ProcessArgs


class Tracking(pulumi.ComponentResource):
    """An MLflow server over the registry folder.

    The registry is data: it is there before the server, since training and planning use the database
    itself, and it
    stays when the server is removed.
    """

    url: str
    """Where people and training jobs reach it."""
    registry: str
    """The tracking URI at which releases are looked up, whether the server runs or not."""

    def __init__(
        self, name: str, run: Path, registry: Path, port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:local:Tracking", name, None, opts)
        self.url = f"http://127.0.0.1:{port}"
        self.registry = f"sqlite:///{registry / 'mlflow.db'}"
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
            *("--backend-store-uri", self.registry),
            *("--default-artifact-root", (registry / "artifacts").as_uri(), "--no-serve-artifacts"),
            *("--workers", "1"),
        ]
        args = ProcessArgs(
            folder=run,
            command=command,
            port=port,
            ready="/health",
            environment={"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            # A first start migrates an empty database, which took 84 s with 20 processes on 2 cores.
            ready_seconds=600,
        )
        self.process = Process(f"{name}-server", args, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"url": self.url})
