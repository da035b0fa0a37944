"""Grafana dashboards, declared here and rendered to the JSON that Grafana takes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["reqps", "percentunit", "s", "short", "bytes"]
"""Units as Grafana names them."""

_COLUMNS = 24
_HEIGHT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A graph over time: each query with the legend of its lines."""

    title: str
    text: str
    unit: Unit
    queries: Mapping[str, str]
    """PromQL by legend, which may use labels: ``{{version}}``."""
    stacked: bool = False
    width: int = 12


def dashboards(namespace: str) -> dict[str, str]:
    """The dashboards of a platform by name, as JSON."""
    found = {
        "delivery": ("Model delivery", delivery(namespace)),
        "inputs": ("Model inputs", inputs(namespace)),
    }
    return {
        name: json.dumps(_dashboard(name, title, panels, namespace), indent=1)
        for name, (title, panels) in found.items()
    }


def delivery(namespace: str) -> Sequence[Panel]:
    """How a model's versions share the traffic, and how each does."""
    here = f'namespace="{namespace}", model="$model"'
    release = "version, role"
    requests = f"sum by ({release}) (rate(model_requests_total{{{here}}}[5m]))"
    failed = f'sum by ({release}) (rate(model_requests_total{{{here}, code=~"5.."}}[5m]))'
    everything = f'sum(rate(model_requests_total{{{here}, role!="shadow"}}[5m]))'
    answered = f'sum by ({release}) (rate(model_requests_total{{{here}, role!="shadow"}}[5m]))'
    name = "version {{version}} ({{role}})"

    def quantile(which: str) -> str:
        buckets = f"rate(model_request_duration_seconds_bucket{{{here}}}[5m])"
        return f"histogram_quantile({which}, sum by ({release}, le) ({buckets}))"

    return (
        Panel(
            title="Traffic split",
            text="The share of the requests that each version answers. A shadow answers none.",
            unit="percentunit",
            queries={name: f"{answered} / on() group_left() {everything}"},
            stacked=True,
        ),
        Panel(
            title="Requests",
            text="Requests a second, those that a shadow gets a copy of too.",
            unit="reqps",
            queries={name: requests},
        ),
        Panel(
            title="Latency",
            text="The time that half, and that 99 in 100 of the requests take at most, in the server.",
            unit="s",
            queries={f"{name}, median": quantile("0.5"), f"{name}, 99 %": quantile("0.99")},
        ),
        Panel(
            title="Failures",
            text="The share of the requests that the server itself failed on (5xx).",
            unit="percentunit",
            queries={name: f"({failed} or {requests} * 0) / {requests}"},
        ),
        Panel(
            title="Requests without a prediction",
            text="By reason: most are the callers' own mistakes.",
            unit="reqps",
            queries={
                "version {{version}}: {{reason}}": (
                    f"sum by (version, reason) (rate(model_errors_total{{{here}}}[5m])) > 0"
                )
            },
        ),
        Panel(
            title="Servers",
            text="Servers that take requests. A version has those of its share before it gets it.",
            unit="short",
            queries={name: f"sum by ({release}) (model_ready{{{here}}})"},
        ),
        Panel(
            title="CPU",
            text="Cores that the servers of a version use.",
            unit="short",
            queries={name: f"sum by ({release}) (rate(process_cpu_seconds_total{{{_pods(here)}}}[5m]))"},
        ),
        Panel(
            title="Memory",
            text="Memory that the servers of a version hold.",
            unit="bytes",
            queries={name: f"sum by ({release}) (process_resident_memory_bytes{{{_pods(here)}}})"},
        ),
    )


def inputs(namespace: str) -> Sequence[Panel]:
    """What comes in and goes out, which is where drift shows first."""
    here = f'namespace="{namespace}", model="$model"'

    def each(metric: str, label: str) -> str:
        return f"sum by (version, {label}) (rate({metric}{{{here}}}[1h]))"

    feature, output = "version {{version}}: {{feature}}", "version {{version}}: {{output}}"
    values = each("model_feature_values_total", "feature")
    missing = each("model_feature_missing_total", "feature")
    # The sum of a feature may fall, so it is a gauge: its growth over an hour is a difference.
    growth = f"sum by (version, feature) (delta(model_feature_sum{{{here}}}[1h]))"
    count = f"sum by (version, feature) (increase(model_feature_values_total{{{here}}}[1h]))"
    output_growth = f"sum by (version, output) (delta(model_output_sum{{{here}}}[1h]))"
    output_count = f"sum by (version, output) (increase(model_output_values_total{{{here}}}[1h]))"
    predictions = f"sum by (version, output, class) (rate(model_predictions_total{{{here}}}[1h]))"
    of_all = f"sum by (version, output) (rate(model_predictions_total{{{here}}}[1h]))"
    buckets = each("model_feature_distribution_bucket", "feature, le")
    return (
        Panel(
            title="Mean of each feature",
            text="Over the last hour.",
            unit="short",
            queries={feature: f"{growth} / ({count} > 0)"},
        ),
        Panel(
            title="Median of each feature",
            text="Over the last hour, by the training quantiles.",
            unit="short",
            queries={feature: f"histogram_quantile(0.5, {buckets})"},
        ),
        Panel(
            title="Missing values",
            text="The share of each feature's values that are missing.",
            unit="percentunit",
            queries={feature: f"{missing} / ({missing} + {values} > 0)"},
        ),
        Panel(
            title="Predictions of each class",
            text="The share of a version's predictions. Two versions on the same traffic should be close.",
            unit="percentunit",
            queries={
                "version {{version}}: {{output}} {{class}}": (
                    f"{predictions} / on(version, output) group_left() ({of_all} > 0)"
                )
            },
        ),
        Panel(
            title="Mean of each numeric output",
            text="Over the last hour.",
            unit="short",
            queries={output: f"{output_growth} / ({output_count} > 0)"},
        ),
        Panel(
            title="Log records lost",
            text="To a slow or full disk. Requests are not affected.",
            unit="short",
            queries={
                "version {{version}}": (
                    f"sum by (version) (increase(model_log_records_dropped_total{{{here}}}[5m]))"
                )
            },
        ),
    )


def _pods(here: str) -> str:
    # A process' own metrics don't name its model; the pod's Service does.
    return here.replace('model="$model"', 'service=~"$model-v[0-9]+"')


def _dashboard(name: str, title: str, panels: Sequence[Panel], namespace: str) -> dict[str, Any]:
    return {
        "uid": f"model-delivery-{name}",
        "title": title,
        "tags": ["model-delivery"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {
                    "name": "model",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": f'label_values(model_info{{namespace="{namespace}"}}, model)',
                    "refresh": 2,
                    "sort": 1,
                },
            ]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    columns = _COLUMNS // panel.width
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        custom |= {"stacking": {"mode": "normal"}, "fillOpacity": 60}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": {
            "x": number % columns * panel.width,
            "y": number // columns * _HEIGHT,
            "w": panel.width,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []}
        if panel.unit != "short"
        else {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }
