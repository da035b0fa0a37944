"""What is watched: rules and dashboards as data, and their queries as Prometheus itself understands them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.environment import Prices
from components.kubernetes.alerts import groups
from components.kubernetes.dashboards import dashboards
from components.kubernetes.panels import Panel, delivery, hardware, inputs
from tests.serving.rendered import rendered, unknown_labels
from tests.serving.rendered import series as series_of
from tests.unit.kubernetes import CHART, CONFIG_MAP, MONITOR, RULES, kubernetes
from tests.unit.promtool import check, promtool, series

PRICES = Prices(cpu=730 / 8, memory=730 / 64, gpu=730, currency="EUR")  # 1/8, 1/64 and 1 an hour
PANELS: list[Panel] = [*delivery("models"), *inputs("models"), *hardware("models", PRICES)]
QUERIES = [query for panel in PANELS for query in panel.queries.values()]
ALERTS: list[dict[str, Any]] = groups("models")[0]["rules"]
VARIABLES: list[dict[str, Any]] = [
    variable for text in dashboards("models").values() for variable in json.loads(text)["templating"]["list"]
]
# Metrics that others than the model server give.
AVAILABLE = "kube_deployment_status_replicas_available"
WANTED = "kube_deployment_spec_replicas"
GPU_METRICS = {f"DCGM_FI_DEV_{name}" for name in ("GPU_UTIL", "FB_USED", "POWER_USAGE")}
PODS = {"kube_pod_container_resource_requests", "kube_pod_status_phase"}
OTHERS = {AVAILABLE, WANTED} | GPU_METRICS | PODS


def metrics(query: str) -> set[str]:
    """The metrics that a query reads."""
    return set(re.findall(r"\b([a-zA-Z][a-zA-Z0-9_]+)\{", query))


def test_every_query_reads_metrics_and_labels_that_a_server_gives(tmp_path: Path) -> None:
    given = rendered(tmp_path)
    texts = [*QUERIES, *(alert["expr"] for alert in ALERTS)]
    graph, _ = kubernetes({})
    (adapter,) = [r.inputs for r in graph.resources if r.type == CHART and r.name == "prometheus-adapter"]
    texts += [rule["seriesQuery"] for rule in adapter["values"]["rules"]["custom"]]
    texts += [variable["query"] for variable in VARIABLES if "{" in variable["query"]]
    read = {name for text in texts for name in metrics(text)}
    assert len(read) > 10
    assert read - series_of(given) == OTHERS
    assert [wrong for text in texts for wrong in unknown_labels(text, given)] == []


def test_every_query_is_of_one_namespace_and_a_dashboards_of_one_model() -> None:
    for query in QUERIES:
        for matchers in re.findall(r"[a-zA-Z_]+\{(.*?)\}", query.replace("{5}", "")):
            assert 'namespace="models"' in matchers
            assert re.search(r'model="\$model"|(service|pod)=~"\$model-v\[0-9\]\+', matchers)
    for alert in ALERTS:
        for matchers in re.findall(r"[a-z_]+\{(.*?)\}", alert["expr"]):
            assert 'namespace="models"' in matchers, alert["alert"]


def test_dashboards_are_config_maps_that_grafana_picks_up() -> None:
    graph, _ = kubernetes({})
    rendered = dashboards("models")
    found = {name for name in graph.names(CONFIG_MAP) if not name.startswith("definitions-")}
    assert found == {f"dashboard-{name}" for name in rendered}
    for name, text in rendered.items():
        found = graph.one(CONFIG_MAP, f"dashboard-{name}").inputs
        assert found["data"] == {f"{name}.json": text}
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    (stack,) = [r.inputs for r in graph.resources if r.type == CHART and r.name == "monitoring"]
    sidecar = stack["values"]["grafana"]["sidecar"]["dashboards"]
    assert sidecar == {"enabled": True, "label": "grafana_dashboard", "searchNamespace": "ALL"}


@pytest.mark.parametrize("name", sorted(dashboards("models")))
def test_a_dashboard_is_whole(name: str) -> None:
    dashboard = json.loads(dashboards("models", PRICES)[name])
    assert dashboard["uid"] == f"model-delivery-{name}"
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["model"]["query"] == 'label_values(model_info{namespace="models"}, model)'
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
    assert len(set(places)) == len(places) and all(x + 12 <= 24 for x, _ in places)
    for panel in panels:
        assert panel["title"] and panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            # A legend names labels that the query keeps.
            kept = " ".join(re.findall(r"by \((.*?)\)", target["expr"]))
            assert all(label in kept for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))


def test_costs_are_shown_only_by_prices_that_somebody_gave() -> None:
    def titles(**platform: Any) -> list[str]:
        graph, _ = kubernetes({}, **platform)
        text = graph.one(CONFIG_MAP, "dashboard-hardware").inputs["data"]["hardware.json"]
        return [panel["title"] for panel in json.loads(text)["panels"]]

    plain = ["GPU load", "GPU memory", "GPU power", "Cores reserved"]
    assert titles() == plain
    assert titles(prices={"cpu": 25, "memory": 3.4, "currency": "EUR"}) == [
        *plain,
        "Cost an hour, EUR",
        "Cost of 1,000 requests, EUR",
    ]


def test_the_role_comes_from_the_service() -> None:
    graph, _ = kubernetes({"churn": {"stable": {"version": 3}}})
    (endpoint,) = graph.one(MONITOR, "models-monitor").inputs["spec"]["endpoints"]
    assert endpoint["relabelings"] == [
        {"sourceLabels": ["__meta_kubernetes_service_label_model_delivery_role"], "targetLabel": "role"}
    ]
    selector = graph.one(MONITOR, "models-monitor").inputs["spec"]["selector"]
    labels = graph.one("kubernetes:core/v1:Service", "churn-v3").inputs["metadata"]["labels"]
    assert selector["matchLabels"].items() <= labels.items()
    (expression,) = selector["matchExpressions"]
    assert expression["operator"] == "Exists" and expression["key"] in labels
    ports = graph.one("kubernetes:core/v1:Service", "churn-v3").inputs["spec"]["ports"]
    assert endpoint["port"] in [port["name"] for port in ports]


def test_the_adapter_gives_the_metric_that_autoscalers_ask_for() -> None:
    graph, _ = kubernetes(
        {"churn": {"stable": {"version": 3}, "autoscaling": {"max": 2, "requestsPerSecond": 5}}}
    )
    (adapter,) = [r.inputs for r in graph.resources if r.name == "prometheus-adapter"]
    (rule,) = adapter["values"]["rules"]["custom"]
    scaler = graph.one("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", "churn-v3").inputs["spec"]
    assert rule["name"]["as"] == scaler["metrics"][1]["pods"]["metric"]["name"]
    (stack,) = [r.inputs for r in graph.resources if r.type == CHART and r.name == "monitoring"]
    # The name of the chart's Prometheus Service comes from this.
    override = stack["values"]["fullnameOverride"]
    assert adapter["values"]["prometheus"]["url"] == f"http://{override}-prometheus.monitoring.svc"


def test_no_alert_misses_what_prometheus_reaches_in_hardly_any_cluster() -> None:
    """KubeSchedulerDown and its like fire for ever with kubeadm's defaults (kube-prometheus#718)."""
    graph, _ = kubernetes({})
    values = graph.one(CHART, "monitoring").inputs["values"]
    for part in ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy"):
        assert values[part] == {"enabled": False}


