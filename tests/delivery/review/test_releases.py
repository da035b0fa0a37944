"""Two versions side by side."""

from __future__ import annotations

import pytest

from components.metric_direction import direction
from delivery.review.releases import Comparison, Metric, size
from tests.delivery.review.building import Preview, reviewed


def comparison(old: dict[str, object], new: dict[str, object]) -> Comparison:
    preview = (
        Preview()
        .release("same", "churn", 3, **old)
        .release("create", "churn", 4, **new)
        .rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10})
    )
    (found,) = reviewed(preview).comparisons
    return found


@pytest.mark.parametrize(
    ("name", "before", "after", "verdict"),
    [
        ("auc", 0.9, 0.91, "better"),
        ("auc", 0.9, 0.89, "worse"),
        ("loss", 0.3, 0.2, "better"),
        ("loss", 0.2, 0.3, "worse"),
        ("rows", 1.0, 2.0, ""),
        ("auc", 0.9, 0.9, "same"),
        ("auc", 0.9, float("nan"), "worse"),
        ("loss", 0.2, float("nan"), "worse"),
        ("auc", None, 0.9, ""),
        ("auc", 0.9, None, ""),
    ],
)
def test_better_or_worse(name: str, before: float | None, after: float | None, verdict: str) -> None:
    metric = Metric(name=name, before=before, after=after, way=direction(name))
    assert metric.verdict == verdict


def test_the_environment_says_which_way_a_metric_of_ones_own_is_better() -> None:
    own = {"metrics": {"cost_per_claim": "lower"}}
    preview = (
        Preview()
        .release("same", "churn", 3, metrics={"cost_per_claim": 10.0})
        .release("create", "churn", 4, metrics={"cost_per_claim": 12.0})
        .rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10}, **own)
    )
    (found,) = reviewed(preview).comparisons
    assert [metric.verdict for metric in found.metrics] == ["worse"]
    assert found.alarming


def test_a_metric_that_only_one_version_has_is_shown() -> None:
    found = comparison({"metrics": {"auc": 0.9}}, {"metrics": {"f1": 0.8}})
    assert [(m.name, m.before, m.after) for m in found.metrics] == [("auc", 0.9, None), ("f1", None, 0.8)]


def test_a_signature_is_compared_by_field() -> None:
    old = {
        "inputs": '[{"name": "age", "type": "double"}, {"type": "tensor", "tensor-spec": {"shape": [-1]}}]'
    }
    new = {
        "inputs": '[{"name": "age", "type": "double", "required": false}, '
        '{"type": "tensor", "tensor-spec": {"shape": [-1, 2]}}]',
        "outputs": '[{"name": "label", "type": "long"}]',
    }
    lines = comparison({"signature": old}, {"signature": new}).signature
    assert lines[0].startswith("input #1: ") and "[-1, 2]" in lines[0]
    assert lines[1] == "input age: double → double, optional"
    assert lines[2] == "output label: new, long"
    assert comparison({"signature": old}, {"signature": old}).signature == ()


def test_an_approval_that_is_lost_is_loud() -> None:
    found = comparison({"approvedBy": "maria"}, {"approvedBy": ""})
    assert [(f.before, f.after, f.loud) for f in found.facts if f.name == "approved"] == [
        ("by maria", "", True)
    ]


def test_a_digest_that_only_the_update_knows_is_said_so_and_nothing_is_lost() -> None:
    """Of a large artifact whose digest the registry has not recorded."""
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    old = {"digest": "sha256:a", "flavor": "onnx", "approvedBy": "maria"}
    found = comparison(old, {"digest": unknown, "flavor": "onnx", "approvedBy": unknown})
    facts = {fact.name: (fact.before, fact.after, fact.loud) for fact in found.facts}
    assert facts["artifact digest"] == ("sha256:a", "known after the update", False)
    assert facts["approved"] == ("by maria", "known after the update", False)


def test_facts_of_a_version_that_is_not_in_the_stack_are_missing_and_said_so() -> None:
    preview = Preview().rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10})
    (found,) = reviewed(preview).comparisons
    assert not found.known


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (11017, "11.0 kB"),
        (2500000000.0, "2.5 GB"),
        (50000000000000.0, "50000.0 GB"),
        ("", ""),
        (None, ""),
        (True, ""),
    ],
)
def test_sizes(value: object, text: str) -> None:
    assert size(value) == text
