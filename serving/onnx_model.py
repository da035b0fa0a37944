"""Models of the flavour onnx, run by onnxruntime."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from serving.artifact import ArtifactError
from serving.mlmodel import Package, columns
from serving.runtime import Predict, Runtime, first_line
from serving.signature import Array, Column, Signature

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
) -> tuple[Predict, Signature]:
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
