"""The folder of a model as MLflow keeps it: the model, its signature, an example."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import quiet as quiet
from pipeline.training import Flavour

_REQUIREMENTS: Mapping[Flavour, Sequence[str]] = {
    "sklearn": ("scikit-learn", "numpy", "pandas", "skops"),
    "onnx": ("onnx", "onnxruntime", "numpy", "pandas"),
}


def save(
    model: Any,
    flavour: Flavour,
    folder: Path,
    *,
    features: Sequence[str],
    example: NDArray[np.float64],
) -> None:
    """Write a model into a folder that doesn't exist yet.

    The signature is one column of doubles for each feature, and one of whole numbers, `predictions`: the same
    whatever the flavour, so that a caller doesn't notice a new version. `example` has one or more rows. A
    scikit-learn model is written by skops, which unlike a pickle runs no code when it is read.
    """
    import mlflow.onnx as mlflow_onnx
    import mlflow.sklearn as mlflow_sklearn
    import pandas
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name) for name in features]),
        outputs=Schema([ColSpec(DataType.long, "predictions")]),
    )
    # Named, because MLflow would find them by running the model in a process of its own, which takes seconds.
    requirements = [f"{name}=={version(name)}" for name in ("mlflow", *_REQUIREMENTS[flavour])]
    input_example = pandas.DataFrame(example, columns=list(features))
    if flavour == "sklearn":
        mlflow_sklearn.save_model(
            model,
            str(folder),
            signature=signature,
            input_example=input_example,
            pip_requirements=requirements,
            serialization_format="skops",
        )
    else:
        mlflow_onnx.save_model(
            model,
            str(folder),
            signature=signature,
            input_example=input_example,
            pip_requirements=requirements,
            onnx_execution_providers=["CPUExecutionProvider"],
        )
