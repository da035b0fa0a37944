"""Models of the flavour sklearn: whatever was pickled and has the function that mlflow.pyfunc would call."""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from serving.artifact import ArtifactError
from serving.mlmodel import Package, serialization
from serving.runtime import Predict, Runtime, first_line
from serving.signature import Array, Signature

# What a classifier decides its answer by: it tells more of two rows than their class does.
_BEHIND = ("predict_proba", "decision_function", "predict_log_proba")
_DEEPEST = 8
# They choose among columns, and take others beside those.
_LENIENT = ("ColumnTransformer", "FunctionTransformer")


def load(package: Package, threads: int, device: str) -> Runtime:
    """Load a scikit-learn model; see ``serving.runtime.load``."""
    del threads  # numpy's are set by the environment of the process
    if device == "gpu":
        raise ArtifactError("a GPU is asked for, and scikit-learn never uses one; ask for no GPU")
    path = package.file("pickled_model", "model.pkl")
    form = serialization(package)
    if package.code is not None and str(package.code) not in sys.path:
        # As mlflow.pyfunc does: the modules that the model was logged with.
        sys.path.insert(0, str(package.code))
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = _unpack(form, str(path), package)
        except ArtifactError:
            raise
        except Exception as error:
            raise ArtifactError(
                f"cannot load {path} ({form}): {type(error).__name__}: {first_line(error)}{_advice(error)}"
            ) from None
    notes += dict.fromkeys(first_line(item.message) for item in caught if "Version" in item.category.__name__)
    name = package.predict_function
    function = getattr(model, name, None)
    if not callable(function):
        raise ArtifactError(f"{path} holds a {type(model).__name__}, which has no {name}()")
    signature = package.signature
    if signature is None:
        features = getattr(model, "n_features_in_", None)
        if not isinstance(features, int):
            raise ArtifactError(f"the model in {package.folder} has no signature; log it with one")
        signature = Signature("input", np.dtype(np.float64), (-1, features))
    _check_features(model, signature)
    predict, shortcut = _ways(function, model, signature)
    behind = next((found for name in _BEHIND if callable(found := getattr(model, name, None))), None)
    return Runtime(
        signature=signature,
        outputs=("predictions",),
        predict=predict,
        notes=tuple(notes),
        shortcut=shortcut,
        probe=_ways(behind, model, signature)[0] if behind is not None and name == "predict" else None,
        categories=lambda column: _categories(model, column, signature),
    )


def _check_features(model: Any, signature: Signature) -> None:
    """Raise ``ArtifactError`` where scikit-learn would refuse every row: it was fitted on other columns."""
    first = model
    while isinstance(steps := getattr(first, "steps", None), list) and steps:
        first = cast(list[Any], steps)[0][1]
    fitted = getattr(first, "n_features_in_", None)
    ours = str(type(first).__module__).startswith("sklearn.") and hasattr(first, "get_params")
    if (
        not ours
        or not isinstance(fitted, int)
        or type(first).__name__ in _LENIENT
        or len(signature.shape) != 2
    ):
        return
    if any(hasattr(part, "fit") for part in first.get_params(deep=False).values()):
        return
    width = signature.shape[1]
    if width not in (-1, fitted):
        raise ArtifactError(
            f"the signature says {width} columns, but the model was fitted on {fitted}; log it with the "
            "signature of what it was fitted on"
        )
    names: Any = getattr(first, "feature_names_in_", None)
    if names is not None and signature.columns and not signature.unnamed:
        pairs = zip(map(str, names), signature.names, strict=True)
        if wrong := next(((trained, said) for trained, said in pairs if trained != said), None):
            raise ArtifactError(
                f"the signature says column {wrong[1]!r} where the model was fitted on {wrong[0]!r}; log it "
                "with the signature of what it was fitted on"
            )


def _advice(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"; this server's environment has no {error.name}: log the model with code_paths if that is a "
            "module of your own, else the model needs another server"
        )
    return ""


