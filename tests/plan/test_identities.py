"""No replacement ends its successor, whatever makes the engine replace (issue: `up --replace` left 503)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from components.replacement import NAMED_ALIKE, TAKEN_OVER
from planning.immutable import paths, tokens
from tests.plan.identities import IDENTITIES, Identity
from tests.plan.planned import GOLDEN
from tests.unit import test_aws_golden, test_gcp_golden, test_kubernetes_golden
from tests.unit.aws import DEV, PROD, amazon
from tests.unit.azure import azure, needs_sdk
from tests.unit.gcp import DEV as GOOGLE_DEV
from tests.unit.gcp import PROD as GOOGLE
from tests.unit.gcp import google
from tests.unit.graph import Declared, Graph
from tests.unit.kubernetes import kubernetes
from tests.unit.test_aws_sagemaker import GUARDED

_APART = ("pulumi:", "delivery:")
"""The engine's own and this project's, whose ids are unique per creation (tests/provider/test_process.py)."""
_NAMES = ("name", "bucket", "identifier", "accountId", "repositoryId")


def planned() -> set[str]:
    """The types in the plans of all environments, tests/plan/golden."""
    lines = [line for file in GOLDEN.glob("*.txt") for line in file.read_text().splitlines()]
    words = [line.split()[0].rpartition("$")[2] for line in lines if line[:1].isalpha() and ":" in line]
    return {word for word in words if word.count(":") >= 2 and not word.startswith(_APART)}


def graphs() -> Iterator[Graph]:
    yield amazon(test_aws_golden.MODELS, PROD)[0]
    yield amazon(test_aws_golden.MODELS, DEV)[0]
    yield amazon({"split": test_aws_golden.MODELS["split"]}, GUARDED)[0]
    yield google(test_gcp_golden.MODELS, GOOGLE)[0]
    yield google({"fast": test_gcp_golden.MODELS["fast"]}, GOOGLE_DEV)[0]
    for models, platform in test_kubernetes_golden.CASES.values():
        yield kubernetes(models, **platform)[0]


@cache
def resources() -> list[Declared]:
    return [r for graph in graphs() for r in graph.resources if not r.type.startswith(_APART)]


def identity(resource: Declared) -> Identity:
    """What a second creation of a resource does: an alarm that Pulumi names is another one."""
    if resource.type == "aws:cloudwatch/metricAlarm:MetricAlarm" and "name" not in resource.inputs:
        return "new"
    return IDENTITIES[resource.type]


def test_every_planned_type_has_an_entry() -> None:
    types = planned() | {resource.type for resource in resources()}
    assert len(types) > 100
    assert types - IDENTITIES.keys() == set(), "say in tests/plan/identities.py what a second creation does"


def test_the_old_one_goes_first_where_the_new_one_would_be_the_same() -> None:
    of_table = {token for token, identity in IDENTITIES.items() if identity == "taken over"}
    assert of_table == TAKEN_OVER
    for resource in resources():
        first = identity(resource) in ("taken over", "ended first")
        assert resource.goes_first == first, (resource.type, resource.name)


def test_what_is_new_with_each_creation_has_no_fixed_name() -> None:
    assert all(IDENTITIES[token] == "new" for token in NAMED_ALIKE)
    named = {
        (resource.type, name)
        for resource in resources()
        for name in _NAMES
        if IDENTITIES[resource.type] == "new" and resource.type not in NAMED_ALIKE and name in resource.inputs
    }
    assert named == set()


def test_what_goes_first_takes_nothing_along_that_serves() -> None:
    """The engine first ends all that a value of the old resource would replace, by top-level properties."""
    taken = {
        (source.type, resource.type)
        for graph in graphs()
        for source in graph.resources
        if source.type in IDENTITIES and identity(source) in ("taken over", "ended first")
        for resource in graph.resources
        for key, urns in resource.sources.items()
        if source.urn in urns and resource.type in tokens()
        if any(path.partition(".")[0] == key for path in paths(resource.type))
    }
    assert taken == {
        # A target's policies end with it.
        ("aws:appautoscaling/target:Target", "aws:appautoscaling/policy:Policy"),
        # The address of MLflow's database names its user; pods read it when they start.
        ("gcp:sql/user:User", "kubernetes:core/v1:Secret"),
    }


@needs_sdk
def test_azure_keeps_to_it() -> None:
    graph, _ = azure({"churn": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 10}}})
    ours = [r for r in graph.resources if r.type.startswith("azure-native:")]
    assert ours
    for resource in ours:
        assert resource.goes_first == (IDENTITIES[resource.type] == "ended first"), resource.type


def test_an_access_policy_goes_with_the_entry_that_it_belongs_to() -> None:
    """EKS ends an entry's policies with the entry, which the state of an association doesn't show."""
    graph, _, _ = amazon({}, PROD)
    entries = {r.urn: r.name for r in graph.resources if r.type == "aws:eks/accessEntry:AccessEntry"}
    for resource in graph.resources:
        if resource.type == "aws:eks/accessPolicyAssociation:AccessPolicyAssociation":
            assert {entries[urn] for urn in resource.sources["principalArn"]} == {resource.name}


@pytest.mark.parametrize("token", sorted(NAMED_ALIKE))
def test_what_may_share_a_name_is_made_beside_the_old_one(token: str) -> None:
    """pulumi-terraform-bridge would end the old one first (`nameRequiresDeleteBeforeReplace`)."""
    found = [resource for resource in resources() if resource.type == token]
    assert found and all(resource.order_is_said and not resource.goes_first for resource in found)
