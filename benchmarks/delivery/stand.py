"""What the benchmarks of delivery run on: a local stack of their own with the example model's two
versions."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.delivery.recorder import Load
from benchmarks.stopping import stopped
from tests.engine.stack import ROOT, Stack

MODEL = "tumour"
BODY = json.dumps(
    {"features": json.loads((ROOT / "examples" / f"{MODEL}.json").read_text())["features"][:1]}
).encode()


def traffic(stable: int, weight: int | None = None, replicas: int = 1) -> dict[str, Any]:
    """The model's lines in the file: a stable version and, with a weight, the other one as canary."""
    model: dict[str, Any] = {"stable": {"version": stable}}
    if weight is not None:
        model["canary"] = {"version": 3 - stable, "weight": weight}
    if replicas > 1:
        model["autoscaling"] = {"min": replicas}
    return {MODEL: model}


@contextmanager
def stand() -> Generator[Stack]:
    """A stack with both versions registered; all of it is stopped and thrown away at the end."""
    with tempfile.TemporaryDirectory(prefix="delivery-bench-") as folder:
        stack = Stack(Path(folder))
        registry = stack.home / "registry"
        registry.mkdir(parents=True)
        train = [
            sys.executable,
            "-m",
            "pipeline",
            "train",
            "--tracking-uri",
            f"sqlite:///{registry}/mlflow.db",
        ]
        subprocess.run([*train, "--artifacts", str(registry / "artifacts")], cwd=ROOT, check=True)
        with stopped(stack.run):
            yield stack


def load(stack: Stack) -> Load:
    """Constant load on the model's endpoint, through the gateway."""
    return Load(stack.ports["gateway"], f"/{MODEL}/predict", BODY)


def hold(seconds: float) -> None:
    """Let the load run."""
    time.sleep(seconds)
