"""The drift reference of a model: what its training data and its predictions on them look like.

The server counts values by the quantiles in it, and so tells how far live traffic is from the training data.
It is the file ``reference.json`` beside ``MLmodel``, so it belongs to the artifact and its digest: it is
written before a version is registered, or makes a new one (see ``pipeline.referencing``).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import quiet as quiet
from pipeline import table
from pipeline.table import DataError
from serving import mlmodel, runtime
from serving.statistics import OTHER, Statistics

FILE = mlmodel.REFERENCE
_MOST_CLASSES = 100


def describe(folder: Path, data: Any, source: str = "the data") -> dict[str, Any]:
    """Describe data, and the predictions on them of the MLflow model in a folder.

    ``data`` is a pandas DataFrame or a numpy array of what the model takes, without labels; ``source`` is
    what errors call it. Each feature has its ``mean``, ``std`` and nine deciles (``quantiles``) and, where
    values are missing, the share of those (``missing``); text has nothing. The model's first output has the
    same if it is one number, and the share of each label (``classes``) if it is labels.

    Raises DataError if the data don't fit the model, ArtifactError if the server couldn't load the model.
    The model is loaded, which runs the code in a pickle: only describe with models that you trust.
    """
    loaded = runtime.load(mlmodel.read(folder))
    blocks, numbers = table.checked(data, loaded.signature, source)
    # The server's own names: one for all where there are very many features.
    names = Statistics(loaded.signature, loaded.outputs, {}, ()).features.names
    numbers = numbers.reshape(-1, len(names))
    texts = {column.name for column in loaded.signature.columns if column.dtype.kind == "O"}
    try:
        parts = [np.asarray(loaded.predict(block)[0]) for block in blocks]
    except Exception as error:
        raise DataError(f"the model fails on {source}: {type(error).__name__}: {error}") from None
    return {
        "features": {
            name: {} if name in texts else _numbers(numbers[:, index]) for index, name in enumerate(names)
        },
        "predictions": _predictions(np.concatenate(parts)),
    }


def write(folder: Path | str, data: Any, source: str = "the data") -> Path:
    """Write the reference into the folder of an MLflow model that isn't registered yet; returns the file.

    See `describe` for the arguments and errors.
    """
    return save(Path(folder), describe(Path(folder), data, source))


def save(folder: Path, reference: Mapping[str, Any]) -> Path:
    """Write a reference that was described before into the folder of a model; returns the file."""
    file = folder / FILE
    text = json.dumps(reference, indent=1, sort_keys=True, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8")
    return file


def log_reference(model_info: Any, data: Any) -> None:
    """Add the reference to a model that was logged and isn't registered yet.

    ``model_info`` is what ``mlflow.sklearn.log_model`` or ``mlflow.onnx.log_model`` returned, ``data`` the
    training data: see `describe`. Raises DataError if the model has a registered version already, whose
    artifact is pinned by its digest: `python -m pipeline reference` makes a new version of that one.
    """
    import mlflow.artifacts
    from mlflow import MlflowClient

    client: Any = MlflowClient()
    model_id: str = model_info.model_id
    registered = client.get_logged_model(model_id).tags.get("mlflow.modelVersions")
    if registered or model_info.registered_model_version:
        raise DataError(
            "the model is registered already, and its artifact must not change: log it without"
            " registered_model_name, then call log_reference, then mlflow.register_model;"
            " or run `python -m pipeline reference MODEL VERSION --data FILE`, which makes a new version"
        )
    with tempfile.TemporaryDirectory(prefix="reference-") as temporary:
        folder = Path(mlflow.artifacts.download_artifacts(model_info.model_uri, dst_path=temporary))
        client.log_model_artifact(model_id, str(write(folder, data)))


def _numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    missing = {"missing": 1 - len(known) / len(values)} if len(known) < len(values) else {}
    if not len(known):
        return missing
    deciles: Sequence[float] = np.quantile(known, np.arange(1, 10) / 10).tolist()
    return {"mean": float(known.mean()), "std": float(known.std()), "quantiles": deciles, **missing}


def _predictions(values: NDArray[Any]) -> dict[str, Any]:
    """Describe a model's first output; nothing where that is several numbers a row."""
    if values.dtype.kind == "f":
        return _numbers(values.reshape(-1).astype(np.float64)) if values.size == len(values) else {}
    labels, counts = np.unique(values.reshape(-1).astype(str), return_counts=True)
    shares: dict[str, float] = {}
    for position in np.argsort(-counts, kind="stable").tolist():
        label = str(labels[position])
        label = label if len(shares) < _MOST_CLASSES else OTHER
        shares[label] = shares.get(label, 0.0) + int(counts[position]) / values.size
    return {"classes": shares}
