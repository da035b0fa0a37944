"""Pulumi's own provider on a stack that is there: what is left alone, put back, made again and told."""

from __future__ import annotations

import signal

import pytest

from tests.cluster.api import DEPLOYMENT, ROUTE, Api
from tests.cluster.history import split_of
from tests.cluster.stack import PLATFORM, SPACE, VISION, ClusterStack, fraud, split, written
from tests.waiting import eventually

pytestmark = pytest.mark.cluster
BEFORE = {"fraud-v3": 90, "fraud-v4": 10}


def test_a_second_update_and_a_refresh_find_nothing_to_do(canary: ClusterStack) -> None:
    again = canary.up("--expect-no-changes", check=False)
    assert again.code == 0, again.text
    refreshed = canary.refresh("--expect-no-changes", check=False)
    assert refreshed.code == 0, refreshed.text


def test_what_was_deleted_by_hand_is_made_again(api: Api, canary: ClusterStack) -> None:
    api.delete(api.at(api.get(ROUTE, SPACE, "fraud")))
    canary.up("--refresh")
    assert split_of(api.get(ROUTE, SPACE, "fraud")) == BEFORE


def test_a_weight_that_was_changed_by_hand_is_told_and_put_back(api: Api, canary: ClusterStack) -> None:
    path = api.at(api.get(ROUTE, SPACE, "fraud"))
    edit = [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 77}]
    api.send("PATCH", path, {"fieldManager": "kubectl-edit"}, edit, "application/json-patch+json")
    told = canary.preview("--refresh", "--diff", check=False)
    assert "weight: 77 => 10" in told.text
    assert split_of(api.get(ROUTE, SPACE, "fraud"))["fraud-v4"] == 77
    canary.up("--refresh")
    assert split_of(api.get(ROUTE, SPACE, "fraud")) == BEFORE


def test_a_volume_is_not_given_up_for_a_smaller_one(api: Api, canary: ClusterStack) -> None:
    less = {**PLATFORM, "tracking": {**PLATFORM["tracking"], "storage": "1Gi"}}
    models = {"fraud": fraud(canary={"version": 4, "weight": 10}), "vision": VISION}
    canary.declare(written(models, less))
    refused = canary.up(check=False)
    canary.declare(split(10))
    assert refused.code != 0, refused.text
    claims = api.send("GET", f"/api/v1/namespaces/{SPACE}/persistentvolumeclaims")["items"]
    assert [claim["status"]["phase"] for claim in claims] == ["Bound"]
    assert canary.up("--refresh", "--expect-no-changes", check=False).code == 0


def test_a_server_that_never_gets_ready_gets_no_traffic_and_can_be_taken_back(
    api: Api, canary: ClusterStack
) -> None:
    huge = fraud(canary={"version": 5, "weight": 10}, resources={"memory": "900Gi"})
    canary.declare(written({"fraud": huge, "vision": VISION}))
    with canary.start("up", "--yes", "--skip-preview") as update:
        eventually(
            "the server that finds no node",
            lambda: [
                one
                for one in api.list(DEPLOYMENT, SPACE)
                if one["metadata"]["name"] == "fraud-v5" and one.get("status", {}).get("replicas")
            ],
        )
        update.send_signal(signal.SIGINT)
        update.wait(120)
    assert update.returncode != 0
    assert split_of(api.get(ROUTE, SPACE, "fraud")) == BEFORE
    canary.declare(split(10))
    canary.up("--refresh")
    assert "fraud-v5" not in {one["metadata"]["name"] for one in api.list(DEPLOYMENT, SPACE)}
    assert split_of(api.get(ROUTE, SPACE, "fraud")) == BEFORE
