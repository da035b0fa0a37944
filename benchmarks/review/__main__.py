"""How long a review takes: `python -m benchmarks.review own` and `python -m benchmarks.review whole`.

own     the review's own part (event log to comment) on 2,000 resources and more: the engine's log of prod ten
        times over, once with one model's change in each copy, once with every resource changed
whole   `python -m delivery review` of a one-line change of a stack `local`: preview, policy pack, comment
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import stopping
from delivery.review import events, markdown, review
from policy import prices
from tests.delivery.review.building import Preview, recorded

COPIES = 10
ROUNDS = 9
_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review", description=__doc__)
    parser.add_argument("part", choices=("own", "whole"))
    {"own": own, "whole": whole}[parser.parse_args().part]()
    return 0


def own() -> None:
    for name, text in (("prod ten times over", _copies()), ("every resource changed", _all_changed())):
        log = events.read(text, "the log")
        changed = sum(step.op != "same" for step in log.steps)
        size = len(text) / 1e6
        print(f"{name}: {len(log.steps)} resources, {changed} of them change, {size:.1f} MB of events")
        _print("  event log to comment", _timed(lambda text=text: _comment(text), ROUNDS))


def whole() -> None:
    from tests.engine.conftest import add_version
    from tests.engine.stack import Stack

    with tempfile.TemporaryDirectory(prefix="review-") as name:
        folder = Path(name)
        stack = Stack(folder)
        for seed in (1, 2):
            add_version(stack.home / "registry", folder, "churn", seed)
        churn = {"stable": {"version": 1}, "canary": {"version": 2, "weight": 10}}
        with stopping.stopped(stack.run):
            stack.up({"churn": churn})
            stack.declare({"churn": {**churn, "canary": {"version": 2, "weight": 40}}})
            command = [sys.executable, "-m", "delivery", "review", "--stack", "local"]
            command += ["--config-file", str(stack.config), "--format", "markdown"]
            environment = {k: v for k, v in stack.env.items() if not k.startswith("GITHUB_")}

            def once() -> None:
                done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
                assert done.returncode == 0 and "at 40 % (was 10 %)" in done.stdout, done.stdout + done.stderr

            once()  # what a second review finds compiled and cached
            _print("preview, policy and comment", _timed(once, 5))


def _comment(text: str) -> None:
    found = review.build(events.read(text, "the log"), stack="prod", prices=prices.load())
    assert len(markdown.render(found)) > 1000


def _copies() -> str:
    """The engine's log of prod with one model's change, so many times over as resources of other names."""
    lines = recorded("weight-change").splitlines()
    body = [line for line in lines if '"resourcePreEvent"' in line]
    tail = [line for line in lines if '"summaryEvent"' in line or '"cancelEvent"' in line]
    copied = [
        line.replace("urn:pulumi:prod::", f"urn:pulumi:prod-{copy}::")
        for copy in range(COPIES)
        for line in body
    ]
    found = [json.loads(line) for line in (*copied, *tail)]
    return "".join(json.dumps({**event, "sequence": i}) + "\n" for i, event in enumerate(found))


def _all_changed() -> str:
    preview = Preview()
    for number in range(2000):
        old = {"spec": {"rules": [{"weight": w, "name": f"r-{number}"} for w in range(8)]}, "env": ["a"] * 8}
        new = {
            "spec": {"rules": [{"weight": w + 1, "name": f"r-{number}"} for w in range(8)]},
            "env": ["a"] * 8,
        }
        preview.step("update", "kubernetes:apps/v1:Deployment", f"r-{number}", old, new, {"spec": "update"})
    return preview.text


def _timed(call: Callable[[], None], rounds: int) -> list[tuple[float, float]]:
    """Seconds of the clock and of the processor, children's included, for each round."""
    found: list[tuple[float, float]] = []
    for _ in range(rounds):
        started, used = time.perf_counter(), _used()
        call()
        found.append((time.perf_counter() - started, _used() - used))
    return found


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _print(what: str, rounds: list[tuple[float, float]]) -> None:
    clock, processor = ([each[i] for each in rounds] for i in (0, 1))
    print(
        f"{what}: median {statistics.median(clock):.2f} s, worst {max(clock):.2f} s of {len(clock)}; "
        f"{statistics.median(processor):.2f} s of processor time; load average {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(stopping.run(main))
