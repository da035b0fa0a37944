"""Loading a model by its MLflow flavour, and calling it."""

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.artifact import ArtifactError
from serving.mlmodel import Package, columns
from serving.signature import Array, Column, Signature


@dataclass(frozen=True)
class Runtime:
    """A loaded model. ``predict`` takes an array as ``signature`` describes it and returns one array an
    output.
    """

    signature: Signature
    outputs: tuple[str, ...]
    predict: Callable[[Array], Sequence[Array]]
    notes: tuple[str, ...] = ()
    batches: bool = True
    """Whether one call may have any number of rows; not so for a graph that was exported with a fixed
    number.
    """


def load(package: Package, threads: int = 1) -> Runtime:
    """Load the model; raises ``ArtifactError`` when its file is broken or does not fit its signature."""
    loader = {"onnx": _onnx, "sklearn": _sklearn}[package.flavour]
    return loader(package, threads)


# onnxruntime's names for the element types of its inputs
_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def _onnx(package: Package, threads: int) -> Runtime:
    ort: Any = importlib.import_module("onnxruntime")
    path = package.file("data", "model.onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    available: list[str] = ort.get_available_providers()
    wanted: list[str] = package.options.get("providers") or ["CPUExecutionProvider"]
    providers = [name for name in wanted if name in available] or ["CPUExecutionProvider"]
    try:
        session = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise ArtifactError(f"cannot load {path}: {_line(error)}") from None
    inputs: list[Any] = session.get_inputs()
    outputs: list[Any] = session.get_outputs()
    for item in inputs:
        if item.type not in _ONNX_TYPES:
            raise ArtifactError(
                f"{path}: input {item.name} has the type {item.type}, which is not served here"
            )
    tensors = [item.name for item in outputs if item.type.startswith("tensor(")]
    if not tensors:
        raise ArtifactError(f"{path} has no tensor among its outputs; convert it with zipmap=False")
    left_out = [item.name for item in outputs if item.name not in tensors]
    notes = [
        f"output {name} is no tensor and is left out; convert the model with zipmap=False"
        for name in left_out
    ]
    run: Callable[..., list[Array]] = session.run
    if len(inputs) == 1:
        predict, signature = _one_input(run, inputs[0], tensors, package)
    else:
        predict, signature = _input_each_column(run, inputs, tensors, package)
    rows = inputs[0].shape[0] if inputs[0].shape else None
    if isinstance(rows, int) and rows > 0:
        return Runtime(signature, tuple(tensors), _in_blocks(predict, rows), tuple(notes), batches=False)
    return Runtime(signature, tuple(tensors), predict, tuple(notes))


def _in_blocks(predict: Callable[[Array], Sequence[Array]], rows: int) -> Callable[[Array], Sequence[Array]]:
    """Call a graph of a fixed number of rows as often as it takes, with its last block filled up."""

    def blocks(array: Array) -> Sequence[Array]:
        results: list[Sequence[Array]] = []
        for start in range(0, len(array), rows):
            block = array[start : start + rows]
            if len(block) < rows:
                block = np.concatenate([block, np.repeat(block[-1:], rows - len(block), axis=0)])
            results.append(predict(block))
        return [np.concatenate(parts)[: len(array)] for parts in zip(*results, strict=True)]

    return blocks


def _one_input(
    run: Callable[..., list[Array]], item: Any, outputs: list[str], package: Package
) -> tuple[Callable[[Array], Sequence[Array]], Signature]:
    dtype = np.dtype(_ONNX_TYPES[item.type])
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in item.shape)
    if package.signature is None:
        if dtype.kind not in "fiub" or len(shape) < 2:
            raise ArtifactError(f"the model in {package.folder} has no signature; log it with one")
        signature = Signature(item.name, dtype, (-1, *shape[1:]))
    else:
        given = package.signature
        if len(shape) != len(given.shape) or any(
            -1 not in (a, b) and a != b for a, b in zip(shape[1:], given.shape[1:], strict=True)
        ):
            raise ArtifactError(
                f"the signature says shape {list(given.shape)}, "
                f"but the ONNX input {item.name} has {list(shape)}"
            )
        if (given.dtype.kind == "O") != (dtype.kind == "O"):
            raise ArtifactError(
                f"the signature says {given.dtype.name}, but the ONNX input {item.name} is {dtype.name}"
            )
        # Requests are checked and converted once, straight to the type that the graph takes.
        # The name stays the signature's: a caller does not notice that a version came in another flavour.
        signature = Signature(given.input, dtype, given.shape, given.columns, given.names, given.dtype)
    name: str = item.name

    def predict(array: Array) -> Sequence[Array]:
        return run(outputs, {name: array})

    return predict, signature


