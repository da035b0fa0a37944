"""What a killed process costs under constant load, and how long until everything is whole again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import httpx

from benchmarks.delivery.recorder import Answer
from benchmarks.delivery.stand import MODEL, hold, load, stand, traffic
from tests.engine.stack import ROOT, Stack
from tests.waiting import until

_SECONDS = 10.0
_KILLS = 10
_TAKEN_BACK_SECONDS = 1.5


def main() -> list[str]:
    """The lines of the report."""
    with stand() as stack:
        lines: list[str] = []
        stack.up(traffic(1))
        lines += _killed(stack, "model server, the only one", f"{MODEL}-v1-0")
        stack.up(traffic(1, replicas=2))
        lines += _killed_in_turn(stack, [f"{MODEL}-v1-0", f"{MODEL}-v1-1"])
        lines += _killed(stack, "Envoy", "gateway-envoy")
        lines += _killed(stack, "MLflow", "tracking-server")
        lines += _interrupted(stack)
        return lines


def _killed(stack: Stack, what: str, program: str) -> list[str]:
    running = load(stack)
    hold(_SECONDS / 5)
    pid = stack.pids()[program]
    killed = time.time()
    os.kill(pid, signal.SIGKILL)
    until(lambda: stack.pids().get(program) not in (None, pid))
    back = time.time() - killed
    hold(max(0.0, killed + _SECONDS - time.time()))
    answers = running.stop()
    plan = stack.plan()
    steps = "empty" if plan == [] else f"{len(plan)} step(s)"
    return [
        f"kill -9 of {what}: {_losses(answers, killed)}; "
        f"started again after {back:.2f} s; the next plan: {steps}"
    ]


def _killed_in_turn(stack: Stack, programs: list[str]) -> list[str]:
    running = load(stack)
    hold(1.0)
    begun = time.time()
    for kill in range(_KILLS):
        program = programs[kill % len(programs)]
        pid = stack.pids()[program]
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid, program=program: _whole(stack, program, pid))
        # The gateway takes it back by its next check; until then the other one is the only one.
        hold(_TAKEN_BACK_SECONDS)
    answers = running.stop()
    return [f"kill -9 of a model server, one of two, {_KILLS} times in turn: {_losses(answers, begun)}"]


def _whole(stack: Stack, program: str, before: int) -> bool:
    """Whether a program runs again and is ready, so that the other one may die."""
    if stack.pids().get(program) in (None, before):
        return False
    (file,) = (stack.run / "targets").glob(f"{program}.*.json")
    (address,) = json.loads(file.read_text())[0]["targets"]
    try:
        with httpx.Client(trust_env=False, timeout=2) as client:
            return client.get(f"http://{address}/v2/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


def _interrupted(stack: Stack) -> list[str]:
    lines: list[str] = []
    moments: list[tuple[str, Callable[[str], bool]]] = [
        ("while a server starts", lambda line: f"{MODEL}-v2-0 creating" in line),
        ("while the route is applied", lambda line: f"Route {MODEL} updating" in line),
    ]
    for name, is_moment in moments:
        stack.up(traffic(1))
        stack.declare(traffic(1, 50))
        running = load(stack)
        hold(1.0)
        command = [stack.pulumi, "up", "--yes", "--skip-preview", "--non-interactive", *stack.flags]
        process = subprocess.Popen(
            command, cwd=ROOT, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        try:
            next(line for line in process.stdout if is_moment(line))
        finally:
            process.kill()
            process.wait()
        killed = time.time()
        stack.command("cancel", "--yes", "--stack", "local")
        begun = time.time()
        stack.up()
        repaired = time.time() - begun
        hold(2.0)
        answers = running.stop()
        late = [a for a in answers if a.at > begun + repaired and a.good]
        share = 100 * sum(a.version == "2" for a in late) / len(late)
        lines.append(
            f"kill -9 of pulumi up {name}: {_losses(answers, killed)}; the next up took {repaired:.1f} s, "
            f"after it version 2 answers {share:.1f} % (weight 50), the next plan "
            f"{'is empty' if stack.plan() == [] else 'is not empty'}"
        )
    return lines


def _losses(answers: list[Answer], since: float) -> str:
    failed = [a for a in answers if not a.good]
    if not failed:
        return f"0 of {len(answers)} requests failed"
    how = ", ".join(f"{n} x {s or 'broken'}" for s, n in Counter(a.status for a in failed).items())
    return (
        f"{len(failed)} of {len(answers)} requests failed ({how}), "
        f"the last {max(a.at for a in failed) - since:.2f} s after the kill"
    )
