"""What ``make up`` tells at the end, and how it refuses a broken file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.environment import parse
from delivery import up
from tests.environments import FOLDER, environment_file
from tests.waiting import PATIENCE


def outputs(*releases: dict[str, Any]) -> dict[str, Any]:
    return {
        "gatewayUrl": "http://127.0.0.1:8080",
        "trackingUrl": "http://127.0.0.1:5000",
        "prometheusUrl": "http://127.0.0.1:9090",
        "endpoints": {"tumour": {"url": "http://127.0.0.1:8080/tumour", "releases": list(releases)}},
    }


def release(version: int, weight: int, shadow: bool = False) -> dict[str, Any]:
    return {"version": version, "weight": weight, "shadow": shadow, "digest": "sha256:0"}


def told(canary: dict[str, Any] | None, *releases: dict[str, Any]) -> str:
    model: dict[str, Any] = {"stable": {"version": 1}, **({"canary": canary} if canary else {})}
    return up.farewell(parse({"kind": "local"}, {"tumour": model}), outputs(*releases))


def test_the_end_says_where_everything_is_and_what_to_try() -> None:
    text = told({"version": 2, "weight": 10}, release(1, 90), release(2, 10))
    for url in ("http://127.0.0.1:8080", "http://127.0.0.1:5000", "http://127.0.0.1:9090"):
        assert url in text
    assert "http://127.0.0.1:8080/tumour   v1 90 %, v2 10 %" in text
    assert "curl -i http://127.0.0.1:8080/tumour/predict -d @examples/tumour.json" in text
    assert "python -m delivery promote tumour 2 --weight 50" in text


def test_nobody_approves_the_example_for_a_person() -> None:
    outcome = outputs(release(1, 100))
    model: dict[str, Any] = {"stable": {"version": 1}, "riskClass": "high"}
    text = up.farewell(parse({"kind": "local"}, {"tumour": model}), outcome)
    assert 'python -m pipeline approve tumour 1 --by "YOUR NAME"' in text
    text = up.farewell(parse({"kind": "local"}, {"tumour": {**model, "riskClass": "limited"}}), outcome)
    assert "approve" not in text


def test_the_registry_is_told_who_answers_for_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str]) -> int:
        ran.append(command)
        return 7

    monkeypatch.setattr(up, "_run", run)
    monkeypatch.setattr(up, "ROOT", FOLDER)
    assert up.main() == 7
    (train,) = ran
    assert train[1:] == ["-m", "pipeline", "train", "--owner", "oncology", "--risk-class", "high"]


@pytest.mark.parametrize(
    ("canary", "traffic"),
    [(None, "v1 100 %"), ({"version": 2, "shadow": True}, "v1 100 %, v2 shadow")],
)
def test_a_weight_is_suggested_only_where_there_is_one(canary: dict[str, Any] | None, traffic: str) -> None:
    releases = [release(1, 100), *([release(2, 0, shadow=True)] if canary else [])]
    text = told(canary, *releases)
    assert traffic in text
    assert "promote" not in text


def test_the_suggested_path_exists_in_the_file_that_is_shipped() -> None:
    environment = up.read(environment_file("local"))
    (model,) = environment.models
    assert model.name == "tumour" and model.canary is not None and not model.canary.shadow
    assert (up.ROOT / "examples" / "tumour.json").exists()


def test_a_broken_file_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.local.yaml").write_text("config:\n  model-delivery:platform: {kind: locl}\n")
    monkeypatch.setattr(up, "ROOT", tmp_path)
    assert up.main() == 2
    error = capsys.readouterr().err
    assert "platform.kind" in error and "Did you mean local?" in error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)])
def test_what_is_under_way_is_let_end_when_make_up_is_interrupted(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    step = tmp_path / "step"
    step.write_text(
        f"#!/bin/sh\ntrap 'sleep 1; touch {tmp_path}/ended; exit 3' INT\n"
        "echo under way; while :; do sleep 0.05; done\n"
    )
    step.chmod(0o700)
    ours = (
        "import signal, sys; from delivery import up\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.executable = {str(step)!r}; sys.exit(up.main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", ours],
        cwd=up.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any(line == "under way\n" for line in process.stdout)
    # Ctrl-C is for everybody at a terminal; `kill` tells one process.
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, error = process.communicate(timeout=PATIENCE)
    assert (tmp_path / "ended").exists()
    assert process.returncode == code, error
    assert "Traceback" not in error
