"""What the headers of a request say of its body: how it is packed, and what it is."""

import zlib
from dataclasses import dataclass

from serving.service import RefusedError

ENCODINGS = ("gzip", "deflate", "identity")
_JSON_TYPES = ("application/json", "text/json", "application/x-www-form-urlencoded", "text/plain", "")
"""What JSON is sent as: curl calls it a form where it isn't told otherwise."""
_BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Head:
    """The headers that tell about a body; ``json`` is the length of the JSON before binary tensors."""

    type: str = ""
    encoding: str = ""
    json: int | None = None


def refusal(head: Head, *, tensors: bool) -> RefusedError | None:
    """Return why a body with these headers isn't taken, or None. ``tensors``: by the v2 protocol."""
    if head.encoding and head.encoding not in ENCODINGS:
        return _unsupported(f"content-encoding {head.encoding!r}: accepted are {', '.join(ENCODINGS)}")
    if head.json is not None:
        if not tensors:
            return _unsupported("binary tensors are taken by the v2 protocol, at /v2/models/NAME/infer")
        return None
    if head.type in _JSON_TYPES or head.type.endswith("+json"):
        return None
    if head.type == _BINARY:
        return _unsupported(
            f"content-type {_BINARY!r}: binary tensors need the header Inference-Header-Content-Length, the "
            "length of the JSON before them"
        )
    return _unsupported(f"content-type {head.type!r}: accepted is application/json")


def _unsupported(message: str) -> RefusedError:
    return RefusedError(415, "unsupported", message)


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Return a body as it was before it was packed.

    Raises ``RefusedError`` where it isn't packed so, ends too soon, or unpacks to more than ``limit`` bytes.
    """
    # 47: zlib's header or gzip's, whichever comes; -15: neither, as some clients write deflate.
    problem = ""
    for window in (47, -15) if encoding == "deflate" else (47,):
        try:
            return _within(body, window, encoding, limit)
        except zlib.error as error:
            problem = problem or str(error)
    raise RefusedError(400, "invalid_input", f"the body is no {encoding}: {problem}")


def _within(body: bytes, window: int, encoding: str, limit: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    found = unpacker.decompress(body, limit + 1)
    if len(found) > limit:
        raise RefusedError(
            413, "too_large", f"the body unpacks to more than {limit} bytes; send fewer rows at once"
        )
    if not unpacker.eof:
        raise RefusedError(400, "invalid_input", f"the body's {encoding} ends in the middle; send it whole")
    if rest := len(unpacker.unused_data):
        raise RefusedError(400, "invalid_input", f"the body has {rest} bytes after its {encoding}")
    return found
