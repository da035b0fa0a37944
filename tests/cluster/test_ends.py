"""What ends: a namespace that somebody deleted by hand, and the whole stack. On a cluster of its own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.cluster.api import DEFINITION, NAMESPACE, ROUTE, Api, ApiError, Kind, Object
from tests.cluster.cluster import cluster
from tests.cluster.history import split_of
from tests.cluster.stack import PLATFORM, SPACE, ClusterStack, fraud, written
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

MODELS = {"fraud": fraud(canary={"version": 4, "weight": 10})}
SPLIT = {"fraud-v3": 90, "fraud-v4": 10}
OURS = ("app.kubernetes.io/part-of", "model-delivery")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with cluster(tmp_path_factory.mktemp("ending")) as api:
        yield api


@pytest.fixture(scope="module")
def stack(api: Api, tmp_path_factory: pytest.TempPathFactory) -> ClusterStack:
    return ClusterStack(tmp_path_factory.mktemp("ending-stack"), api.access)


def bring(stack: ClusterStack, *, protect: bool) -> None:
    """Apply the stack, whatever the last test has left of it."""
    stack.declare(written(MODELS, {**PLATFORM, "protectData": protect}))
    stack.up("--refresh")


def free(api: Api, volume: str) -> None:
    """Let another claim have a volume that outlived its claim, as its admin would."""
    path = api.path(Kind("v1", "PersistentVolume"), None, volume)
    eventually(
        "the volume to be released", lambda: api.send("GET", path)["status"]["phase"] == "Released", 60
    )
    api.send("PATCH", path, {}, {"spec": {"claimRef": None}}, "application/merge-patch+json")


def left(api: Api) -> set[str]:
    """What of the stack is in the cluster, of every kind that it has."""
    found: set[str] = set()
    for version, resource in _resources(api):
        kind = Kind(version, resource["kind"])
        for each in api.list(kind):
            metadata = each["metadata"]
            labels = metadata.get("labels") or {}
            if metadata.get("namespace") == SPACE or labels.get(OURS[0]) == OURS[1]:
                found.add(f"{resource['kind']} {metadata['name']}")
    return found


def _resources(api: Api) -> Generator[tuple[str, Object]]:
    groups: list[Any] = api.send("GET", "/apis")["groups"]
    for version in ("v1", *(group["preferredVersion"]["groupVersion"] for group in groups)):
        base = "/api/v1" if version == "v1" else f"/apis/{version}"
        try:
            resources: list[Object] = api.send("GET", base)["resources"]
        except ApiError as error:
            if error.code != 404:  # a group whose last definition has just gone
                raise
            continue
        yield from ((version, one) for one in resources if "list" in one["verbs"] and "/" not in one["name"])


def test_a_namespace_that_was_deleted_by_hand_is_told_and_made_again(api: Api, stack: ClusterStack) -> None:
    bring(stack, protect=True)
    api.delete(api.path(NAMESPACE, None, SPACE))
    eventually("the namespace to be gone", lambda: not api.find(api.path(NAMESPACE, None, SPACE)), 60)
    free(api, "mlflow")
    told = stack.preview("--refresh", check=False)
    assert told.code == 0, told.text
    for line in (f"v1:Namespace {SPACE} create", "v1:HTTPRoute fraud create"):
        kind, name, what = line.split()
        assert any(kind in one and f" {name} " in one and what in one for one in told.text.splitlines()), (
            told.text
        )
    stack.up("--refresh")
    assert split_of(api.get(ROUTE, SPACE, "fraud")) == SPLIT
    again = stack.up("--refresh", "--expect-no-changes", check=False)
    assert again.code == 0, again.text


def test_destroy_leaves_nothing_but_definitions(api: Api, stack: ClusterStack) -> None:
    bring(stack, protect=False)
    assert left(api)
    definitions = {each["metadata"]["name"] for each in api.list(DEFINITION)}
    words = ("destroy", "--yes", "--skip-preview", "--stack", stack.name)
    stack.command(*words, "--config-file", str(stack.config))
    eventually("everything of the stack to be gone", lambda: not left(api), 60)
    # With a definition the API server would delete every object of its kind, those of others too.
    assert {each["metadata"]["name"] for each in api.list(DEFINITION)} == definitions
