"""The policy pack on the real engine: it stops a preview and an update, and an exemption lets one through."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stack import ROOT, Ran, Stack

pytestmark = pytest.mark.real


def models(weight: int) -> dict[str, Any]:
    return {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": weight}}}


@pytest.fixture(scope="module")
def running(stack: Stack) -> Stack:
    """The stack with a canary of 10 %; no test here changes it."""
    stack.up(models(10))
    return stack


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A copy of the pack, whose files a test may change."""
    copy = tmp_path / "checkout" / "policy"
    shutil.copytree(ROOT / "policy", copy, ignore=shutil.ignore_patterns("__pycache__", "e*.yaml"))
    for file in (ROOT / "tests" / "policy" / "settings").iterdir():
        shutil.copy(file, copy)
    for name in ("components", ".venv"):
        (copy.parent / name).symlink_to(ROOT / name)
    return copy


def exempt(pack: Path, until: datetime) -> None:
    (pack / "exemptions.yaml").write_text(
        "exemptions:\n  in-a-hurry:\n    rule: canary-step\n"
        "    resource: delivery:registry:Step::churn\n    environment: local\n"
        f"    reason: a test\n    owner: tests\n    until: {until.date()}\n"
    )


def preview(stack: Stack, pack: Path, weight: int) -> Ran:
    stack.declare(models(weight))
    return stack.command("preview", *stack.flags, "--policy-pack", str(pack), check=False)


def test_a_jump_is_refused_by_preview_and_update_and_a_step_is_not(running: Stack) -> None:
    pack = ROOT / "policy"
    refused = preview(running, pack, 90)
    assert refused.code != 0
    assert "churn: v2 goes from 10 % to 90 %, a step may add 50 points" in refused.text
    assert "Fix: set canary.weight to 60 or less" in refused.text
    assert "[mandatory]" in refused.text and "canary-step" in refused.text

    before = running.pids(), running.outputs()
    up = running.command("up", "--yes", *running.flags, "--policy-pack", str(pack), check=False)
    assert up.code != 0 and "Fix: set canary.weight to 60 or less" in up.text
    assert (running.pids(), running.outputs()) == before

    allowed = preview(running, pack, 60)
    assert allowed.code == 0, allowed.text
    # What the test's models lack is said, and doesn't stop the stack `local`.
    assert "[advisory]" in allowed.text and "release-model-card" in allowed.text


def test_an_exemption_lets_a_jump_through_until_it_ends(running: Stack, pack: Path) -> None:
    today = datetime.now(UTC)
    exempt(pack, today + timedelta(days=1))
    allowed = preview(running, pack, 90)
    assert allowed.code == 0 and "[mandatory]" not in allowed.text, allowed.text
    assert "It is let through until" in allowed.text and "exemption in-a-hurry" in allowed.text

    exempt(pack, today - timedelta(days=1))
    refused = preview(running, pack, 90)
    assert refused.code != 0
    assert "The exemption in-a-hurry for this ended on" in refused.text
    assert "so the rule holds again" in refused.text


def test_a_pack_that_can_not_be_read_stops_everything(running: Stack, pack: Path) -> None:
    (pack / "exemptions.yaml").write_text("exemptions: {all: {rule: canary-stepp, resource: '*'}}\n")
    refused = preview(running, pack, 20)
    assert refused.code != 0
    assert "The policy pack can't be used, so nothing is judged and nothing goes on." in refused.text
    assert "line 1, exemptions.all.rule" in refused.text and "Did you mean canary-step?" in refused.text
    assert "wildcards are refused" in refused.text
    assert "Traceback" not in refused.text
