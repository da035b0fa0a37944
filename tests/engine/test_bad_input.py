"""A mistake is one clear message and a non-zero exit, and what ran before goes on untouched."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from tests.engine.conftest import add_version
from tests.engine.stack import Stack

pytestmark = pytest.mark.real

GOOD: dict[str, Any] = {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 10}}}


@pytest.fixture
def running(stack: Stack) -> Stack:
    stack.up(GOOD)
    return stack


def refused(stack: Stack, models: dict[str, Any], *messages: str) -> str:
    """An update with a mistake: refused in words, and nothing that ran is touched."""
    before = stack.pids()
    outputs, rollout = stack.outputs()["endpoints"]["churn"], _state(stack, "Rollout", "churn")
    ran = stack.up(models, check=False)
    assert ran.code != 0
    assert "Traceback" not in ran.text, ran.text
    assert "bug in the provider" not in ran.text, ran.text
    assert "unhandled error" not in ran.text, "the engine has nothing to add to a mistake of the user's"
    for message in messages:
        assert message in ran.text, ran.text
    assert stack.pids() == before
    assert stack.outputs()["endpoints"]["churn"] == outputs
    assert _state(stack, "Rollout", "churn") == rollout, "a step that was not applied never served"
    with httpx.Client(trust_env=False) as client:
        assert stack.predict(client).status_code == 200
    return ran.text


def test_every_wrong_key_and_value_is_named_at_once(running: Stack) -> None:
    models = {
        "churn": {"stable": {"version": 1}, "canary": {"version": 2, "wieght": 10}},
        "fraud": {"stable": {"version": "one"}, "autoscaling": {"min": 0}},
    }
    refused(
        running,
        models,
        "models.churn.canary.wieght",
        "weight",
        "models.fraud.stable.version",
        "models.fraud.autoscaling.min",
    )


@pytest.mark.parametrize("weight", [-1, 101, "10%", True])
def test_a_weight_outside_its_range(running: Stack, weight: object) -> None:
    models = {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": weight}}}
    refused(running, models, "models.churn.canary.weight", "0", "100")


def test_a_canary_that_is_the_stable_release(running: Stack) -> None:
    models = {"churn": {"stable": {"version": 1}, "canary": {"version": 1, "weight": 10}}}
    refused(running, models, "models.churn.canary.version")


def test_a_version_that_is_not_registered(running: Stack) -> None:
    models = {"churn": {"stable": {"version": 1}, "canary": {"version": 99, "weight": 10}}}
    refused(running, models, "churn has no version 99", "registered are 1, 2, 3, 4")


def test_a_model_that_is_not_registered(running: Stack) -> None:
    refused(running, {**GOOD, "chrun": {"stable": {"version": 1}}}, "no model 'chrun'", "churn, fraud")


def test_a_port_in_use(running: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other.declare({}, {"kind": "local", "ports": {**other.ports, "gateway": port}})
        ran = other.preview(check=False)
    assert ran.code != 0
    assert f"port {port} on 127.0.0.1 is in use" in ran.text
    assert "Traceback" not in ran.text


def test_a_missing_tool(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    folders = stack.env["PATH"].split(":")
    stack.env["PATH"] = ":".join(f for f in folders if not (Path(f) / "prometheus").exists())
    ran = stack.preview({}, check=False)
    assert ran.code != 0
    assert "prometheus is missing" in ran.text and "make setup" in ran.text
    assert "Traceback" not in ran.text


def test_a_pinned_release_that_is_lost_stops_no_other_model(running: Stack, tmp_path: Path) -> None:
    """Every update was refused, the rollback of another model too."""
    registry = running.home / "registry"
    add_version(registry, tmp_path, "changing", 1)
    models = {**GOOD, "changing": {"stable": {"version": 1}}}
    running.up({**models, "churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 20}}})
    model = Path(_state(running, "Release", "changing")["artifact"]) / "MLmodel"
    kept = model.read_text()
    try:
        model.write_text(kept + "\n")
        rolled_back = running.up(models).text
        assert "changing-v1 stays as it is pinned" in rolled_back
        assert "is not what was registered" in rolled_back
        assert "Its servers answer until they are restarted, and can't start again" in rolled_back
        assert [r["weight"] for r in running.outputs()["endpoints"]["churn"]["releases"]] == [90, 10]
    finally:
        model.write_text(kept)
    uri = f"sqlite:///{registry}/mlflow.db"
    MlflowClient(uri, uri).delete_model_version("changing", "1")
    promoted = {**models, "churn": {"stable": {"version": 2}}}
    said = running.up(promoted).text
    assert "changing has no version 1 in the registry" in said and "can start again" in said
    # A new release of it has nothing to go on with.
    refused(running, {**promoted, "changing": {"stable": {"version": 2}}}, "changing has no version 2")
    running.up(GOOD)


def _state(stack: Stack, kind: str, model: str) -> dict[str, Any]:
    """The outputs of a model's only Release, or of its Rollout, after the last update."""
    (found,) = _states(stack, kind, model)
    return found


