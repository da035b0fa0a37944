"""The binary tensor data extension of the Open Inference Protocol: JSON first, then the tensors' bytes.

https://github.com/kserve/open-inference-protocol, extension ``binary_tensor_data``: numbers are
little-endian, in row-major order; each text is its length in four bytes and then its UTF-8.
"""

import struct
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import orjson

from serving.signature import Array, InputError

EXTENSION = "binary_tensor_data"
_TYPES = {
    "BOOL": "?",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_SIZE = "binary_data_size"


def read(body: bytes, length: int) -> object:
    """Return a request as if it were JSON alone: the tensors' bytes, after ``length`` of JSON, become data.

    Raises ``InputError`` where the bytes are not those that the JSON tells of.
    """
    if not 0 < length <= len(body):
        raise InputError(f"Inference-Header-Content-Length is {length}, and the body has {len(body)} bytes")
    try:
        content = cast(object, orjson.loads(body[:length]))
    except orjson.JSONDecodeError as error:
        raise InputError(f"the first {length} bytes of the body are not valid JSON: {error}") from None
    inputs: object = cast(dict[str, Any], content).get("inputs") if isinstance(content, dict) else None
    at = length
    for index, item in enumerate(cast(list[object], inputs) if isinstance(inputs, list) else []):
        if not isinstance(item, dict):
            continue
        tensor = cast(dict[str, Any], item)
        given: object = tensor.get("parameters")
        parameters = dict(cast(dict[str, Any], given)) if isinstance(given, dict) else {}
        size: object = parameters.pop(_SIZE, None)
        if size is None:
            continue
        where = f"inputs[{index}]"
        if type(size) is not int or size < 0 or at + size > len(body):
            raise InputError(f"{where}.parameters.{_SIZE}: {size!r:.60}, and {len(body) - at} bytes are left")
        if "data" in tensor:
            raise InputError(f"{where}: has both data and {_SIZE}; send it once")
        tensor["parameters"] = parameters
        tensor["data"] = _values(body[at : at + size], tensor.get("datatype"), where)
        at += size
    if at != len(body):
        raise InputError(f"the body has {len(body) - at} bytes that no tensor tells of")
    return cast(object, content)


def _values(part: bytes, datatype: object, where: str) -> list[Any]:
    if datatype == "BYTES":
        return _texts(part, where)
    if not isinstance(datatype, str) or datatype not in _TYPES:
        accepted = ", ".join([*_TYPES, "BYTES"])
        raise InputError(f"{where}.datatype: {datatype!r:.60} can't be binary; accepted: {accepted}")
    dtype = np.dtype(_TYPES[datatype])
    if len(part) % dtype.itemsize:
        raise InputError(f"{where}: {len(part)} bytes are no whole number of values of {datatype}")
    return np.frombuffer(part, dtype).tolist()


def _texts(part: bytes, where: str) -> list[Any]:
    texts: list[Any] = []
    at = 0
    while at < len(part):
        if at + 4 > len(part):
            raise InputError(f"{where}: its BYTES end in the middle of a length")
        (size,) = struct.unpack_from("<I", part, at)
        at += 4
        if at + size > len(part):
            raise InputError(f"{where}: its BYTES end in the middle of a text")
        try:
            texts.append(part[at : at + size].decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError(f"{where}: its text {len(texts)} is no UTF-8") from None
        at += size
    return texts


def asked(content: Mapping[str, Any], name: str) -> bool:
    """Return whether a request wants an output as bytes: it says so of the output, or else of all."""
    parameters: Any = content.get("parameters")
    every = bool(parameters.get("binary_data_output")) if isinstance(parameters, dict) else False  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    outputs: Any = content.get("outputs")
    for item in cast(list[Any], outputs) if isinstance(outputs, list) else []:
        if item.get("name") == name:
            own: Any = item.get("parameters") or {}
            return bool(own.get("binary_data", every))
    return every


def written(output: Array) -> bytes:
    """Return the bytes of an output."""
    if output.dtype.kind in "fiub":
        return output.astype(output.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [str(value).encode() for value in output.ravel().tolist()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
