"""One control plane for all tests here, and one stack on it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.cluster.api import Api
from tests.cluster.cluster import cluster
from tests.cluster.stack import ClusterStack, split


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with cluster(tmp_path_factory.mktemp("cluster")) as api:
        yield api


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
