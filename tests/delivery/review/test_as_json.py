"""A review for scripts: its keys are a contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from delivery.review import as_json
from tests.delivery.review.building import Preview, reviewed, urn


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    preview = (
        Preview()
        .rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10})
        .release("same", "churn", 3, metrics={"accuracy": 0.9})
        .release("create", "churn", 4, metrics={"accuracy": 0.92})
        .step("create", "aws:kms/key:Key", "data", None, {"description": "models"})
        .step("create", "aws:opensearch/domain:Domain", "logs", None, {})
        .step("update", "aws:sqs/queue:Queue", "q", {"name": "a"}, {"name": "b"}, {"name": "update-replace"})
        .policy("canary-step", "too fast", at=urn("delivery:registry:Rollout", "churn"))
        .says("warning", "this will be deprecated")
        .says("error", "no credentials")
        .outputs({"url": "http://a"}, {"url": "http://b"})
    )
    return json.loads(as_json.render(reviewed(preview)))


def test_what_it_is_of(said: dict[str, Any]) -> None:
    assert list(said) == [
        *("stack", "title", "outcome", "counts", "traffic", "models", "violations", "changes", "outputs"),
        *("cost", "errors", "warnings", "packs", "note"),
    ]
    assert (said["stack"], said["outcome"]) == ("prod", "failed")
    assert said["counts"] == {"update": 2, "same": 1, "create": 3}
    assert said["packs"] == ["model-delivery 0.1.0"]


def test_the_traffic_and_the_models(said: dict[str, Any]) -> None:
    (traffic,) = said["traffic"]
    assert (traffic["model"], traffic["runtime"], traffic["kind"]) == ("churn", "kubernetes", "new canary")
    assert traffic["words"] == "3 → 4 at 10 % (was 0 %)"
    assert traffic["after"] == {
        "stable": 3,
        "canary": 4,
        "weight": 10,
        "shadow": False,
        "registered_model": "",
    }
    (model,) = said["models"]
    assert (model["model"], model["before"], model["after"]) == ("churn", 3, 4)
    assert model["metrics"] == [
        {"name": "accuracy", "before": 0.9, "after": 0.92, "way": "higher", "verdict": "better"}
    ]


def test_what_stops_it_and_what_changes(said: dict[str, Any]) -> None:
    (violation,) = said["violations"]
    assert (violation["rule"], violation["pack"], violation["mandatory"]) == (
        *("canary-step", "model-delivery", True),
    )
    assert (violation["what"], violation["resource"]) == ("too fast", "delivery:registry:Rollout::churn")
    queue = next(change for change in said["changes"] if change["name"] == "q")
    assert (queue["op"], queue["type"]) == ("update", "aws:sqs/queue:Queue")
    assert queue["fields"] == [{"path": "name", "before": "a", "after": "b", "replaces": True, "note": ""}]
    assert said["outputs"] == [{"path": "url", "before": "http://a", "after": "http://b"}]


def test_what_it_costs(said: dict[str, Any]) -> None:
    cost = said["cost"]
    assert (cost["before"], cost["after"], cost["change"]) == (0, 1, 1)
    assert (cost["currency"], cost["pricesOf"], cost["region"]) == ("USD", "2026-06-17", "us-east-1")
    assert "aws:opensearch/domain:Domain::logs" in cost["notPriced"]


def test_what_the_engine_said(said: dict[str, Any]) -> None:
    assert said["errors"] == [{"severity": "error", "message": "no credentials", "urn": ""}]
    assert said["warnings"] == [{"severity": "warning", "message": "this will be deprecated", "urn": ""}]
