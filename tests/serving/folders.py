"""Model folders as MLflow writes them, made here by hand: importing MLflow takes longer than most tests."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import yaml

TENSOR = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]


def columns(*types: str, optional: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Return a column-based signature with the columns a, b, c, … of these types."""
    return [
        {"type": kind, "name": chr(ord("a") + index), "required": index not in optional}
        for index, kind in enumerate(types)
    ]


def sklearn(folder: Path, model: Any, inputs: Any = TENSOR, **extra: Any) -> Path:
    """Write a scikit-learn model with a signature; ``inputs=None`` leaves the signature out."""
    folder.mkdir(parents=True)
    joblib.dump(model, folder / "model.joblib")
    flavour = {"pickled_model": "model.joblib", "serialization_format": "joblib"}
    return mlmodel(folder, {"sklearn": flavour, "python_function": {}}, inputs, **extra)


def onnx(folder: Path, graph: bytes, inputs: Any = TENSOR, **extra: Any) -> Path:
    """Write an ONNX model with a signature."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph)
    return mlmodel(
        folder, {"onnx": {"data": "model.onnx", "providers": ["CPUExecutionProvider"]}}, inputs, **extra
    )


def mlmodel(folder: Path, flavours: dict[str, Any], inputs: Any, **extra: Any) -> Path:
    """Write only the MLmodel file."""
    document: dict[str, Any] = {"flavors": flavours, **extra}
    if inputs is not None:
        document["signature"] = {"inputs": json.dumps(inputs), "outputs": None, "params": None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    return folder


class Sum:
    """A model that is easy to predict: the sum of each row. It notes the rows of each call."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, rows: Any) -> Any:
        array = np.asarray(rows, dtype=np.float64)
        self.calls.append(len(array))
        if (array == 666).any():
            raise RuntimeError("this row is poison")
        return array.sum(axis=1)


class Sign:
    """A classifier: whether the sum of a row is above zero, as text."""

    def predict(self, rows: Any) -> Any:
        return np.where(np.asarray(rows, dtype=np.float64).sum(axis=1) > 0, "up", "down").astype(object)


class Constant:
    """A model that answers 1 whatever it gets: text, and nothing, too."""

    def predict(self, rows: Any) -> Any:
        return np.ones(len(rows))