def test_alerts_are_declared_as_they_are() -> None:
    graph, _ = kubernetes({}, namespace="serving")
    assert graph.one(RULES, "models-rules").inputs["spec"] == {"groups": groups("serving")}
    assert [alert["alert"] for alert in ALERTS] == [
        *("ModelErrors", "ModelSlow", "ModelUnavailable", "CanaryFails", "CanarySlow")
    ]


@pytest.mark.real
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    recorded = [{"record": f"query{number}", "expr": query} for number, query in enumerate(QUERIES)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [*groups("models"), {"name": "queries", "rules": recorded}]}))
    assert f"{len(ALERTS) + len(QUERIES)} rules found" in promtool("check", "rules", str(file))


CANARY = {"version": "4", "role": "canary"}
REQUESTS, LATENCY = "model_requests_total", "model_request_duration_seconds_bucket"
STEADY = series(REQUESTS, "0+6000x30", code="200")
CANARYS = series(REQUESTS, "0+600x30", code="200", **CANARY)
CASES: dict[str, tuple[list[dict[str, str]], set[str]]] = {
    "all is well": ([STEADY, CANARYS], set()),
    "two in a hundred fail": ([STEADY, series(REQUESTS, "0+130x30", code="500")], {"ModelErrors"}),
    "callers' own mistakes": ([STEADY, series(REQUESTS, "0+3000x30", code="400")], set()),
    "the canary fails and stable never did": (
        [STEADY, CANARYS, series(REQUESTS, "0+60x30", code="500", **CANARY)],
        {"ModelErrors", "CanaryFails"},
    ),
    "both fail alike": (
        [
            *(STEADY, series(REQUESTS, "0+600x30", code="500")),
            *(CANARYS, series(REQUESTS, "0+60x30", code="500", **CANARY)),
        ],
        {"ModelErrors"},
    ),
    "the canary of another model": (
        [STEADY, series(REQUESTS, "0+60x30", code="500", model="fraud", **CANARY)],
        {"ModelErrors"},
    ),
    "a canary that is slow": (
        [
            *(series(LATENCY, "0+600x30", le="0.01"), series(LATENCY, "0+600x30", le="+Inf")),
            *(series(LATENCY, "0+0x30", le="0.1", **CANARY), series(LATENCY, "0+60x30", le="0.5", **CANARY)),
            series(LATENCY, "0+60x30", le="+Inf", **CANARY),
        ],
        {"CanarySlow"},
    ),
    "a model that takes seconds": (
        [
            *(series(LATENCY, "0+0x30", le="1.0"), series(LATENCY, "0+600x30", le="2.5")),
            series(LATENCY, "0+600x30", le="+Inf"),
        ],
        {"ModelSlow"},
    ),
    "no server is ready": (
        [
            {"series": f'{AVAILABLE}{{namespace="models", deployment="churn-v3"}}', "values": "2 1 0x30"},
            {"series": f'{WANTED}{{namespace="models", deployment="churn-v3"}}', "values": "2x32"},
        ],
        {"ModelUnavailable"},
    ),
    "it has been scaled to none": (
        [
            {"series": f'{AVAILABLE}{{namespace="models", deployment="churn-v3"}}', "values": "2 1 0x30"},
            {"series": f'{WANTED}{{namespace="models", deployment="churn-v3"}}', "values": "2 1 0x30"},
        ],
        set(),
    ),
}


@pytest.mark.real
@pytest.mark.parametrize("case", CASES)
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path, case: str) -> None:
    given, expected = CASES[case]
    # The names alone: each alert's own text is checked below.
    fired = 'sort(group by (alertname) (ALERTS{alertstate="firing"}))'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected]
    asked = {"expr": fired, "eval_time": "25m", "exp_samples": samples}
    check(tmp_path, {"input_series": given, "promql_expr_test": [asked]}, {"groups": groups("models")})


@pytest.mark.real
def test_an_alert_says_what_is_wrong_with_which_model(tmp_path: Path) -> None:
    given, _ = CASES["the canary fails and stable never did"]
    alert = {
        "exp_labels": {"severity": "critical", "model": "churn"},
        "exp_annotations": {
            "summary": "the canary of churn fails on 9.091% of its requests, far more"
            " than the stable version: set its weight to 0"
        },
    }
    asked = {"eval_time": "25m", "alertname": "CanaryFails", "exp_alerts": [alert]}
    check(tmp_path, {"input_series": given, "alert_rule_test": [asked]}, {"groups": groups("models")})
