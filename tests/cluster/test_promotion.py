"""A promotion on a real control plane: its watches see every moment of it."""

from __future__ import annotations

import pytest

from tests.cluster.api import DEPLOYMENT, POD, Api
from tests.cluster.history import history, outages, weights
from tests.cluster.stack import SERVED, SPACE, VISION, ClusterStack, fraud, written
from tests.waiting import eventually

pytestmark = pytest.mark.cluster


def test_nobody_is_sent_where_no_server_is_while_releases_come_and_go(api: Api, canary: ClusterStack) -> None:
    new = {"stable": {"version": 1}, "autoscaling": {"min": 3, "max": 5}}
    half = fraud(canary={"version": 4, "weight": 50})
    with history(api) as seen:
        canary.bring(written({"fraud": half, "vision": VISION, "churn": new}))
        canary.bring(written({"fraud": fraud(stable={"version": 4}), "vision": VISION}))
        events = seen.events(gone=["fraud-v3", "churn-v1"])
    assert weights("fraud", events) == [
        {"fraud-v3": 90, "fraud-v4": 10},
        {"fraud-v3": 50, "fraud-v4": 50},
        {"fraud-v4": 100},
    ]
    assert outages("fraud", SERVED, events) == []
    assert weights("churn", events) == [{"churn-v1": 100}]
    assert outages("churn", 3, events) == []
    assert {d["metadata"]["name"] for d in api.list(DEPLOYMENT, SPACE)} == {
        *("fraud-v4", "vision-v7", "vision-v8", "tracking"),
    }
    eventually("the old release's pods to be gone", lambda: not pods_of(api, "3"))
    assert len(pods_of(api, "4")) == SERVED


def pods_of(api: Api, version: str) -> list[str]:
    labels = {"model-delivery/model": "fraud", "model-delivery/version": version}
    return [
        pod["metadata"]["name"]
        for pod in api.list(POD, SPACE)
        if labels.items() <= pod["metadata"]["labels"].items()
    ]
