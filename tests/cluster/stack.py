"""The program's stack on the real engine and the real control plane, and the models that tests put on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from planning.stack import PlannedStack, Step
from tests.cluster.api import Access, Object
from tests.cluster.plugin import CLUSTER_FILE, PROVIDER_FILE
from tools import toolchain

SPACE = "models"
IMAGE = "registry.example.com/serving@sha256:" + "a" * 64
ACCESS = {
    "host": "mlflow.example.com",
    "tlsSecret": "mlflow-tls",
    "issuer": "https://token.actions.githubusercontent.com",
    "jwks": "https://token.actions.githubusercontent.com/.well-known/jwks",
    "audience": "mlflow",
    "claims": {"repository_owner": "acme"},
}
PLATFORM: dict[str, Any] = {
    "kind": "kubernetes",
    "context": "prod",
    "image": IMAGE,
    "registry": "https://mlflow.example.com",
    "url": "https://models.example.com",
    "gateway": {
        "tlsSecret": "models-tls",
        "authentication": {
            "jwt": {
                "issuer": "https://login.example.com/acme",
                "jwks": "https://login.example.com/acme/keys",
                "audience": "models",
                "claims": {"team": "risk"},
            }
        },
    },
    "gpu": "install",
    # Its stand-in of a server takes `--device gpu` for what it is: nothing here has a GPU.
    "imageUsesGpu": True,
    "metricsServer": "install",
    "tracking": {"image": IMAGE, "access": ACCESS},
    "monitoring": "install",
    "prices": {"cpu": 25, "memory": 3.4, "gpu": 600},
    "protectData": True,
}
SERVED = 8
"""The servers of `fraud` at least, all releases together."""
VISION = {
    "stable": {"version": 7},
    "canary": {"version": 8, "shadow": True},
    "resources": {"cpu": 2, "memory": "2048Mi", "gpu": 1},
    "autoscaling": {"min": 2, "max": 4},
    "authentication": {"apiKeys": {"secret": "vision-callers"}},
    "rateLimit": {"requestsPerSecond": 50},
}
HELM = "kubernetes:helm.sh/v3:Release"


def fraud(**changes: Any) -> dict[str, Any]:
    return {
        "stable": {"version": 3},
        "autoscaling": {"min": SERVED, "max": 20, "requestsPerSecond": 1000},
        "owner": "the risk team",
        "riskClass": "high",
        **changes,
    }


def written(models: dict[str, Any], platform: dict[str, Any] = PLATFORM) -> str:
    return yaml.safe_dump({"config": {"model-delivery:platform": platform, "model-delivery:models": models}})


def split(weight: int) -> str:
    """The stack with a canary of so many percent beside a model with a shadow on GPUs."""
    return written({"fraud": fraud(canary={"version": 4, "weight": weight}), "vision": VISION})


def objects(inputs: Iterable[tuple[str, dict[str, Any]]]) -> list[Object]:
    """What of a stack's resources, each a type and its inputs, is an object in the cluster; no chart is."""
    return [
        found
        for kind, found in inputs
        if kind.startswith("kubernetes:") and kind != HELM and "apiVersion" in found
    ]


class ClusterStack(PlannedStack):
    """A stack whose provider of Kubernetes is Pulumi's own (`plugin.py`); it knows what it has applied."""

    def __init__(self, folder: Path, access: Access) -> None:
        super().__init__(folder, "cluster")
        access.save(folder / "cluster.json")
        self.env[CLUSTER_FILE] = str(folder / "cluster.json")
        self.env[PROVIDER_FILE] = str(toolchain.kubernetes_provider().executable)
        self.env["KUBECONFIG"] = str(access.kubeconfig(folder / "kubeconfig", PLATFORM["context"]))
        script = folder / "plugins" / "pulumi-resource-kubernetes"
        text = script.read_text()
        script.write_text(text.replace("planning.plugin kubernetes", "tests.cluster.plugin"))
        assert script.read_text() != text
        self._applied = ""
        self._steps: list[Step] = []

    def bring(self, text: str) -> None:
        """Apply a file's text, unless it is what was applied last."""
        if text == self._applied:
            return
        self._applied, self._steps = "", []
        self.declare(text)
        self.up()
        self._applied = text

    def steps(self) -> list[Step]:
        """What a preview shows now, made once for what was applied last."""
        self._steps = self._steps or super().steps()
        return self._steps

    def objects(self) -> list[Object]:
        """The objects that the program declares."""
        return objects((step.type.rpartition("$")[2], step.inputs) for step in self.steps())
