"""The two request formats, plain rows and the Open Inference Protocol v2: from JSON to rows, from outputs to
JSON.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

import numpy as np
import orjson

from serving import binary, forms
from serving.batching import Job, Outputs
from serving.model import Model
from serving.signature import Array, InputError, Rows, Signature

# numpy's kinds and sizes as the protocol calls them
_DATATYPES = {
    "b1": "BOOL",
    "i1": "INT8",
    "i2": "INT16",
    "i4": "INT32",
    "i8": "INT64",
    "u1": "UINT8",
    "u2": "UINT16",
    "u4": "UINT32",
    "u8": "UINT64",
    "f2": "FP16",
    "f4": "FP32",
    "f8": "FP64",
}
_NUMBERS = frozenset(_DATATYPES.values()) - {"BOOL"}


@cache
def datatype(dtype: np.dtype[Any]) -> str:
    """Return the protocol's name of an element type; text is BYTES."""
    return _DATATYPES.get(f"{dtype.kind}{dtype.itemsize}", "BYTES")


def parse(body: bytes) -> object:
    """Return the JSON value of a body, or raise ``InputError``.

    NaN is read too, which is no JSON but what Python and pandas write for a missing value.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" in body:
            try:
                return cast(object, json.loads(body, parse_constant=_constant))
            except ValueError:
                pass
        start = "" if body.strip() else ", it is empty"
        raise InputError(f"the body is not valid JSON{start}: {error}") from None


def _constant(name: str) -> float:
    if name != "NaN":
        raise ValueError(name)
    return float("nan")


def literals(body: bytes) -> bool:
    """Return whether ``true`` or ``false`` is anywhere in the body."""
    return b"true" in body or b"false" in body


def plain_job(content: object, signature: Signature, has_literals: bool) -> Job:
    """Return the job of a request in one of the forms of ``serving.forms``."""
    rows, where = forms.rows(content, signature)
    return Job(rows, where, has_literals)


def plain_answer(outputs: Outputs, model: Model) -> dict[str, Any]:
    """Return the answer to a plain request: the first output, and the others by name where there are any."""
    answer: dict[str, Any] = {
        "predictions": outputs[0].tolist(),
        "model": model.name,
        "version": model.version,
    }
    if len(outputs) > 1:
        names = model.runtime.outputs[1:]
        answer["outputs"] = {name: output.tolist() for name, output in zip(names, outputs[1:], strict=True)}
    return answer


def v2_job(content: object, signature: Signature, has_literals: bool) -> Job:
    """Return the job of a v2 inference request: one tensor of rows, or one tensor a column."""
    if not isinstance(content, dict):
        raise InputError(
            'the body is no object; expected {"inputs": [{"name", "shape", "datatype", "data"}]}'
        )
    _only(cast(dict[str, Any], content), ("id", "inputs", "outputs", "parameters"), "")
    _no_parameters(cast(dict[str, Any], content), "", ("binary_data_output",))
    inputs: object = cast(dict[str, Any], content).get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InputError(
            f"inputs: expected a list with the tensor {signature.input!r}: {signature.expected()}"
        )
    tensors = cast(list[object], inputs)
    for index, item in enumerate(tensors):
        if isinstance(item, dict):
            given = cast(dict[str, Any], item)
            _only(given, ("name", "shape", "datatype", "data", "parameters"), f"inputs[{index}].")
            _no_parameters(given, f"inputs[{index}].", ())
    first = tensors[0]
    if len(tensors) == 1 and isinstance(first, dict):
        tensor = cast(dict[str, Any], first)
        if tensor.get("name") == signature.input or not signature.columns:
            return Job(_rows(tensor, signature), "inputs[0].data", has_literals)
    return Job(_from_columns(tensors, signature), "inputs", has_literals)


def v2_example(signature: Signature) -> dict[str, Any] | None:
    """Return a v2 body with one row of neutral values; None where a row has too many to be of help."""
    plain = forms.example(signature)
    if plain is None:
        return None
    row: Any = plain["features"][0]
    if signature.columns:
        columns = {column.name: datatype(column.dtype) for column in signature.columns}
        tensors = [
            {"name": name, "shape": [1], "datatype": kind, "data": [row[name]]}
            for name, kind in columns.items()
        ]
        return {"inputs": tensors}
    shape = [1, *(max(size, 1) for size in signature.shape[1:])]
    kind = datatype(signature.declared or signature.dtype)
    return {"inputs": [{"name": signature.input, "shape": shape, "datatype": kind, "data": [row]}]}


def v2_answer(
    outputs: Outputs, model: Model, content: Mapping[str, Any], request_id: str
) -> tuple[dict[str, Any], bytes]:
    """Return the v2 answer with all outputs, or those that the request asks for.

    And the bytes of the outputs that it wants as bytes.
    """
    names: Sequence[str] = model.runtime.outputs
    chosen = names
    if (asked := content.get("outputs")) is not None:
        chosen = _asked(asked, names)
    by_name = dict(zip(names, outputs, strict=True))
    identifier = content.get("id")
    tensors: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name in chosen:
        if binary.asked(content, name):
            parts.append(binary.written(by_name[name]))
            size = {"binary_data_size": len(parts[-1])}
            tensors.append({**_described(name, by_name[name]), "parameters": size})
        else:
            tensors.append(_tensor(name, by_name[name]))
    answer = {
        "model_name": model.name,
        "model_version": model.version,
        "id": identifier if isinstance(identifier, str) and identifier else request_id,
        "outputs": tensors,
    }
    return answer, b"".join(parts)


def check_outputs(content: object, model: Model) -> None:
    """Raise ``InputError`` when a v2 request asks for an output that the model does not have."""
    if isinstance(content, dict) and (asked := cast(dict[str, Any], content).get("outputs")) is not None:
        _asked(asked, model.runtime.outputs)


def metadata(model: Model) -> dict[str, Any]:
    """Return the v2 metadata of a model."""
    signature = model.runtime.signature
    if signature.dtype.kind == "O" or len({column.dtype for column in signature.columns}) > 1:
        inputs = [
            {"name": column.name, "datatype": datatype(column.dtype), "shape": [-1]}
            for column in signature.columns
        ]
    else:
        shape = list(signature.shape)
        inputs = [
            {
                "name": signature.input,
                "datatype": datatype(signature.declared or signature.dtype),
                "shape": shape,
            }
        ]
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": {"onnx": "onnx_onnxruntime", "sklearn": "sklearn_joblib"}[model.package.flavour],
        "inputs": inputs,
        "outputs": [
            {"name": name, "datatype": datatype(sample.dtype), "shape": [-1, *sample.shape[1:]]}
            for name, sample in zip(model.runtime.outputs, model.sample, strict=bool(model.sample))
        ],
        "parameters": {"digest": model.digest, "features": list(signature.names)},
    }


def _asked(asked: object, names: Sequence[str]) -> Sequence[str]:
    chosen: list[str] = []
    for index, item in enumerate(cast(list[object], asked) if isinstance(asked, list) else [asked]):
        name: object = cast(dict[str, Any], item).get("name") if isinstance(item, dict) else None
        if isinstance(item, dict):
            _only(cast(dict[str, Any], item), ("name", "parameters"), f"outputs[{index}].")
            _no_parameters(cast(dict[str, Any], item), f"outputs[{index}].", ("binary_data",))
        if not isinstance(name, str) or name not in names:
            raise InputError(f"outputs[{index}].name: expected one of {', '.join(names)}, got {name!r:.60}")
        chosen.append(name)
    return chosen or names


def _described(name: str, output: Array) -> dict[str, Any]:
    return {"name": name, "shape": list(output.shape), "datatype": datatype(output.dtype)}


def _tensor(name: str, output: Array) -> dict[str, Any]:
    values = output.ravel().tolist()
    described = _described(name, output)
    if described["datatype"] == "BYTES":
        values = [str(value) for value in values]
    return {**described, "data": values}


def _only(given: Mapping[str, Any], accepted: Sequence[str], where: str) -> None:
    """Raise ``InputError`` for a key that would be read by nothing."""
    for key in given:
        if key not in accepted:
            raise InputError(f"{where}{key[:60]}: no such key; accepted: {', '.join(accepted)}")


def _no_parameters(given: Mapping[str, Any], where: str, accepted: Sequence[str]) -> None:
    parameters: object = given.get("parameters")
    if parameters is None:
        return
    if not isinstance(parameters, dict):
        raise InputError(f"{where}parameters: expected an object")
    for key in cast(dict[str, Any], parameters):
        if key not in accepted:
            also = f"; accepted: {', '.join(accepted)}" if accepted else ""
            raise InputError(f"{where}parameters.{key[:60]}: this model takes no such parameter{also}")


def _rows(tensor: Mapping[str, Any], signature: Signature) -> Rows:
    """Return the rows of one tensor, whose data may be flat or nested."""
    if tensor.get("name") != signature.input:
        raise InputError(f"inputs[0].name: expected {signature.input!r}, got {tensor.get('name')!r:.60}")
    _check_datatype(tensor, signature.kinds, "inputs[0]")
    shape, data = _shape(tensor, "inputs[0]"), _data(tensor, "inputs[0]")
    wanted = signature.shape
    if len(shape) != len(wanted) or not all(map(_fits, wanted[1:], shape[1:])):
        raise InputError(f"inputs[0].shape: expected {list(wanted)}, got {shape}")
    if shape[0] == 0:
        raise InputError(f"inputs[0].shape: expected at least one row of {list(wanted)}, got {shape}")
    if isinstance(data[0], list):
        if len(data) != shape[0]:
            raise InputError(f"inputs[0].data: expected {shape[0]} rows as in its shape, got {len(data)}")
        return data
    for size in reversed(shape[1:]):
        if size == 0 or len(data) % size:
            raise InputError(f"inputs[0].data: {len(data)} values do not fill the shape {shape}")
        data = [data[start : start + size] for start in range(0, len(data), size)]
    if len(data) != shape[0]:
        raise InputError(f"inputs[0].data: expected the values of {shape[0]} rows, got those of {len(data)}")
    return data


def _fits(wanted: int, size: int) -> bool:
    return wanted in (-1, size)


def _from_columns(tensors: Sequence[object], signature: Signature) -> Rows:
    """Return the rows of a request that has one tensor a column."""
    if not signature.columns:
        raise InputError(f"inputs: expected one tensor {signature.input!r}, got {len(tensors)}")
    by_name = {column.name: column for column in signature.columns}
    found: dict[str, Rows] = {}
    for index, item in enumerate(tensors):
        where = f"inputs[{index}]"
        if not isinstance(item, dict):
            raise InputError(f'{where}: expected {{"name", "shape", "datatype", "data"}}')
        tensor = cast(dict[str, Any], item)
        name: object = tensor.get("name")
        if not isinstance(name, str) or name not in by_name:
            names = ", ".join(map(repr, by_name))
            raise InputError(
                f"{where}.name: expected {signature.input!r} or a column of {names}; got {name!r:.60}"
            )
        if name in found:
            raise InputError(f"{where}.name: {name!r} is there twice")
        _check_datatype(tensor, frozenset(by_name[name].dtype.kind), where)
        shape, data = _shape(tensor, where), _data(tensor, where)
        if len(shape) not in (1, 2) or shape[0] != len(data) or (len(shape) == 2 and shape[1] != 1):
            raise InputError(
                f"{where}.shape: expected [{len(data)}] or [{len(data)}, 1] for its data, got {shape}"
            )
        found[name] = [_single(value) for value in data]
    lengths = {len(values) for values in found.values()}
    if len(lengths) > 1:
        raise InputError(f"inputs: all columns need the same number of rows, got {sorted(lengths)}")
    count = lengths.pop()
    for column in signature.columns:
        if column.name not in found:
            if not column.optional:
                raise InputError(f"inputs: column {column.name!r} ({column.type}) is missing")
            found[column.name] = [None] * count
    ordered = [found[column.name] for column in signature.columns]
    return [list(row) for row in zip(*ordered, strict=True)]


def _single(value: object) -> object:
    """Return the value of a list of one, as in a column of shape [n, 1] with nested data."""
    if isinstance(value, list):
        values = cast(list[object], value)
        if len(values) == 1:
            return values[0]
    return cast(object, value)


def _check_datatype(tensor: Mapping[str, Any], kinds: frozenset[str], where: str) -> None:
    accepted = _accepted(kinds)
    if not accepted:
        raise InputError(f"{where}: the model's columns differ in type; send one tensor a column")
    given: object = tensor.get("datatype")
    if not isinstance(given, str) or given not in accepted:
        raise InputError(f"{where}.datatype: expected {' or '.join(sorted(accepted))}, got {given!r:.60}")


@cache
def _accepted(kinds: frozenset[str]) -> frozenset[str]:
    """Return the datatypes that a tensor for these kinds may have; none when they are too different."""
    if kinds <= frozenset("fiu"):
        return _NUMBERS
    if len(kinds) > 1:
        return frozenset()
    return frozenset({"BOOL"}) if "b" in kinds else frozenset({"BYTES"})


def _shape(tensor: Mapping[str, Any], where: str) -> list[int]:
    shape: object = tensor.get("shape")
    if isinstance(shape, list) and shape:
        sizes = cast(list[object], shape)
        # bool is an int to isinstance, not to type
        if all(type(size) is int and size >= 0 for size in sizes):
            return cast(list[int], sizes)
    raise InputError(f"{where}.shape: expected a list of sizes, for instance [1, 30]; got {shape!r:.60}")


def _data(tensor: Mapping[str, Any], where: str) -> Rows:
    data: object = tensor.get("data")
    if isinstance(data, list) and data:
        return cast(Rows, data)
    raise InputError(
        f"{where}.data: expected a list of values, got {'an empty one' if data == [] else 'none'}"
    )
