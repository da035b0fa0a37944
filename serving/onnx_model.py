"""Models of the flavour onnx, run by onnxruntime."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from serving.artifact import ArtifactError
from serving.mlmodel import Package, columns
from serving.runtime import Predict, Runtime, first_line
from serving.signature import Array, Column, InputError, Signature

CPU, GPU = "CPUExecutionProvider", "CUDAExecutionProvider"

# onnxruntime's names for the element types of its inputs
_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64,
    "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def load(package: Package, threads: int, device: str) -> Runtime:
    """Load an ONNX graph; see ``serving.runtime.load``."""
    ort: Any = importlib.import_module("onnxruntime")
    path = package.file("data", "model.onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(package, device, ort.get_available_providers())
    try:
        session = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise ArtifactError(f"cannot load {path}: {first_line(error)}") from None
    used: list[str] = session.get_providers()
    if device == "gpu" and used[:1] == [CPU]:
        # onnxruntime goes on without a provider that it can't start.
        raise ArtifactError(
            f"a GPU is asked for, and onnxruntime can't use one: of {', '.join(map(_name, providers))} it "
            f"started {', '.join(used)}. Look at the driver and the libraries of CUDA, or ask for no GPU"
        )
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


def _providers(package: Package, device: str, available: Sequence[str]) -> list[Any]:
    """Return the execution providers to ask for: those that the model was logged with, of this device."""
    given: Any = package.options.get("providers") or []
    # Entries are names, or pairs of a name and its options.
    entries: list[Any] = [given] if isinstance(given, str) else list(given)
    named: list[Any] = [
        tuple(cast(list[Any], entry)) if isinstance(entry, list) else entry for entry in entries
    ]
    if device == "cpu":
        own = [_name(entry) for entry in named]
        if own and CPU not in own:
            raise ArtifactError(
                f"MLmodel: flavors.onnx.providers has only {', '.join(own)}, and this server uses the CPU: "
                f"ask for a GPU, or log the model with {CPU} among its onnx_execution_providers"
            )
        return [CPU]
    wanted: list[Any] = [entry for entry in named if _name(entry) != CPU] or [GPU]
    if missing := [_name(entry) for entry in wanted if _name(entry) not in available]:
        raise ArtifactError(
            f"a GPU is asked for, and this onnxruntime has no {', '.join(missing)}, only "
            f"{', '.join(available)}. Use an image with onnxruntime-gpu, or ask for no GPU"
        )
    return [*wanted, CPU]


def _name(provider: Any) -> str:
    return str(cast(tuple[Any, ...], provider)[0] if isinstance(provider, tuple) else provider)


def _in_blocks(predict: Predict, rows: int) -> Predict:
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
) -> tuple[Predict, Signature]:
    dtype = np.dtype(_ONNX_TYPES[item.type])
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in item.shape)
    name: str = item.name
    given = package.signature
    if given is None:
        if dtype.kind not in "fiub" or len(shape) < 2:
            raise ArtifactError(f"the model in {package.folder} has no signature; log it with one")
        return lambda array: run(outputs, {name: array}), Signature(name, dtype, (-1, *shape[1:]))
    if len(shape) != len(given.shape) or any(
        -1 not in (a, b) and a != b for a, b in zip(shape[1:], given.shape[1:], strict=True)
    ):
        raise ArtifactError(
            f"the signature says shape {list(given.shape)}, but the ONNX input {name} has {list(shape)}"
        )
    declared = [column.dtype for column in given.columns] or [given.dtype]
    for kind in declared:
        _check_types(kind, dtype, name)
    if any(kind.kind != dtype.kind for kind in declared):
        # Whole numbers for a graph of doubles: each is checked once more, as the graph would round it.
        labels = given.names
        return lambda array: run(outputs, {name: _cast(array, declared, dtype, labels or (name,))}), given
    # Requests are checked and converted once, straight to the type that the graph takes.
    # The name stays the signature's: a caller does not notice that a version came in another flavour.
    own = given.columns
    if dtype.kind in "iu":
        own = tuple(replace(c, dtype=min(c.dtype, dtype, key=lambda kind: kind.itemsize)) for c in own)
    signature = Signature(given.input, dtype, given.shape, own, given.names, given.dtype)
    return lambda array: run(outputs, {name: array}), signature


def _input_each_column(
    run: Callable[..., list[Array]], inputs: list[Any], outputs: list[str], package: Package
) -> tuple[Predict, Signature]:
    if package.signature is None:
        names = {"f": "double", "i": "long", "u": "long", "b": "boolean", "O": "string"}
        kinds = [np.dtype(_ONNX_TYPES[item.type]) for item in inputs]
        signature = columns(
            [Column(item.name, kind, names[kind.kind]) for item, kind in zip(inputs, kinds, strict=True)]
        )
    else:
        signature = package.signature
    order = {column.name: index for index, column in enumerate(signature.columns)}
    feeds: list[tuple[str, int, np.dtype[Any], bool]] = []
    for item in inputs:
        dtype, shape = np.dtype(_ONNX_TYPES[item.type]), list(item.shape)
        if item.name not in order:
            raise ArtifactError(f"the ONNX input {item.name!r} is not among the columns of the signature")
        if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
            raise ArtifactError(
                f"the ONNX input {item.name!r} has the shape {shape}; a column goes into [n] or [n, 1]"
            )
        index = order[item.name]
        _check_types(signature.columns[index].dtype, dtype, item.name)
        feeds.append((item.name, index, dtype, len(shape) == 1))
    kinds_of = [column.dtype for column in signature.columns]

    def predict(array: Array) -> Sequence[Array]:
        feed: dict[str, Array] = {}
        for name, index, dtype, flat in feeds:
            column = _cast(array[:, index : index + 1], [kinds_of[index]], dtype, (name,))
            feed[name] = column.reshape(-1) if flat else column
        return run(outputs, feed)

    return predict, signature


def _check_types(declared: np.dtype[Any], graph: np.dtype[Any], name: str) -> None:
    """Raise ``ArtifactError`` where a graph can't take what the signature promises to callers."""
    numbers = declared.kind in "fiu" and graph.kind in "fiu"
    if declared.kind == graph.kind or (numbers and declared.kind != "f"):
        return
    said, taken = ("string" if kind.kind == "O" else kind.name for kind in (declared, graph))
    raise ArtifactError(
        f"the signature says {said}, but the ONNX input {name} is {taken}; log the model with the types that "
        "its graph takes"
    )


