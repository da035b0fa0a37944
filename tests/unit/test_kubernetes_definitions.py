"""Who brings the definitions of custom resources, and which; what their Job does is in tests/cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.kubernetes.crds import apply
from components.kubernetes.definitions import FOLDER, index
from tests.unit.kubernetes import (
    CHART,
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEFINITIONS,
    JOB,
    MONITOR,
    SERVICE_ACCOUNT,
    kubernetes,
)

THEIRS = {"name": "public", "namespace": "gateways"}
PROMETHEUS, GATEWAY = ("prometheus-operator",), ("gateway-api", "envoy-gateway")


@pytest.mark.parametrize(
    ("keys", "names", "least"),
    [
        ({}, (*GATEWAY, *PROMETHEUS), "1.33"),
        ({"monitoring": "existing"}, GATEWAY, "1.33"),
        ({"gateway": THEIRS}, PROMETHEUS, "1.0"),
        ({"gateway": THEIRS, "keda": "install"}, PROMETHEUS, "1.33"),
    ],
    ids=["all", "gateway", "monitoring", "keda"],
)
def test_those_that_installed_charts_need(keys: dict[str, Any], names: tuple[str, ...], least: str) -> None:
    graph, _ = kubernetes({}, **keys)
    files = {name.removeprefix("definitions-") for name in graph.names(CONFIG_MAP) if "dash" not in name}
    assert files == {"program", *names}
    (container,) = graph.one(JOB, "definitions").inputs["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "/definitions/apply.py", "--least", least, "/definitions"]
    (create, change) = graph.one(CLUSTER_ROLE, "definitions").inputs["rules"]
    assert create["verbs"] == ["create"] and change["verbs"] == ["get", "patch"]
    assert change["resourceNames"] == [each for name in names for each in index()[name]["names"]]


@pytest.mark.parametrize(
    "keys",
    [{"definitions": "existing"}, {"gateway": THEIRS, "monitoring": "existing"}],
    ids=["existing", "nothing installed"],
)
def test_the_clusters_own_are_left_alone(keys: dict[str, Any]) -> None:
    graph, _ = kubernetes({}, **keys)
    assert not graph.names(DEFINITIONS) and not graph.names(JOB) and not graph.names(CLUSTER_ROLE)


def test_charts_come_after_them_and_bring_none() -> None:
    graph, _ = kubernetes({})
    for name in ("envoy-gateway", "monitoring"):
        assert "definitions" in graph.waits_for(CHART, name)
        assert graph.one(CHART, name).inputs["skipCrds"] is True
    assert "definitions" in graph.waits_for(MONITOR, "models-monitor")


def test_keda_keeps_its_definitions_when_its_chart_goes() -> None:
    graph, _ = kubernetes({}, keda="install")
    assert graph.one(CHART, "keda").inputs["values"] == {
        "crds": {"additionalAnnotations": {"helm.sh/resource-policy": "keep"}}
    }


def test_the_job_is_hardened_and_gets_what_it_runs() -> None:
    graph, _ = kubernetes({})
    pod = graph.one(JOB, "definitions").inputs["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    maps = {source["configMap"]["name"] for source in volume["projected"]["sources"]}
    declared = [graph.one(CONFIG_MAP, name).inputs for name in graph.names(CONFIG_MAP) if "dash" not in name]
    assert maps == {each["metadata"]["name"] for each in declared}
    assert all(each["immutable"] for each in declared)
    assert graph.one(SERVICE_ACCOUNT, "definitions").inputs["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("name", sorted(index()))
def test_a_file_fits_into_a_config_map(name: str) -> None:
    """It takes 1 MiB (https://kubernetes.io/docs/concepts/configuration/configmap/), here in base64."""
    file = FOLDER / f"{name}.json.xz"
    assert file.stat().st_size * 4 / 3 < 2**20
    found = apply.read(file)
    assert (found.name, found.version) == (name, index()[name]["version"])
    # An object takes 1.5 MiB in etcd.
    assert all(len(json.dumps(each)) < 1.5 * 2**20 for each in found.objects)
