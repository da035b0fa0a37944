"""Everything that a cluster's environment declares, input by input, against what was agreed.

A renamed resource, a changed default or a lost input shows here as a changed line. Where the change is meant:

    GOLDEN=write .venv/bin/pytest tests/unit/test_kubernetes_golden.py

and the diff of the file is part of the review. A renamed resource needs an alias as well.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.kubernetes import CONFIG_MAP, MLFLOW, kubernetes
from tests.unit.test_aws_golden import line

MODELS: dict[str, Any] = {
    "split": {
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 25},
        "autoscaling": {"min": 4, "max": 20, "requestsPerSecond": 50},
        "resources": {"cpu": 0.5, "memory": "512Mi"},
        "owner": "risk-team",
        "riskClass": "high",
    },
    "mirrored": {
        "stable": {"version": 3},
        "canary": {"version": 4, "shadow": True},
        "resources": {"cpu": 4, "memory": "16Gi", "gpu": 1},
    },
}
PLATFORM: dict[str, Any] = {
    "url": "https://models.example.com",
    "gateway": {"tlsSecret": "models-tls"},
    "tracking": {
        "image": MLFLOW,
        "storage": "50Gi",
        "access": {
            "host": "mlflow.example.com",
            "tlsSecret": "mlflow-tls",
            "issuer": "https://login.example.com",
            "jwks": "https://login.example.com/keys",
            "audience": "mlflow",
            "claims": {"groups": "ml"},
        },
    },
    "gpu": "install",
    "metricsServer": "install",
    "protectData": True,
}
SCALED: dict[str, Any] = {
    "asleep": {
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 25},
        "autoscaling": {"min": 0, "max": 20, "requestsPerSecond": 50},
    },
    "awake": {
        "stable": {"version": 3},
        "autoscaling": {"min": 2, "max": 4, "gpuUtilization": 60},
        "resources": {"gpu": 1},
    },
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "kubernetes": (MODELS, PLATFORM),
    "keda": (SCALED, {"keda": "install", "gpu": "existing"}),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_changes_unseen(case: str) -> None:
    models, platform = CASES[case]
    golden = Path(__file__).with_name(f"{case}.golden")
    graph, _ = kubernetes(models, **platform)
    # The dashboards are compared with what declares them, elsewhere: their JSON is long.
    resources = [resource for resource in graph.resources if resource.type != CONFIG_MAP]
    found = "\n".join(sorted(line(resource) for resource in resources)) + "\n"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(found, encoding="utf-8")
    assert found.splitlines() == golden.read_text(encoding="utf-8").splitlines()