def _ways(function: Callable[[Any], Any], model: Any, signature: Signature) -> tuple[Predict, Predict | None]:
    """Return how to call a function of a model: with columns as a DataFrame, as mlflow.pyfunc does.

    And a quicker way, where the model may have been trained on an array and the columns are all of one type.
    """

    def of_array(array: Array) -> Sequence[Array]:
        return (_dense(function(array)),)

    if not signature.columns:
        return of_array, None
    pandas: Any = importlib.import_module("pandas")
    names: list[Any] = list(range(len(signature.names)) if signature.unnamed else signature.names)
    kinds = [_pandas_type(column.dtype, column.optional) for column in signature.columns]
    types = dict(zip(names, kinds, strict=True))
    if len(set(kinds)) == 1 and kinds[0] == signature.dtype:
        types = {}

    def of_frame(array: Array) -> Sequence[Array]:
        frame = pandas.DataFrame(array, columns=names, copy=False)
        return (_dense(function(frame.astype(types) if types else frame)),)

    unnamed = not hasattr(model, "feature_names_in_") and isinstance(
        getattr(model, "n_features_in_", None), int
    )
    if unnamed:
        # It was trained without names, and would warn of them at every call.
        warnings.filterwarnings("ignore", "X has feature names, but ", UserWarning)
    return of_frame, of_array if unnamed and not types else None


def _pandas_type(dtype: np.dtype[Any], optional: bool) -> Any:
    """Return the type of a DataFrame's column, the same whatever stands in the other rows of a call."""
    if dtype.kind == "O":
        return "str"  # pandas' own, in which what is missing is NaN
    if optional and dtype.kind in "iu":
        return np.dtype(np.float64)
    if optional and dtype.kind == "b":
        return np.dtype(np.object_)
    return dtype


def _dense(found: Any) -> Array:
    """Return what a model answered as an array."""
    if hasattr(found, "toarray"):  # scipy's sparse matrices
        found = found.toarray()
    return np.asarray(found)


def _categories(model: Any, column: str, signature: Signature) -> Sequence[Any]:
    """Return the categories that the model's encoders know for a column."""
    known = [
        text
        for names, categories in _encoders(model, signature.names, 0)
        for name, values in zip(names, categories, strict=False)
        if name == column
        for text in list(values)
    ]
    return list(dict.fromkeys(known))


def _encoders(part: Any, names: Sequence[str], depth: int) -> Iterator[tuple[Sequence[str], Sequence[Any]]]:
    """Find the encoders in a model, each with the names of its columns and its categories of each."""
    if depth > _DEEPEST:
        return
    given: Any = getattr(part, "feature_names_in_", None)
    own = [str(name) for name in given] if given is not None else list(names)
    categories: Any = getattr(part, "categories_", None)
    if isinstance(categories, list):
        yield own, cast(list[Any], categories)
    steps: Any = getattr(part, "steps", None)
    for step in cast(list[Any], steps) if isinstance(steps, list) else []:
        yield from _encoders(step[-1], own, depth + 1)
    transformers: Any = getattr(part, "transformers_", None)
    for _, transformer, chosen in cast(list[Any], transformers) if isinstance(transformers, list) else []:
        yield from _encoders(transformer, _chosen(chosen, own), depth + 1)
    for name in ("estimator", "best_estimator_"):
        inner: Any = getattr(part, name, None)
        if inner is not None and not isinstance(inner, str | Mapping):
            yield from _encoders(inner, own, depth + 1)


def _chosen(chosen: Any, names: Sequence[str]) -> list[str]:
    """Return the names of a ColumnTransformer's columns, which it may have as names or as places."""
    items: list[Any] = list(np.atleast_1d(np.asarray(chosen, dtype=np.object_)))
    places = {str(place): name for place, name in enumerate(names)}
    return [str(item) if isinstance(item, str) else places.get(str(item), "") for item in items]


def _unpack(form: str, path: str, package: Package) -> Any:
    if form == "skops":
        skops: Any = importlib.import_module("skops.io")
        trusted = list(package.options.get("skops_trusted_types") or [])
        if unknown := [name for name in skops.get_untrusted_types(file=path) if name not in trusted]:
            raise ArtifactError(
                f"{path} holds the types {', '.join(unknown)}, which its MLmodel does not trust; "
                "log the model with skops_trusted_types"
            )
        return skops.load(path, trusted=trusted)
    # Running what is in a pickle is safe only because the digest was checked before.
    return importlib.import_module("joblib").load(path)
