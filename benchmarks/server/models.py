"""Writes our two model folders, in a process of its own: MLflow and the converter import for seconds."""

import sys
from pathlib import Path

import joblib
import mlflow
import numpy as np
import skl2onnx
from mlflow.types import ColSpec, DataType, Schema
from sklearn.datasets import load_breast_cancer


def main(model: Path, out: Path) -> None:
    """Save the joblib file ``model`` below ``out`` as ``joblib`` and as ``onnx``."""
    fitted = joblib.load(model)
    data = load_breast_cancer()
    signature = mlflow.models.ModelSignature(
        inputs=Schema([ColSpec(DataType.double, str(name)) for name in data.feature_names]),
        outputs=Schema([ColSpec(DataType.long, "predictions")]),
    )
    common = {"signature": signature, "pip_requirements": ["scikit-learn"]}
    mlflow.sklearn.save_model(fitted, out / "joblib", serialization_format="cloudpickle", **common)
    graph = skl2onnx.to_onnx(
        fitted, data.data[:1].astype(np.float32), options={"zipmap": False}, target_opset=15
    )
    mlflow.onnx.save_model(graph, out / "onnx", **common)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
