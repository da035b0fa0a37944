"""A small model and, for the real tier, registries of its own for each test."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FEATURES = ("age", "income", "tenure")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty registry's database. Making its tables takes seconds, copying it doesn't."""
    from pipeline.registering import Registry

    folder = tmp_path_factory.mktemp("registry")
    with Registry.open(f"sqlite:///{folder}/mlflow.db"):
        pass
    return folder / "mlflow.db"


@pytest.fixture
def tracking_uri(template: Path, tmp_path: Path) -> str:
    (tmp_path / "registry").mkdir()
    shutil.copy(template, tmp_path / "registry" / "mlflow.db")
    return f"sqlite:///{tmp_path}/registry/mlflow.db"


@pytest.fixture(scope="session")
def classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(1)
    rows = random.normal(size=(80, len(FEATURES)))
    return LogisticRegression().fit(rows, (rows.sum(axis=1) > 0).astype(int))


@pytest.fixture
def model(classifier: Any, tmp_path: Path) -> Callable[[str], Path]:
    """Write the model into a folder of the given name."""
    from pipeline import model_folder

    def write(name: str) -> Path:
        example = np.zeros((1, len(FEATURES)))
        model_folder.save(classifier, "sklearn", tmp_path / name, features=FEATURES, example=example)
        return tmp_path / name

    return write
