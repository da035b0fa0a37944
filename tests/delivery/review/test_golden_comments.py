"""Whole comments, as people get them.

`UPDATE_GOLDEN=1 make test TESTS=tests/delivery/review` writes the files in tests/delivery/golden anew: read
the difference as a reviewer would. Those of prod come from logs of the real engine (see record.py).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from delivery.review import markdown, terminal
from delivery.review.review import Outcome
from tests.delivery.review.building import SECRET, Preview, recorded, reviewed, urn

GOLDEN = Path(__file__).parents[1] / "golden"
SIGNATURE = {
    "inputs": '[{"name": "age", "type": "double"}, {"name": "income", "type": "double"}]',
    "outputs": '[{"name": "label", "type": "long"}]',
}


def golden(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.md"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("## ").replace("`", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("weight-change", "prod: fraud 3 → 4 at 50 % (was 10 %)"),
        ("promotion", "prod: fraud 3 → 4 at 100 % (was 10 %)"),
        ("rollback", "prod: fraud back: 4 → 3 at 100 % (was 90 %)"),
        ("removed-model", "prod: fraud removed (served v3 90 %, v4 10 %)"),
    ],
)
def test_a_change_of_one_model_in_prod(name: str, expected: str) -> None:
    review = reviewed(recorded(name))
    text = markdown.render(review)
    assert title(text) == expected
    assert review.outcome is Outcome.PASSED
    golden(name, text)


def test_the_first_deploy_of_prod() -> None:
    review = reviewed(recorded("first-deploy"))
    text = markdown.render(review)
    assert title(text).startswith("prod: address-match 12 at 95 % (new, with v13 5 %); churn 5 at")
    assert title(text).endswith("and 1 more model")
    assert review.cost.before.total == 0 and review.cost.change > 1000
    golden("first-deploy", text)


def test_a_platform_change_that_replaces_nodes() -> None:
    review = reviewed(recorded("platform-change"))
    text = markdown.render(review)
    assert "> - **replace** `aws:eks/nodeGroup:NodeGroup` `cpu`: `instanceTypes" in text
    # 3 m7i.xlarge become m7i.2xlarge, and 100 GB more for two copies of the database.
    assert round(review.cost.change) == round(3 * 0.2016 * 730 + 2 * 100 * 0.115)
    golden("platform-change", text)


def test_a_violation_of_policy() -> None:
    review = reviewed(recorded("policy-violation"), policy_expected=True)
    text = markdown.render(review)
    assert review.outcome is Outcome.REFUSED
    assert "- **Fix**: " in text.partition("### Traffic")[0]
    golden("policy-violation", text)


def test_a_new_canary_with_what_it_means() -> None:
    preview = (
        Preview()
        .release(
            "same",
            "churn",
            3,
            metrics={"auc": 0.91, "log_loss": 0.31, "rows": 20000},
            signature=SIGNATURE,
            data="sha256:aaaa",
            commit="1" * 40,
            size=1_200_000,
            approvedBy="maria",
            approvedAt="2026-11-01T10:00:00Z",
        )
        .release(
            "create",
            "churn",
            4,
            metrics={"auc": 0.93, "log_loss": 0.35, "rows": 24000},
            signature={**SIGNATURE, "inputs": '[{"name": "age", "type": "long"}]'},
            data="sha256:bbbb",
            commit="2" * 40,
            size=3_400_000,
        )
        .step(
            "update",
            "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute",
            "churn",
            {"spec": {"rules": [{"backendRefs": [{"name": "churn-v3", "weight": 100}]}]}},
            {
                "spec": {
                    "rules": [
                        {
                            "backendRefs": [
                                {"name": "churn-v3", "weight": 90},
                                {"name": "churn-v4", "weight": 10},
                            ]
                        }
                    ]
                }
            },
            {"spec": "update"},
        )
        .rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10})
    )
    preview.packs = {"model-delivery|local|/checkout/policy": "0.1.0"}
    text = markdown.render(reviewed(preview, policy_expected=True))
    assert title(text) == "prod: churn 3 → 4 at 10 % (was 0 %)"
    assert "| `auc` | 0.91 | 0.93 | +0.02 (+2.2 %) | ✅ better |" in text
    assert "| `log_loss` | 0.31 | 0.35 | +0.04 (+12.9 %) | 🔻 **worse** |" in text
    assert "| `rows` | 20000 | 24000 | +4000 (+20.0 %) |  |" in text
    assert "`input age: double → long`" in text and "`input income: gone, was double`" in text
    assert "`spec.rules[0].backendRefs[0].weight`: `100` → `90`" in text
    assert "⚠️ approved: `by maria at 2026-11-01T10:00:00Z` → –" in text
    golden("new-canary", text)


def test_a_value_that_becomes_secret_is_not_shown() -> None:
    old = {"data": {"password": "hunter2-of-old", "url": "postgres://app:hunter2-of-old@db/app", "tier": "a"}}
    new = {"data": {"password": SECRET, "url": "postgres://app:hunter2-of-old@db2/app", "tier": "b"}}
    preview = (
        Preview()
        .step(
            "update",
            "kubernetes:core/v1:ConfigMap",
            "settings",
            old,
            new,
            {"data.tier": "update", "data.url": "update"},
        )
        .step(
            "update",
            "kubernetes:core/v1:Secret",
            "key",
            {"stringData": {"key": SECRET}},
            {"stringData": {"key": SECRET}},
            {"stringData.key": "update"},
        )
        .says("warning", "could not log in with hunter2-of-old")
    )
    text = markdown.render(reviewed(preview))
    assert "hunter2" not in text
    assert "- `data.password`: becomes secret" in text
    assert "- `stringData.key`: changes, and is secret" in text
    assert "- `data.tier`: `a` → `b`" in text
    golden("secret-change", text)


def test_two_hundred_models() -> None:
    preview = Preview()
    for number in range(200):
        model = f"model-{number:03d}"
        metrics = {f"auc_{i}": 0.9 + i / 1000 for i in range(20)}
        preview.release("same", model, 1, metrics=metrics)
        preview.release("create", model, 2, metrics={key: value + 0.01 for key, value in metrics.items()})
        preview.rollout(model, {"stable": 1}, {"stable": 1, "canary": 2, "weight": 10})
        if number == 7:
            preview.step("delete", "aws:s3/bucket:Bucket", "kept", {"bucket": "kept"}, None, protect=True)
    preview.policy("step-limit", "model-007: a jump\nFix: smaller steps", at=urn("x", "model-007"))
    text = markdown.render(reviewed(preview))
    assert len(text.encode()) <= markdown.LIMIT
    assert "Shortened to fit in a comment: " in text and "full diff" in text.partition("Shortened")[2]
    assert text.count("| new canary |") == 200, "the traffic of every model is still there"
    assert "**delete** `aws:s3/bucket:Bucket` `kept` (the engine will refuse it: protected)" in text
    assert "smaller steps" in text
    golden("200-models", text)


def test_a_terminal_says_what_stops_first_and_advice_last() -> None:
    text = terminal.render(reviewed(recorded("policy-violation"), policy_expected=True), colour=False)
    assert (
        text.index("refused: ")
        < text.index("\nTraffic\n")
        < text.index("\nResources\n")
        < text.index("advice: ")
    )
    assert text.rindex("refused: ") < text.index("\nTraffic\n")
