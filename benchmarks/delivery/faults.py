"""What a killed process costs under constant load, and how long until everything is whole again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

from benchmarks.delivery.recorder import Answer
from benchmarks.delivery.stand import MODEL, hold, load, stand, traffic
from tests.engine.stack import ROOT, Stack, until

_SECONDS = 10.0


def main() -> list[str]:
    """The lines of the report."""
    with stand() as stack:
        lines: list[str] = []
        stack.up(traffic(1))
        lines += _killed(stack, "model server, the only one", f"{MODEL}-v1-0")
        stack.up(traffic(1, replicas=2))
        lines += _killed(stack, "model server, one of two", f"{MODEL}-v1-0")
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
        next(line for line in process.stdout if is_moment(line))
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
    return (
        f"{len(failed)} of {len(answers)} requests failed, "
        f"the last {max(a.at for a in failed) - since:.2f} s after the kill"
    )