def _cast(
    array: Array, declared: Sequence[np.dtype[Any]], dtype: np.dtype[Any], names: Sequence[str]
) -> Array:
    """Return rows in the type of the graph; raises ``InputError`` where a number would become another one.

    ``declared`` and ``names`` are those of the columns, or have one entry for all.
    """
    if array.dtype == dtype or dtype.kind in "bO":
        return np.ascontiguousarray(array.astype(dtype, copy=False))
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            result = np.ascontiguousarray(array.astype(dtype))
        except (OverflowError, ValueError):
            raise InputError(f"{names[0]}: a number is out of range for {dtype.name}") from None
        back = result.astype(np.object_) if array.dtype.kind == "O" else result.astype(array.dtype)
        # A double may be rounded to the graph's, but not become infinite; a whole number stays what it is.
        floats = np.array([kind.kind == "f" for kind in declared])
        known = ~np.not_equal(array, array).astype(bool)  # not NaN, in arrays of objects too
        wrong = known & np.where(floats, np.isinf(result), np.not_equal(back, array).astype(bool))
        if dtype.kind == "u":
            wrong |= known & np.less(array, 0).astype(bool)
    if wrong.any():
        place = tuple(int(axis) for axis in np.argwhere(wrong)[0])
        name = names[place[-1]] if len(names) > 1 else names[0]
        raise InputError(
            f"{name}: {array[place]} is no exact {dtype.name}, which is what the model computes with"
        )
    return result
