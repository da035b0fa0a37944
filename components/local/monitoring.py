"""Prometheus: scrapes the model servers and the gateway, found by the files that their processes leave."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pulumi

from components.local.cluster import Process, ProcessArgs


class Monitoring(pulumi.ComponentResource):
    """A Prometheus over everything in the run folder that offers metrics. Its data stay in the run folder
    for 15 days."""

    url: str
    """Where people and analyses query it."""

    def __init__(
        self,
        name: str,
        run: Path,
        tools: Path,
        port: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``tools`` is a folder that is searched for the ``prometheus`` program before PATH."""
        super().__init__("delivery:local:Monitoring", name, None, opts)
        self.url = f"http://127.0.0.1:{port}"
        program = shutil.which("prometheus", path=f"{tools}{os.pathsep}{os.environ.get('PATH', '')}")
        args = ProcessArgs(
            folder=run,
            command=[
                *(program or "prometheus", "--config.file={folder}/prometheus.yml"),
                *("--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=15d"),
                *("--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
            ],
            port=port,
            ready="/-/ready",
            files={"prometheus.yml": json.dumps(configuration(run / "targets"), indent=1)},
        )
        self.process = Process(f"{name}-prometheus", args, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"url": self.url})


def configuration(targets: Path) -> dict[str, Any]:
    """Prometheus' configuration (JSON is YAML): every target file is a process, and its labels say which."""
    return {
        "global": {"scrape_interval": "5s"},
        "scrape_configs": [
            {
                "job_name": "processes",
                "file_sd_configs": [{"files": [f"{targets}/*.json"], "refresh_interval": "5s"}],
            }
        ],
    }