def _states(stack: Stack, kind: str, model: str) -> list[dict[str, Any]]:
    state = json.loads(stack.command("stack", "export", "--stack", "local").text)
    return [
        r["outputs"]
        for r in state["deployment"]["resources"]
        if r["type"] == f"delivery:registry:{kind}" and r["outputs"]["model"] == model
    ]


def test_without_a_registry_a_first_plan_is_refused_and_a_later_one_goes_on_with_what_is_pinned(
    running: Stack,
) -> None:
    database = running.home / "registry" / "mlflow.db"
    away = database.with_suffix(".away")
    shutil.move(database, away)
    try:
        changed = {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 20}}}
        ran = running.up(changed)
        assert "pinned" in ran.text
        assert running.outputs()["endpoints"]["churn"]["releases"][1]["weight"] == 20
        new = {"churn": {"stable": {"version": 1}, "canary": {"version": 3, "weight": 20}}}
        refused(running, new, "churn-v3 can't be resolved", "does not answer")
    finally:
        shutil.move(away, database)
    running.up(GOOD)


def test_a_server_that_can_not_start_leaves_traffic_as_it_was(running: Stack, tmp_path: Path) -> None:
    """An artifact that the registry has but no server can load: the route must not move."""
    registry = running.home / "registry"
    add_broken_version(registry, tmp_path)
    models = {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 10}}}
    broken = {**models, "broken": {"stable": {"version": 1}}}
    text = refused(running, broken, "broken-v1-0")
    assert _states(running, "Rollout", "broken") == [], "what could not start has served nobody"
    assert "cannot load" in text
    running.up(GOOD)


def add_broken_version(registry: Path, work: Path) -> None:
    from pipeline.registering import Facts, register

    folder = work / "broken"
    folder.mkdir()
    (folder / "MLmodel").write_text(
        "flavors:\n  sklearn: {pickled_model: model.pkl, serialization_format: pickle}\n"
    )
    (folder / "model.pkl").write_bytes(b"no pickle")
    facts = Facts(training_digest="sha256:b", data_name="none", data_digest="sha256:0")
    register(
        folder,
        "broken",
        facts,
        tracking_uri=f"sqlite:///{registry}/mlflow.db",
        artifacts=registry / "artifacts",
    )


def test_a_misspelt_top_key_is_no_empty_environment(running: Stack) -> None:
    text = running.config.read_text()
    running.config.write_text(text.replace("model-delivery:models", "model-delivery:modles"))
    ran = running.preview(check=False)
    assert ran.code != 0
    assert "modles" in ran.text and "models" in ran.text and "Traceback" not in ran.text


def test_a_mistake_in_one_model_keeps_the_others_from_changing(running: Stack) -> None:
    """``up`` previews first: nothing is half-applied."""
    running.declare({**GOOD, "fraud": {"stable": {"version": 7}}})
    text = running.config.read_text().replace("weight: 10", "weight: 90")
    running.config.write_text(text)
    ran = running.command("up", "--yes", *running.flags, check=False)
    assert ran.code != 0 and "fraud has no version 7" in ran.text
    assert running.outputs()["endpoints"]["churn"]["releases"][1]["weight"] == 10
    assert "fraud" not in running.outputs()["endpoints"]
