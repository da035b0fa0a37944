"""Grafana dashboards, declared here and rendered to the JSON that Grafana takes. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from components.environment import Prices
from components.kubernetes.panels import Panel, delivery, hardware, inputs

_COLUMNS = 24
_HEIGHT = 8


def dashboards(namespace: str, prices: Prices | None = None) -> dict[str, str]:
    """The dashboards of a platform by name, as JSON; without prices they have no panel of costs."""
    found = {
        "delivery": ("Model delivery", delivery(namespace)),
        "inputs": ("Model inputs", inputs(namespace)),
        "hardware": ("Model hardware", hardware(namespace, prices)),
    }
    return {
        name: json.dumps(_dashboard(name, title, panels, namespace), indent=1)
        for name, (title, panels) in found.items()
    }


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
    # A quantity of a unit isn't negative; the mean of a feature may be.
    bounds = {} if panel.unit == "short" else {"min": 0}
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
        "fieldConfig": {"defaults": {"unit": panel.unit, **bounds, "custom": custom}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }
