"""One engine for all tests here, and what the program has built with it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.image.engine import Engine, engine
from tests.image.machine import UnableError, adapter, prepare
from tests.image.models import Models, registered
from tests.image.stack import ImageStack, built, variants_of, working_tree
from tests.image.variants import ADAPTER, Built


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave Docker alone unless it is asked for: its engine needs root, and the images take minutes."""
    if "image" in str(config.getoption("markexpr")):
        return
    apart = [item for item in items if item.get_closest_marker("image")]
    if apart:
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if not item.get_closest_marker("image")]


@pytest.fixture(scope="session")
def docker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Engine]:
    """An engine, a builder and a registry, all of the tests' own."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    try:
        # What it installs and builds takes minutes, once: it says so.
        with capture.global_and_fixture_disabled():
            base = prepare()
    except UnableError as error:
        pytest.skip(f"no image can be built and run here: {error}")
    with engine(tmp_path_factory.mktemp("docker")) as made:
        made.take("base", base)
        made.take(ADAPTER, adapter(tmp_path_factory.mktemp("adapter")))
        yield made


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout."""
    return working_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def stack(docker: Engine, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> ImageStack:
    """The program's own stack, applied: it has built the model server's image and MLflow's."""
    return built(tmp_path_factory.mktemp("stack"), tree, docker)


@pytest.fixture(scope="session")
def variants(docker: Engine, stack: ImageStack, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Every variant of the model server's image, by its digest. The first one was built by the program."""
    others = variants_of(tmp_path_factory.mktemp("variants"), docker)
    return {"both": stack.outputs()["image"], **others.outputs()}


@pytest.fixture(scope="session")
def mlflow(stack: ImageStack) -> str:
    """MLflow's image, by its digest, as the program built it."""
    return stack.references()["tracking-image"]


@pytest.fixture(scope="session")
def models(docker: Engine, mlflow: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Models]:
    """The example model, both versions, in an MLflow that runs in a container of its image."""
    with registered(docker, mlflow, tmp_path_factory.mktemp("models")) as made:
        yield made
