"""Hardware and its cost, and what KEDA asks for: a model's own pods alone, by Prometheus itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.kubernetes.panels import hardware
from tests.unit.kubernetes import SCALED_OBJECT, kubernetes
from tests.unit.promtool import check, series
from tests.unit.test_kubernetes_monitoring import PRICES


def pod_series(name: str, pod: str, values: str, **labels: str) -> dict[str, str]:
    return series(name, values, **{"model": "", "version": "", "role": "", "pod": pod} | labels)


V3, V4 = "churn-v3-6d9f7c5b8d-x2x4z", "churn-v4-7c5b8d6d9f-abcde"
OTHER, ENDED = "churn-v3-v1-6d9f7c5b8d-x2x4z", "churn-v3-6d9f7c5b8d-ended"
ASKED, PHASE = "kube_pod_container_resource_requests", "kube_pod_status_phase"
HARDWARE: list[dict[str, str]] = [
    *(pod_series("DCGM_FI_DEV_GPU_UTIL", V3, f"{load}x70", gpu=gpu) for gpu, load in (("0", 20), ("1", 60))),
    pod_series("DCGM_FI_DEV_GPU_UTIL", OTHER, "99x70", gpu="2"),
    *(pod_series("DCGM_FI_DEV_FB_USED", V3, "1000x70", gpu=gpu) for gpu in ("0", "1")),
    *(pod_series("DCGM_FI_DEV_POWER_USAGE", V3, "70x70", gpu=gpu) for gpu in ("0", "1")),
    *(
        pod_series(ASKED, pod, f"{amount}x70", resource=resource)
        for pod in (V3, V4, OTHER, ENDED)
        for resource, amount in (("cpu", 2), ("memory", 4 * 2**30))
    ),
    pod_series(ASKED, V3, "2x70", resource="nvidia_com_gpu"),
    *(pod_series(PHASE, pod, "1x70", phase="Running") for pod in (V3, V4, OTHER)),
    pod_series(PHASE, ENDED, "0x70", phase="Running"),
    pod_series(PHASE, ENDED, "1x70", phase="Succeeded"),
    series("model_requests_total", "0+70x70", code="200"),
]
# Two cores at 1/8, four GiB at 1/64, two GPUs at 1 an hour; 4,200 requests an hour.
SHOWN: dict[str, dict[str, float]] = {
    "GPU load": {"churn-v3": 40},
    "GPU memory": {"churn-v3": 2000},
    "GPU power": {"churn-v3": 140},
    "Cores reserved": {"churn-v3": 2, "churn-v4": 2},
    "Cost an hour, EUR": {"churn-v3": 2.3125, "churn-v4": 0.3125},
    "Cost of 1,000 requests, EUR": {"": 0.625},
}


@pytest.mark.real
def test_hardware_and_its_cost_are_those_of_the_models_own_pods(tmp_path: Path) -> None:
    assert SHOWN.keys() == {panel.title for panel in hardware("models", PRICES)}
    checks: list[dict[str, Any]] = []
    for panel in hardware("models", PRICES):
        (query,) = panel.queries.values()
        samples: list[dict[str, Any]] = [
            {"labels": f'{{release="{release}"}}' if release else "{}", "value": value}
            for release, value in SHOWN[panel.title].items()
        ]
        # A rate is extrapolated, and so not exact.
        expression = f"round({query.replace('$model', 'churn')}, 2^-10)"
        checks.append({"expr": expression, "eval_time": "65m", "exp_samples": samples})
    check(tmp_path, {"input_series": HARDWARE, "promql_expr_test": checks})


# As often as the ServiceMonitor asks: within a minute there are four values to tell a rate by.
HELD = [
    *({**found, "values": found["values"].replace("x70", "x280")} for found in HARDWARE[:3]),
    series("model_requests_total", "0+17.5x280", code="200"),
]


@pytest.mark.real
def test_what_keda_asks_is_what_the_releases_own_servers_do(tmp_path: Path) -> None:
    block = {
        "stable": {"version": 3},
        "resources": {"gpu": 1},
        "autoscaling": {"min": 1, "max": 2, "requestsPerSecond": 5, "gpuUtilization": 60},
    }
    graph, _ = kubernetes({"churn": block}, keda="install", gpu="existing")
    triggers = graph.one(SCALED_OBJECT, "churn-v3").inputs["spec"]["triggers"]
    asked = {trigger["name"]: trigger["metadata"]["query"] for trigger in triggers if "name" in trigger}
    # 70 requests a minute; two GPUs at 20 and 60 %, and one of another model's at 99 %.
    expected = {"requests": (f"round(({asked['requests']}) * 60)", 70), "gpu": (asked["gpu"], 40)}
    checks = [
        {"expr": query, "eval_time": "65m", "exp_samples": [{"labels": "{}", "value": value}]}
        for query, value in expected.values()
    ]
    check(tmp_path, {"interval": "15s", "input_series": HELD, "promql_expr_test": checks})
