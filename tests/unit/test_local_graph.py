"""The whole graph that a local environment declares, for every traffic mode."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from components.environment import parse
from components.local.gateway import bootstrap
from components.local.monitoring import configuration
from components.platform import declare as declare_platform
from tests.unit.graph import Graph, declare, resolved

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODEL_DELIVERY_HOME", str(tmp_path))
    tools = tmp_path / "toolchain" / "bin"
    tools.mkdir(parents=True)
    (tools / "prometheus").write_text("#!/bin/sh\n")
    (tools / "prometheus").chmod(0o755)
    return tmp_path


def provider(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the project's provider would answer."""
    if type == "delivery:registry:Release":
        return {"digest": f"sha256:{name}", "artifact": f"/artifacts/{name}"}
    if type == "delivery:local:Process":
        port = inputs["port"] or 20000 + len(name)
        return {"address": f"127.0.0.1:{int(port)}"}
    return {}


def local(models: dict[str, Any], platform: dict[str, Any] | None = None) -> tuple[Graph, dict[str, Any]]:
    """The graph of a local environment and its endpoints' outputs."""
    environment = parse({"kind": "local"} if platform is None else platform, models)
    found: list[tuple[str, Any]] = []

    def program() -> None:
        place = declare_platform(environment.platform)
        for model in environment.models:
            name, endpoint = model.name, place.serve(model).outputs
            endpoint.apply(lambda value, name=name: found.append((name, value)))

    graph = declare(program, provider)
    return graph, dict(found)


PLATFORM_COUNTS = {
    "delivery:local:Platform": 1,
    "delivery:local:Supervisor": 1,
    "delivery:local:Tracking": 1,
    "delivery:local:Gateway": 1,
    "delivery:local:Monitoring": 1,
    "delivery:local:Process": 3,
}


def counts(processes: int, releases: int, endpoints: int = 1) -> dict[str, int]:
    return {
        **PLATFORM_COUNTS,
        "delivery:local:Process": 3 + processes,
        "delivery:registry:Release": releases,
        "delivery:local:Endpoint": endpoints,
        "delivery:local:Route": endpoints,
    }


def backends(graph: Graph, model: str = "churn") -> list[dict[str, Any]]:
    return graph.one("delivery:local:Route", model).inputs["backends"]


def test_a_platform_without_models_is_seven_things_on_three_ports(home: Path) -> None:
    graph, endpoints = local({})
    assert graph.counts() == PLATFORM_COUNTS
    assert endpoints == {}
    processes = [r for r in graph.resources if r.type == "delivery:local:Process"]
    assert {r.name: r.inputs["port"] for r in processes} == {
        "tracking-server": 5000,
        "gateway-envoy": 8080,
        "monitoring-prometheus": 9090,
    }
    assert {r.inputs["folder"] for r in processes} == {str(home / "run")}
    assert all("supervisor" in graph.waits_for(r.type, r.name) for r in processes)
    assert not any(r.protect for r in graph.resources)


