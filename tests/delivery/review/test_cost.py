"""What a review says of the bill: of which region the prices are, and what is in no total."""

from __future__ import annotations

import json

from delivery.review import as_json, sections, terminal
from tests.delivery.review.building import Preview, reviewed

CLUSTER = "gcp:container/cluster:Cluster"
LATER = "gcp:bigtable/instance:Instance"


def preview(region: str) -> Preview:
    provider = {"project": "acme-models", "region": region}
    unpriced = {"name": "table"}
    return (
        Preview()
        .step("same", "pulumi:providers:gcp", "gcp", provider, provider)
        .step("create", CLUSTER, "cluster", None, {"location": region})
        .step("same", LATER, "features", unpriced, unpriced)
    )


def test_the_region_of_the_prices_is_said_where_the_stack_is_in_another_one() -> None:
    text = "\n".join(sections.cost(reviewed(preview("europe-west4")), None))
    assert "**+73.00 USD a month** (0.00 → 73.00), list prices of us-central1" in text
    assert "Other regions cost something else: gcp is in europe-west4." in text
    assert "us-east-1" not in text, "nothing of AWS is priced"


def test_it_is_not_said_where_the_stack_is_there() -> None:
    review = reviewed(preview("us-central1"))
    assert "Other regions" not in "\n".join(sections.cost(review, None))
    assert review.cost.elsewhere == ()


def test_what_is_in_no_total_is_named_though_it_does_not_change() -> None:
    review = reviewed(preview("europe-west4"))
    text = "\n".join(sections.cost(review, None))
    assert "Unchanged, and in no total, for no price is known: `gcp:bigtable/instance:Instance` × 1" in text
    assert review.cost.unpriced == ()
    shown = terminal.render(review, colour=False)
    assert "gcp is in europe-west4; 0 not priced, 1 unchanged ones neither)" in shown
    said = json.loads(as_json.render(review))["cost"]
    assert (said["region"], said["elsewhere"]) == ("us-central1", ["gcp is in europe-west4"])
    assert said["unchangedWithoutPrice"] == {LATER: 1}


def test_a_stack_of_which_nothing_has_a_price_does_not_show_a_zero() -> None:
    text = "\n".join(sections.cost(reviewed(Preview().step("same", LATER, "a", {"b": 1}, {"b": 1})), None))
    assert "in no total" in text
