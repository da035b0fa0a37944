"""The command: what it prints, and the exit code that scripts get."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from delivery.__main__ import main
from delivery.review import preview
from delivery.review.errors import ReviewError
from tests.delivery.review.building import Preview
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_REF"):
        monkeypatch.delenv(name, raising=False)


def review(tmp_path: Path, events: Preview | str, *words: str) -> int:
    file = tmp_path / "events.json"
    file.write_text(events if isinstance(events, str) else events.text)
    return main(["review", "--events", str(file), "--stack", "prod", *words])


def green() -> Preview:
    return Preview().rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10})


def test_exit_codes(tmp_path: Path) -> None:
    assert review(tmp_path, green(), "--no-policy") == 0
    assert review(tmp_path, green().says("error", "no"), "--no-policy") == 1
    assert review(tmp_path, "", "--no-policy") == 1
    assert review(tmp_path, green()) == 1, "the pack that was expected has not run"
    assert review(tmp_path, green().policy("rule", "no", "advisory")) == 0
    assert review(tmp_path, green().policy("rule", "no")) == 3
    assert main(["review", "--events", str(tmp_path / "none")]) == 2


def test_a_wrong_word_is_a_usage_mistake() -> None:
    for words in (["review", "--format", "pdf"], ["reviw"], []):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 2


def test_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    review(tmp_path, green(), "--no-policy")
    assert capsys.readouterr().out.startswith("prod: churn 3 → 4 at 10 % (was 0 %)\n")
    review(tmp_path, green(), "--no-policy", "--format", "markdown")
    assert capsys.readouterr().out.startswith("## `prod`: `churn` 3 → 4 at 10 % (was 0 %)\n")
    review(tmp_path, green(), "--no-policy", "--format", "json")
    said = json.loads(capsys.readouterr().out)
    assert (said["outcome"], said["title"]) == ("passed", "churn 3 → 4 at 10 % (was 0 %)")
    assert said["traffic"][0]["kind"] == "new canary"
    assert said["cost"]["change"] == 0


def test_the_summary_of_a_workflow_gets_the_comment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    review(tmp_path, green(), "--no-policy", "--format", "json", "--output", str(tmp_path / "out.json"))
    assert summary.read_text().startswith("## `prod`: ")
    assert json.loads((tmp_path / "out.json").read_text())["stack"] == "prod"


def test_posting_without_a_target_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(tmp_path, green(), "--post") == 2
    said = capsys.readouterr()
    assert "GITHUB_TOKEN" in said.err and "--pull-request" in said.err and said.out == ""


def test_a_pack_that_can_not_be_loaded_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # What the engine logs when the pack ends before it serves: no summary, and the pack's own words.
    said = "The policy pack can't be used: rulez: unknown key; asked postgres://me:pass-of-me@db"
    said += ", --password=pass-of-me"
    lines = Preview().says("info#err", said).text.splitlines(keepends=True)
    cancelled = lines[-1].replace('"sequence": 3', '"sequence": 2')
    assert review(tmp_path, "".join([*lines[:2], cancelled])) == 1
    shown = capsys.readouterr()
    assert "rulez: unknown key" in shown.err and "pass-of-me" not in shown.err
    assert shown.out == ""


def test_a_folder_that_is_no_pack_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "--policy-pack", str(tmp_path)]) == 2
    assert "no PulumiPolicy.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [("instances: {", "no YAML"), ("{}", "missing"), ("free: []\nhourlly: {}", "hourlly: unknown")],
)
def test_a_wrong_price_table_is_refused(
    tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(content)
    assert review(tmp_path, green(), "--no-policy", "--prices", str(prices)) == 2
    assert says in capsys.readouterr().err


def pulumi(tmp_path: Path, script: str) -> tuple[str, ...]:
    file = tmp_path / "pulumi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return (str(file),)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo \"error: no stack named 'prod' found\"; exit 255", "There is no stack prod"),
        (
            "echo 'error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI'; exit 1",
            r"not logged in.*`\./pulumiw login`.*`make review ENV=prod SINCE=main`",
        ),
        ("echo 'error: could not load the policy pack'; exit 1", "could not load the policy pack"),
        ("exit 137", "exit code 137"),
    ],
)
def test_a_preview_that_does_not_begin_says_why(tmp_path: Path, script: str, says: str) -> None:
    request = preview.Request(stack="prod", command=pulumi(tmp_path, script), environment=dict(os.environ))
    with pytest.raises(ReviewError, match=says):
        preview.run(request)


def test_a_preview_that_hangs_ends(tmp_path: Path) -> None:
    command = pulumi(tmp_path, "exec sleep 60")
    with pytest.raises(ReviewError, match="took over"):
        preview.run(preview.Request(stack="prod", command=command, seconds=0.2))


def test_a_missing_pulumi_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="can't be started"):
        preview.run(preview.Request(stack="prod", command=(str(tmp_path / "none"),)))


def test_a_preview_that_is_interrupted_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed engine leaves its plugins behind; one that gets two signals ends at once."""
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    script = tmp_path / "pulumi"
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(ended)!r}, 'a').write('x')\n    sys.exit(1)\n"
        f"signal.signal(signal.SIGINT, end)\npathlib.Path({str(ready)!r}).touch()\ntime.sleep(600)\n"
    )
    script.chmod(0o755)
    communicate = subprocess.Popen[str].communicate

    def interrupted(process: subprocess.Popen[str], *words: object, **named: object) -> tuple[str, str]:
        if not ended.exists() and named.get("timeout") == 3600:
            deadline = time.monotonic() + PATIENCE
            while not ready.exists():
                assert process.poll() is None and time.monotonic() < deadline
            raise KeyboardInterrupt
        return communicate(process, *words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        preview.run(preview.Request(stack="prod", command=(str(script),)))
    assert ended.read_text() == "x"


def test_a_locale_without_arrows_ends_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(green().text)
    done = subprocess.run(
        [sys.executable, "-m", "delivery", "review", "--no-policy", "--events", str(log)],
        cwd=preview.ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "churn" in done.stdout and "3 ? 4 at 10 %" in done.stdout
