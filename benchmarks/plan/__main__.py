"""``python -m benchmarks.plan``: what a plan costs as a fleet grows: the real engine, stand-in providers.

    python -m benchmarks.plan [--models 1,10,100,500] [--stacks 1,10] [--each 10]

First, one stack with all models on a platform of kind kubernetes. Then a fleet split over stacks of `--each`
models on a borrowed platform: one stack's promotion is planned while the fleet has as many stacks as said. A
plan is timed from the command to its end, the best of two. A real provider adds its own work, and a network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.plan.stack import PlannedStack

_PINNED = "registry.example.com/serving@sha256:" + "0" * 64
_CLUSTER = {
    "kind": "kubernetes",
    "context": "fleet",
    "image": _PINNED,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan")
    parser.add_argument("--models", default="1,10,100,500", help="models in one stack")
    parser.add_argument("--stacks", default="1,10", help="stacks of the fleet")
    parser.add_argument("--each", type=int, default=10, help="models in each stack of the fleet")
    arguments = parser.parse_args()
    machine = f"{platform.system()} {platform.machine()}"
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {machine}")
    print("\none stack: models, resources, first plan s, plan of a promotion s, the latter for each model ms")
    for count in map(int, arguments.models.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            stack = PlannedStack(Path(folder) / "stack", "all")
            stack.declare(_file(_CLUSTER, count))
            first = _timed(stack)
            stack.up()
            stack.declare(_file(_CLUSTER, count, weight=50))
            promotion = _timed(stack)
            each = promotion * 1000 / count
            print(
                f"  {count:>5} {_resources(stack):>6} {first:>8.1f} {promotion:>8.1f} {each:>8.0f}",
                flush=True,
            )
    print(
        f"\nfleet in stacks of {arguments.each} models: stacks, models, plan of a promotion in one of them s"
    )
    with tempfile.TemporaryDirectory() as folder:
        owner = PlannedStack(Path(folder) / "owner", "owner")
        owner.declare(_file(_CLUSTER, 0))
        owner.up()
        borrowed = {"stack": "organization/model-delivery/owner"}
        stacks: list[PlannedStack] = []
        for count in map(int, arguments.stacks.split(",")):
            while len(stacks) < count:
                stack = PlannedStack(Path(folder) / f"part{len(stacks)}", f"part{len(stacks)}", beside=owner)
                stack.declare(_file(borrowed, arguments.each, first=len(stacks) * arguments.each))
                stack.up()
                stacks.append(stack)
            stacks[0].declare(_file(borrowed, arguments.each, weight=50))
            promotion = _timed(stacks[0])
            print(f"  {count:>5} {count * arguments.each:>6} {promotion:>8.1f}", flush=True)
    return 0


def _file(platform: dict[str, Any], count: int, weight: int = 10, first: int = 0) -> str:
    """A file with models, of which the first has a canary with this weight and the others have 10."""
    models = {
        f"m{first + index:04}": {
            "stable": {"version": 1},
            "canary": {"version": 2, "weight": weight if index == 0 else 10},
        }
        for index in range(count)
    }
    return yaml.safe_dump({"config": {"model-delivery:platform": platform, "model-delivery:models": models}})


def _timed(stack: PlannedStack) -> float:
    """The seconds of the quicker of two previews."""
    found: list[float] = []
    for _ in range(2):
        start = time.perf_counter()
        stack.preview()
        found.append(time.perf_counter() - start)
    return min(found)


def _resources(stack: PlannedStack) -> int:
    file = stack.config.with_name("exported.json")
    stack.command("stack", "export", "--stack", stack.name, "--file", str(file))
    return len(json.loads(file.read_text())["deployment"]["resources"])


if __name__ == "__main__":
    sys.exit(main())
