"""Before the effect: a refused step moves no traffic, and what the record says is what the route does, on the
real engine under real requests."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from delivery import past, status
from delivery.routes import routed
from policy.steps import Canary, Step, step
from tests.engine.stack import ROOT, Ran, Stack

pytestmark = pytest.mark.real
JUDGED = ("--policy-pack", str(ROOT / "policy"))


def models(weight: int, stable: int = 1, canary: int = 2) -> dict[str, Any]:
    return {"churn": {"stable": {"version": stable}, "canary": {"version": canary, "weight": weight}}}


def up(stack: Stack, weight: int, *flags: str, check: bool = True) -> Ran:
    """As the Automation API applies it: with the pack, and with no preview before it."""
    stack.declare(models(weight))
    return stack.command("up", "--yes", "--skip-preview", *stack.flags, *JUDGED, *flags, check=check)


def exported(stack: Stack) -> dict[str, Any]:
    return json.loads(stack.command("stack", "export", "--stack", "local").text)


def told(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``delivery status --live`` says."""
    export = exported(stack)
    monkeypatch.setattr(past, "exported", lambda name: export)
    parser = argparse.ArgumentParser()
    status.configure(parser)
    assert status.run(parser.parse_args(["--live", "--config-file", str(stack.config)])) == 0
    return capsys.readouterr().out


@pytest.fixture
def at_ten(stack: Stack) -> Stack:
    """The stack with a canary of 10 %, judged by the pack."""
    stack.up({})
    up(stack, 10)
    return stack


def test_a_refused_step_moves_no_traffic_without_a_preview_either(
    at_ten: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = at_ten.pids(), at_ten.outputs()
    refused = up(at_ten, 90, check=False)
    assert refused.code != 0
    assert "churn: v2 goes from 10 % to 90 %, a step may add 50 points" in refused.text
    answered = at_ten.split(400)
    assert answered["2"] < 100, answered
    assert (at_ten.pids(), at_ten.outputs()) == before, "outputs tell what is applied"
    assert past.unfinished_in(exported(at_ten)) == {}
    line = told(at_ten, monkeypatch, capsys).splitlines()[1]
    assert "v1 90 %, v2 10 %" in line and "model-delivery 0.1.0" in line and "differs from the file" in line
    # The right step goes on from what was applied.
    up(at_ten, 60)
    assert at_ten.split(400)["2"] > 150


def test_a_step_that_no_pack_judged_says_so(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.up(models(10))
    stack.up(models(95))
    assert "no policy pack" in told(stack, monkeypatch, capsys)
    # A later preview with the pack claims nothing of the past.
    stack.command("up", "--yes", "--skip-preview", *stack.flags, *JUDGED)
    assert "no policy pack" in told(stack, monkeypatch, capsys)
    assert stack.plan() == []


def test_a_killed_update_leaves_a_step_that_is_told_as_unfinished(
    at_ten: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    route = at_ten.run / "processes" / "gateway-envoy" / "routes" / "churn.json"
    at_ten.declare(models(60))
    words = [at_ten.pulumi, "up", "--yes", "--skip-preview", "--non-interactive", *at_ten.flags, *JUDGED]
    with subprocess.Popen(
        words, cwd=ROOT, env=at_ten.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while '"weight": 60' not in route.read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    for lock in (at_ten.folder / "state").rglob("locks/**/*.json"):
        lock.unlink()
    export = exported(at_ten)
    recorded, begun = step(past.found_in(export)["churn"]), past.unfinished_in(export)
    wish = Step(stable=1, canary=Canary(version=2, weight=60))
    if recorded != wish:
        assert step(begun["churn"]) == wish
        said = told(at_ten, monkeypatch, capsys)
        assert "a later step is not finished" in said
        # The provider may have been killed before Envoy took the new file: then nothing is claimed.
        real = routed(export, "churn")
        assert (
            f"did not come to its end: {f'the gateway sends {real}' if real else 'traffic may go by'}" in said
        )
        if real:
            assert abs(at_ten.split(400)["2"] / 4 - real.share(2)) < 12
    # A step that only the unfinished one would allow is refused; going back, and going on, are right.
    assert up(at_ten, 100, check=False).code != 0
    up(at_ten, 10)
    assert past.unfinished_in(exported(at_ten)) == {}
    assert at_ten.split(400)["2"] < 100


def test_a_route_that_moved_without_its_record_is_judged_by_both(
    at_ten: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a failure between the two: the step and the route are applied, the record is not."""
    up(at_ten, 60, "--target", "**Step**", "--target", "**Route**")
    export = exported(at_ten)
    assert step(past.found_in(export)["churn"]).share(2) == 10
    assert routed(export, "churn") == Step(stable=1, canary=Canary(version=2, weight=60))
    assert at_ten.outputs()["endpoints"]["churn"]["releases"][1]["weight"] in (10, 60)
    said = told(at_ten, monkeypatch, capsys)
    assert "did not come to its end: the gateway sends v1 40 %, v2 60 %" in said
    refused = up(at_ten, 100, check=False)
    assert refused.code != 0 and "v2 goes from 10 % to 100 %" in refused.text
    up(at_ten, 60)
    assert "did not come to its end" not in told(at_ten, monkeypatch, capsys)


def test_a_step_is_not_got_around_by_targets(at_ten: Stack) -> None:
    up(at_ten, 90, "--target", "**Route**", check=False)
    assert at_ten.split(400)["2"] < 100


def test_an_apply_that_fails_before_the_route_moves_leaves_the_outputs(at_ten: Stack) -> None:
    before = at_ten.outputs()
    gateway = at_ten.run / "processes" / "gateway-envoy"
    kept = gateway / "routes"
    kept.chmod(0o500)
    try:
        if os.geteuid() == 0:
            # A folder's mode stops nobody who is root: the route's own file is in the way instead.
            route = kept / "churn.json"
            text = route.read_text()
            route.unlink()
            route.mkdir()
        failed = up(at_ten, 60, check=False)
        assert failed.code != 0, failed.text
    finally:
        kept.chmod(0o700)
        if os.geteuid() == 0:
            Path(route).rmdir()
            route.write_text(text)
    assert at_ten.outputs() == before
    up(at_ten, 60)
    assert at_ten.outputs()["endpoints"]["churn"]["releases"][1]["weight"] == 60


def test_a_stack_of_the_former_program_goes_over_without_a_replacement(at_ten: Stack) -> None:
    """It has no step yet, and a rollout that says no judge: the next update adds the one and is judged by the
    other."""
    state = exported(at_ten)
    kept = [found for found in state["deployment"]["resources"] if found["type"] != "delivery:registry:Step"]
    for found in kept:
        if found["type"] == "delivery:registry:Rollout":
            del found["inputs"]["judge"], found["outputs"]["judge"]
            found.get("propertyDependencies", {}).pop("judge", None)
        for key in ("dependencies",):
            found[key] = [urn for urn in found.get(key) or () if "delivery:registry:Step" not in urn]
    state["deployment"]["resources"] = kept
    file = at_ten.folder / "former.json"
    file.write_text(json.dumps(state))
    at_ten.command("stack", "import", "--stack", "local", "--file", str(file))
    at_ten.declare(models(10))
    assert [(found.op, found.type) for found in at_ten.plan()] == [("create", "registry:Step")]
    refused = up(at_ten, 90, check=False)
    assert refused.code != 0 and "v2 goes from 10 % to 90 %" in refused.text
    before = at_ten.pids()
    up(at_ten, 10)
    assert at_ten.pids() == before and at_ten.plan() == []
    assert "judge" not in past.found_in(exported(at_ten))["churn"], "nothing is claimed of the past"
