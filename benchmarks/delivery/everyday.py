"""What a person waits for who moves one weight: `pulumi up` of a stack that runs, with the policy pack."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

from benchmarks.delivery.stand import stand, traffic
from tests.engine.stack import Stack

_ROUNDS = 5
_LIMITS = {"without its preview": 3.5, "with its preview": 8.0}
"""Seconds by the clock, on an idle machine of two cores."""
_PACK = ("--policy-pack", "policy")


def main() -> list[str]:
    """The lines of the report."""
    with stand() as stack:
        stack.up(traffic(1, 10))
        weights = iter(range(11, 100))

        def update(*flags: str) -> None:
            stack.declare(traffic(1, next(weights)))
            stack.command("up", "--yes", *flags, *_PACK, *stack.flags)

        return [
            _told("without its preview", lambda: update("--skip-preview")),
            _told("with its preview", update),
            _told("preview alone", lambda: _preview(stack)),
        ]


def _preview(stack: Stack) -> None:
    stack.command("preview", *_PACK, *stack.flags)


def _told(what: str, command: Callable[[], object]) -> str:
    command()
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(_ROUNDS):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command()
        walls.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    limit = f", limit {_LIMITS[what]:.1f} s" if what in _LIMITS else ""
    return (
        f"{what}: median {statistics.median(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f}){limit}; "
        f"processor time {statistics.median(cpus):.2f} s"
    )
