"""All models in one stack, on a platform of kind kubernetes that the stack declares too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.plan.cost import CLUSTER, Cost, cost, file
from planning.stack import PlannedStack

_HOUR = 3600


def run(applied: Iterable[int], first_only: Iterable[int]) -> None:
    """Print a line for each number of models. Those of ``first_only`` are planned from nothing alone."""
    print("models, resources; plan from nothing; apply; plan of one promotion: s (CPU s)")
    for count in applied:
        with tempfile.TemporaryDirectory() as folder:
            stack = _stack(Path(folder), count)
            first = cost(stack.preview)
            up = cost(stack.up)
            stack.declare(file(CLUSTER, count, weight=50))
            promotion = cost(stack.preview)
            print(
                f"{count:>5} {_resources(stack):>6}; {_told(first)}; {_told(up)}; {_told(promotion)}",
                flush=True,
            )
    for count in first_only:
        with tempfile.TemporaryDirectory() as folder:
            stack = _stack(Path(folder), count)
            print(f"{count:>5}      -; {_told(cost(stack.preview))}", flush=True)


def _stack(folder: Path, count: int) -> PlannedStack:
    stack = PlannedStack(folder / "stack", "all")
    stack.seconds = _HOUR
    stack.declare(file(CLUSTER, count))
    return stack


def _told(found: Cost) -> str:
    return f"{found.wall:.1f} ({found.cpu:.1f})"


def _resources(stack: PlannedStack) -> int:
    exported = stack.config.with_name("exported.json")
    stack.command("stack", "export", "--stack", stack.name, "--file", str(exported))
    return len(json.loads(exported.read_text())["deployment"]["resources"])