def _input_each_column(
    run: Callable[..., list[Array]], inputs: list[Any], outputs: list[str], package: Package
) -> tuple[Callable[[Array], Sequence[Array]], Signature]:
    if package.signature is None:
        names = {"f": "double", "i": "long", "u": "long", "b": "boolean", "O": "string"}
        kinds = [np.dtype(_ONNX_TYPES[item.type]) for item in inputs]
        signature = columns(
            [Column(item.name, kind, names[kind.kind]) for item, kind in zip(inputs, kinds, strict=True)]
        )
    else:
        signature = package.signature
    order = {name: index for index, name in enumerate(signature.names)}
    missing = [item.name for item in inputs if item.name not in order]
    if missing:
        raise ArtifactError(f"the ONNX input {missing[0]!r} is not among the columns of the signature")
    feeds = [(item.name, order[item.name], np.dtype(_ONNX_TYPES[item.type])) for item in inputs]

    def predict(array: Array) -> Sequence[Array]:
        return run(outputs, {name: array[:, index : index + 1].astype(dtype) for name, index, dtype in feeds})

    return predict, signature


def _sklearn(package: Package, threads: int) -> Runtime:
    path = package.file("pickled_model", "model.pkl")
    form = str(package.options.get("serialization_format") or "cloudpickle")
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = _unpack(form, str(path), package)
        except ArtifactError:
            raise
        except Exception as error:
            raise ArtifactError(
                f"cannot load {path} ({form}): {type(error).__name__}: {_line(error)}"
            ) from None
    notes += dict.fromkeys(_line(item.message) for item in caught if "Version" in item.category.__name__)
    function = getattr(model, "predict", None)
    if not callable(function):
        raise ArtifactError(f"{path} holds a {type(model).__name__}, which has no predict()")
    signature = package.signature
    if signature is None:
        features = getattr(model, "n_features_in_", None)
        if not isinstance(features, int):
            raise ArtifactError(f"the model in {package.folder} has no signature; log it with one")
        signature = Signature("input", np.dtype(np.float64), (-1, features))
    call: Callable[[Any], Any] = function
    needs_frame = signature.columns and hasattr(model, "feature_names_in_")

    def predict(array: Array) -> Sequence[Array]:
        return (np.asarray(call(array)),)

    def predict_frame(array: Array) -> Sequence[Array]:
        frame = pandas.DataFrame(array, columns=list(signature.names), copy=False)
        if mixed:
            frame = frame.astype(mixed)
        return (np.asarray(call(frame)),)

    if not needs_frame:
        return Runtime(signature, ("predictions",), predict, tuple(notes))
    pandas: Any = importlib.import_module("pandas")
    mixed = {
        column.name: column.dtype
        for column in signature.columns
        if column.dtype != signature.dtype and column.dtype.kind != "O" and not column.optional
    }
    return Runtime(signature, ("predictions",), predict_frame, tuple(notes))


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
    if form in ("cloudpickle", "pickle", "joblib"):
        # Running what is in a pickle is safe only because the digest was checked before.
        return importlib.import_module("joblib").load(path)
    raise ArtifactError(
        f"MLmodel: serialization_format is {form!r}; accepted: skops, joblib, pickle and cloudpickle"
    )


def _line(error: object) -> str:
    """Return the first line of a message."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
