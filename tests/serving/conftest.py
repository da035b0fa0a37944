"""Models that several tests serve."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving import folders


@pytest.fixture(scope="session")
def classifier() -> Any:
    """A fitted scaler and logistic regression on three features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(7)
    rows = generator.normal(size=(200, 3))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, (rows.sum(axis=1) > 0).astype(int))


@pytest.fixture(scope="session")
def graph(classifier: Any) -> bytes:
    """The classifier as ONNX, in 32 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter's own imports
        import skl2onnx

        example = np.zeros((1, 3), np.float32)
        converted = skl2onnx.to_onnx(classifier, example, options={"zipmap": False}, target_opset=15)
    return converted.SerializeToString()


@pytest.fixture
def summing(tmp_path: Path) -> Path:
    """A folder with a model that adds up three features."""
    return folders.sklearn(tmp_path / "sum", folders.Sum())


@pytest.fixture
def onnx_folder(tmp_path: Path, graph: bytes) -> Path:
    """A folder with the classifier as ONNX."""
    return folders.onnx(tmp_path / "onnx", graph)
