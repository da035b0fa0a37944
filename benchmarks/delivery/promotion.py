"""A promotion under constant load: what fails, how exact the split is, how soon it is on the wire."""

from __future__ import annotations

import time

from benchmarks.delivery.recorder import Answer
from benchmarks.delivery.stand import MODEL, hold, load, stand, traffic
from benchmarks.delivery.switching import switches
from provider.gateway import Gateway
from tests.engine.stack import Stack

_BEFORE, _AFTER = 10, 50
_SECONDS = 30.0


def main() -> list[str]:
    """The lines of the report."""
    with stand() as stack:
        return [*_promotion(stack), *_flips(stack)]


def _promotion(stack: Stack) -> list[str]:
    stack.up(traffic(1, _BEFORE))
    table = stack.run / "processes" / "gateway-envoy" / "routes.json"
    running = load(stack)
    begun = time.time()
    hold(_SECONDS / 3)
    stack.declare(traffic(1, _AFTER))
    up_begun = time.time()
    stack.up()
    up_seconds = time.time() - up_begun
    written = table.stat().st_mtime
    hold(max(0.0, begun + _SECONDS - time.time()))
    answers = running.stop()
    before = [a for a in answers if a.at < up_begun]
    after = [a for a in answers if a.at > written + 0.05]
    failed = sum(not a.good for a in answers)
    seconds = answers[-1].at - answers[0].at
    return [
        f"requests {len(answers)} in {seconds:.1f} s ({len(answers) / seconds:.0f}/s), failed {failed}",
        f"version 2 before: {_share(before, '2'):.2f} % of {len(before)} (weight {_BEFORE})",
        f"version 2 after:  {_share(after, '2'):.2f} % of {len(after)} (weight {_AFTER})",
        f"pulumi up took {up_seconds:.2f} s; "
        f"the route was written {written - up_begun:.2f} s after its start",
    ]


def _flips(stack: Stack) -> list[str]:
    stack.up(traffic(1, 0))
    folder = stack.run / "processes" / "gateway-envoy"
    route = Gateway(folder).recorded(MODEL)
    assert route is not None
    return switches(folder, route, load(stack))


def _share(answers: list[Answer], version: str) -> float:
    good = [a for a in answers if a.good]
    return 100 * sum(a.version == version for a in good) / len(good)