def test_mlflow_serves_the_registry_folder_on_loopback(home: Path) -> None:
    graph, _ = local({}, {"kind": "local", "ports": {"tracking": 5001}})
    server = graph.one("delivery:local:Process", "tracking-server").inputs
    registry = home / "registry"
    assert server["command"] == [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
        *("--backend-store-uri", f"sqlite:///{registry}/mlflow.db"),
        *("--default-artifact-root", f"file://{registry}/artifacts", "--no-serve-artifacts"),
        *("--workers", "1"),
    ]
    assert (server["port"], server["ready"], server["readySeconds"]) == (5001, "/health", 600)
    assert server["environment"] == {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    assert server.get("scrape") is None


def test_prometheus_finds_every_process_by_its_target_file(home: Path) -> None:
    graph, _ = local({}, {"kind": "local", "ports": {"prometheus": 9099}})
    server = graph.one("delivery:local:Process", "monitoring-prometheus").inputs
    assert server["command"] == [
        *(str(home / "toolchain/bin/prometheus"), "--config.file={folder}/prometheus.yml"),
        *("--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=15d"),
        *("--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ]
    assert (server["port"], server["ready"]) == (9099, "/-/ready")
    assert json.loads(server["files"]["prometheus.yml"]) == configuration(home / "run/targets")
    (job,) = configuration(Path("/t"))["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": ["/t/*.json"], "refresh_interval": "5s"}]


def test_envoy_listens_on_loopback_and_watches_its_files(home: Path) -> None:
    graph, _ = local({}, {"kind": "local", "ports": {"gateway": 8181}})
    process = graph.one("delivery:local:Process", "gateway-envoy").inputs
    assert (process["port"], process["ready"]) == (8181, "/-/ready")
    assert json.loads(process["files"]["bootstrap.json"]) == bootstrap(8181)
    own = json.loads(process["files"]["own.json"])["routes"]
    first = json.loads(process["seeds"]["routes.json"])["resources"][0]
    assert first["name"] == "models" and first["virtual_hosts"][0]["routes"] == own
    assert [r["match"]["path"] for r in own] == ["/-/ready", "/-/metrics"]
    assert json.loads(process["seeds"]["clusters.json"])["resources"] == []
    assert (process["scrape"], process["metricsPath"]) == ({"job": "gateway"}, "/-/metrics")
    configured = bootstrap(8181)
    (listener,) = configured["static_resources"]["listeners"]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8181}
    # The administration interface can stop the gateway: it must never be a port.
    assert configured["admin"]["address"] == {"pipe": {"path": "admin.sock", "mode": 0o600}}


def test_one_stable_release_gets_everything(home: Path) -> None:
    graph, endpoints = local({"churn": {"stable": {"version": 3}}})
    assert graph.counts() == counts(processes=1, releases=1)
    release = graph.one("delivery:registry:Release", "churn-v3")
    assert release.inputs == {
        "model": "churn",
        "version": 3,
        "registry": f"sqlite:///{home}/registry/mlflow.db",
        "local": True,
    }
    assert release.parent == "churn"
    assert backends(graph) == [
        {"version": 3, "weight": 100, "shadow": False, "addresses": ["127.0.0.1:20010"]}
    ]
    assert endpoints["churn"] == {
        "url": "http://127.0.0.1:8080/churn",
        "releases": [{"version": 3, "digest": "sha256:churn-v3", "weight": 100, "shadow": False}],
    }


def test_a_server_runs_the_pinned_artifact(home: Path) -> None:
    graph, _ = local({"churn": {"stable": {"version": 3}}})
    server = graph.one("delivery:local:Process", "churn-v3-0")
    assert server.inputs["command"] == [
        *(sys.executable, "-m", "serving", "--model", "churn", "--version", "3"),
        *("--artifact", "/artifacts/churn-v3", "--digest", "sha256:churn-v3", "--port", "{port}"),
        *("--access-log", f"{home}/run/logs/churn-v3-0.requests.jsonl", "--sample", "0.1"),
    ]
    assert (server.inputs["port"], server.inputs["ready"]) == (0, "/v2/health/ready")
    assert server.inputs["source"] == str(ROOT / "serving")
    assert server.inputs["environment"] == {"PYTHONPATH": str(ROOT)}
    assert server.inputs["scrape"] == {"job": "models", "model": "churn", "version": "3"}
    assert server.inputs["metricsPath"] == "/metrics"
    assert {"supervisor", "churn-v3"} <= graph.waits_for("delivery:local:Process", "churn-v3-0")


@pytest.mark.parametrize(
    ("canary", "weights"),
    [
        ({"version": 4, "weight": 10}, [(3, 90, False), (4, 10, False)]),
        ({"version": 4, "weight": 0}, [(3, 100, False), (4, 0, False)]),
        ({"version": 4, "weight": 100}, [(3, 0, False), (4, 100, False)]),
        ({"version": 4, "shadow": True}, [(3, 100, False), (4, 0, True)]),
    ],
)
def test_traffic_modes_differ_in_the_route_alone(
    home: Path, canary: dict[str, Any], weights: list[tuple[int, int, bool]]
) -> None:
    graph, endpoints = local({"churn": {"stable": {"version": 3}, "canary": canary}})
    assert graph.counts() == counts(processes=2, releases=2)
    assert [(b["version"], b["weight"], b["shadow"]) for b in backends(graph)] == weights
    released = endpoints["churn"]["releases"]
    assert [(r["version"], r["weight"], r["shadow"]) for r in released] == weights
    # No traffic before a release is ready, none left when it is stopped.
    assert {"churn-v3-0", "churn-v4-0", "gateway-envoy"} <= graph.waits_for("delivery:local:Route", "churn")

    other, _ = local({"churn": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 50}}})
    assert others_than_routes(graph) == others_than_routes(other)


