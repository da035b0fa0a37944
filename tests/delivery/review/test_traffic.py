"""A step of a rollout in the words of a release."""

from __future__ import annotations

from typing import Any

import pytest

from delivery.review import markdown, terminal
from delivery.review.traffic import Kind
from tests.delivery.review.building import Preview, reviewed


def split(stable: int, canary: int | None = None, weight: int = 0, shadow: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = {"stable": stable}
    return said if canary is None else {**said, "canary": canary, "weight": weight, "shadow": shadow}


@pytest.mark.parametrize(
    ("before", "after", "kind", "words", "pair"),
    [
        (None, split(3), Kind.NEW, "3 at 100 % (new)", (None, 3)),
        (None, split(3, 4, 5), Kind.NEW, "3 at 95 % (new, with v4 5 %)", (None, 3)),
        (split(3), None, Kind.REMOVED, "removed (served v3 100 %)", (None, 3)),
        (split(3), split(3, 4, 10), Kind.CANARY, "3 → 4 at 10 % (was 0 %)", (3, 4)),
        (split(3), split(3, 4, 0), Kind.CANARY, "3 → 4 at 0 % (was 0 %)", (3, 4)),
        (split(3, 4, 10), split(3, 4, 50), Kind.WEIGHT, "3 → 4 at 50 % (was 10 %)", (3, 4)),
        (split(3, 4, 0), split(3, 4, 100), Kind.WEIGHT, "3 → 4 at 100 % (was 0 %)", (3, 4)),
        (split(3, 4, 50), split(4), Kind.PROMOTION, "3 → 4 at 100 % (was 50 %)", (3, 4)),
        (split(3, 4, 50), split(3, 4, 10), Kind.ROLLBACK, "back: 4 → 3 at 90 % (was 50 %)", (4, 3)),
        (split(3, 4, 50), split(3), Kind.ROLLBACK, "back: 4 → 3 at 100 % (was 50 %)", (4, 3)),
        (split(3, 4, 60), split(4, 3, 0), Kind.PROMOTION, "3 → 4 at 100 % (was 60 %)", (3, 4)),
        (split(4, 3, 0), split(4), Kind.RETIRED, "3 gone, v4 100 % as before", (3, 4)),
        (split(3), split(3, 4, shadow=True), Kind.SHADOW, "4 as shadow of 3", (3, 4)),
        (split(3, 4, shadow=True), split(3, 4, 10), Kind.WEIGHT, "3 → 4 at 10 % (was 0 %)", (3, 4)),
        (split(3, 4, shadow=True), split(3), Kind.ROLLBACK, "shadow 4 gone, v3 100 % as before", (4, 3)),
        (split(3), split(5), Kind.SWITCH, "3 → 5 at 100 % (was 0 %)", (3, 5)),
        (split(3, 4, 10), split(3, 5, 10), Kind.CANARY, "4 → 5 at 10 % (was 0 %)", (4, 5)),
    ],
)
def test_what_a_change_is_and_says(
    before: Any, after: Any, kind: Kind, words: str, pair: tuple[int | None, int]
) -> None:
    (change,) = reviewed(Preview().rollout("churn", before, after)).traffic
    assert (change.kind, change.words) == (kind, words)
    assert change.pair == pair


def test_a_version_that_served_before_is_a_rollback() -> None:
    (change,) = reviewed(Preview().rollout("churn", split(4), split(3), served=[3, 4])).traffic
    assert change.kind is Kind.ROLLBACK
    assert change.words == "back: 4 → 3 at 100 % (was 0 %)"


def test_a_model_that_stays_is_not_in_the_title() -> None:
    review = reviewed(
        Preview()
        .rollout("a", split(1), split(1))
        .rollout("b", split(1), split(1, 2, 5))
        .step("same", "a:b:C", "r", {}, {})
    )
    assert review.title == "b 1 → 2 at 5 % (was 0 %)"
    assert [t.model for t in review.moved] == ["b"]


@pytest.mark.parametrize(
    ("preview", "title"),
    [
        (Preview().rollout("a", split(1), split(1)), "no changes"),
        (Preview().outputs({"u": 1}, {"u": 2}), "outputs change"),
        (
            Preview().step("delete", "a:b:C", "x", {}, None).step("create", "a:b:C", "y", None, {}),
            "1 to delete, 1 to create, no model's traffic changes",
        ),
    ],
)
def test_a_change_without_traffic_has_a_title_too(preview: Preview, title: str) -> None:
    assert reviewed(preview).title == title


def test_another_registered_model_is_a_change_though_the_versions_are_the_same() -> None:
    old = {"model": "churn", "runtime": "local", "stable": {"version": 3}}
    new = {**old, "registeredModel": "main.ml.churn", "was": {"stable": {"version": 3}}}
    preview = (
        Preview()
        .step("update", "delivery:registry:Rollout", "churn", old, new)
        .step(
            "replace",
            "delivery:registry:Release",
            "churn-v3",
            {"model": "churn", "version": 3, "metrics": {"auc": 0.9}},
            {"model": "main.ml.churn", "endpoint": "churn", "version": 3, "metrics": {"auc": 0.5}},
        )
    )
    review = reviewed(preview)
    (change,) = review.moved
    assert (change.kind, change.pair) == (Kind.REGISTERED, (3, 3))
    assert review.title == "churn v3 100 % of another registered model (was v3 100 %)"
    (found,) = review.comparisons
    assert [(m.before, m.after, m.verdict) for m in found.metrics] == [(0.9, 0.5, "worse")]
    assert "straight to the registered model `main.ml.churn`, was `churn`" in markdown.render(review)
    assert "another registered model: churn → main.ml.churn" in terminal.render(review, colour=False)


def test_versions_are_those_of_the_models_own_registered_model() -> None:
    """Two models of one registered model, and one whose name is another's registered model."""
    step = ({"stable": 3}, {"stable": 3, "canary": 4, "weight": 10})
    preview = Preview()
    for name, auc in (("churn-eu", 0.1), ("churn-us", 0.2)):
        for version in (3, 4):
            inputs = {
                "model": "churn",
                "endpoint": name,
                "version": version,
                "metrics": {"auc": auc + version},
            }
            preview.step("same", "delivery:registry:Release", f"{name}-v{version}", inputs, inputs)
        preview.rollout(name, *step, registeredModel="churn")
    preview.rollout("churn", *step)
    found = {c.model: [(m.before, m.after) for m in c.metrics] for c in reviewed(preview).comparisons}
    assert found == {"churn": [], "churn-eu": [(3.1, 4.1)], "churn-us": [(3.2, 4.2)]}
