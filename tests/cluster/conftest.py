"""One control plane for all tests here, and one stack on it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.cluster.api import Api
from tests.cluster.control_plane import control_plane
from tests.cluster.kubelet import kubelet
from tests.cluster.stack import ClusterStack, split


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A cluster with nodes and, as its admin prepares it, a volume for MLflow."""
    folder = tmp_path_factory.mktemp("cluster")
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


@pytest.fixture(scope="session")
def stack(api: Api, tmp_path_factory: pytest.TempPathFactory) -> ClusterStack:
    return ClusterStack(tmp_path_factory.mktemp("stack"), api.access)


@pytest.fixture
def canary(stack: ClusterStack) -> ClusterStack:
    """The stack with a canary of 10 percent, and a shadow on GPUs."""
    stack.bring(split(10))
    return stack


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the control plane alone unless it is asked for: its build and its tests take minutes."""
    if "cluster" in str(config.getoption("markexpr")):
        return
    apart = [item for item in items if item.get_closest_marker("cluster")]
    if apart:
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if not item.get_closest_marker("cluster")]