def test_promotion_keeps_the_canarys_processes_as_they_are(home: Path) -> None:
    canary, _ = local({"churn": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 50}}})
    promoted, _ = local({"churn": {"stable": {"version": 4}}})
    name = ("delivery:local:Process", "churn-v4-0")
    assert promoted.one(*name) == canary.one(*name)
    release = ("delivery:registry:Release", "churn-v4")
    assert promoted.one(*release) == canary.one(*release)


def test_every_replica_is_a_process_of_its_own(home: Path) -> None:
    graph, _ = local({"churn": {"stable": {"version": 3}, "autoscaling": {"min": 3}}})
    assert graph.counts() == counts(processes=3, releases=1)
    assert len(backends(graph)[0]["addresses"]) == 3
    logs = {graph.one("delivery:local:Process", f"churn-v3-{i}").inputs["command"][14] for i in range(3)}
    assert len(logs) == 3


def test_models_share_nothing_but_the_platform(home: Path) -> None:
    graph, endpoints = local({"churn": {"stable": {"version": 3}}, "fraud": {"stable": {"version": 1}}})
    assert graph.counts() == counts(processes=2, releases=2, endpoints=2)
    assert not any("churn" in name for name in graph.waits_for("delivery:local:Route", "fraud"))
    assert set(endpoints) == {"churn", "fraud"}


def test_names_of_resources_stay(home: Path) -> None:
    """A renamed resource is a deleted process and a new one: it must be a decision, with an alias."""
    graph, _ = local({"churn": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 5}}})
    assert sorted((r.type.removeprefix("delivery:"), r.name, r.parent) for r in graph.resources) == [
        ("local:Endpoint", "churn", "local"),
        ("local:Gateway", "gateway", "local"),
        ("local:Monitoring", "monitoring", "local"),
        ("local:Platform", "local", ""),
        ("local:Process", "churn-v3-0", "churn"),
        ("local:Process", "churn-v4-0", "churn"),
        ("local:Process", "gateway-envoy", "gateway"),
        ("local:Process", "monitoring-prometheus", "monitoring"),
        ("local:Process", "tracking-server", "tracking"),
        ("local:Route", "churn", "churn"),
        ("local:Supervisor", "supervisor", "local"),
        ("local:Tracking", "tracking", "local"),
        ("registry:Release", "churn-v3", "churn"),
        ("registry:Release", "churn-v4", "churn"),
    ]


def test_a_preview_declares_the_same_graph(home: Path) -> None:
    environment = parse({"kind": "local"}, {"churn": {"stable": {"version": 3}}})
    seen: list[Any] = []

    def program() -> None:
        place = declare_platform(environment.platform)
        resolved(place.serve(environment.models[0]).outputs, seen)

    previewed = declare(program, provider, preview=True)
    assert previewed.counts() == counts(processes=1, releases=1)
    assert seen[0]["url"] == "http://127.0.0.1:8080/churn"


def others_than_routes(graph: Graph) -> list[tuple[str, str, dict[str, Any]]]:
    return sorted(
        ((r.type, r.name, r.inputs) for r in graph.resources if r.type != "delivery:local:Route"),
        key=lambda r: (r[0], r[1]),
    )
