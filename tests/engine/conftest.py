"""One local stack for all tests of the engine, with four small versions of one model and one of another in
its registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline import model_folder
from pipeline.registering import Facts, register
from tests.engine.stack import Stack

FEATURES = ("age", "income", "tenure", "usage")


def add_version(registry: Path, work: Path, model: str, seed: int) -> str:
    """Register one more version of a small model; its digest."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    rows = random.normal(size=(60, len(FEATURES)))
    labels = (rows @ random.normal(size=len(FEATURES)) > 0).astype(int)
    folder = work / f"{model}-{seed}"
    model_folder.save(
        LogisticRegression().fit(rows, labels), "sklearn", folder, features=FEATURES, example=rows[:1]
    )
    facts = Facts(
        training_digest=f"sha256:{model}{seed}",
        data_name="random numbers",
        data_digest="sha256:0",
        metrics={"accuracy": 0.9},
    )
    uri, artifacts = f"sqlite:///{registry}/mlflow.db", registry / "artifacts"
    return register(folder, model, facts, tracking_uri=uri, artifacts=artifacts).digest


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(folder)
    registry = stack.home / "registry"
    for seed in range(1, 5):
        add_version(registry, folder, "churn", seed)
    add_version(registry, folder, "fraud", 11)
    yield stack
    stack.destroy()
