"""A release as the provider is asked for it, and what the program gets to know of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from components.environment import Model, ReleaseRef
from components.release import Release
from tests.unit.graph import declare

CHURN = Model(name="churn", runtime="local", stable=ReleaseRef(version=3))
FACTS = {"digest": "sha256:abc", "artifact": "/models/3", "source": "s3://models/3", "run": "run-3"}


def test_a_release_is_asked_for_by_version_and_tells_four_facts() -> None:
    found: dict[str, Any] = {}

    def program() -> None:
        release = Release("churn-v3", CHURN, 3, "https://mlflow.example.com")
        for name in FACTS:
            getattr(release, name).apply(lambda value, name=name: found.setdefault(name, value))
        Release("churn-v4", CHURN, 4, "https://mlflow.example.com", local=True)

    graph = declare(program, lambda type, name, inputs: FACTS)
    asked = {"model": "churn", "version": 3, "registry": "https://mlflow.example.com"}
    assert graph.one("delivery:registry:Release", "churn-v3").inputs == {**asked, "memory": 2048}
    assert graph.one("delivery:registry:Release", "churn-v4").inputs == {**asked, "version": 4, "local": True}
    assert found == FACTS


def test_a_registered_model_of_another_name_is_asked_for_and_the_release_says_whose_it_is() -> None:
    churn = replace(CHURN, registered_model="main.ml.churn")
    graph = declare(
        lambda: Release("churn-v3", churn, 3, "https://mlflow.example.com") and None,
        lambda type, name, inputs: FACTS,
    )
    inputs = graph.one("delivery:registry:Release", "churn-v3").inputs
    assert (inputs["model"], inputs["endpoint"]) == ("main.ml.churn", "churn")
