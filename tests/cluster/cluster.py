"""A cluster that stacks can be applied to."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.api import Api
from tests.cluster.control_plane import control_plane
from tests.cluster.kubelet import kubelet


@contextmanager
def cluster(folder: Path) -> Generator[Api]:
    """Run a control plane with nodes and, as a cluster's admin prepares it, a volume for MLflow."""
    with control_plane(folder) as access:
        api = Api(access)
        try:
            with kubelet(api, folder / "kubelet"):
                api.apply(
                    {
                        "apiVersion": "v1",
                        "kind": "PersistentVolume",
                        "metadata": {"name": "mlflow"},
                        "spec": {
                            "capacity": {"storage": "20Gi"},
                            "accessModes": ["ReadWriteOnce"],
                            "hostPath": {"path": "/nowhere"},
                        },
                    }
                )
                yield api
        finally:
            api.close()
