"""Small readings of values that several providers write in the same ways."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

_DIGEST: Final = re.compile(r".+@sha256:[0-9a-f]{64}")
_WIDEST: Final = {4: 8, 6: 16}
"""The shortest prefix of a network that is somebody's, such as 10.0.0.0/8; half of the internet is open."""


def is_on(value: object) -> bool:
    """Whether a flag is set; some properties are flags as text."""
    return value is True or value == "true"


def is_off(value: object) -> bool:
    """Whether a flag is there and not set."""
    return value is False or value == "false"


def is_world(network: object) -> bool:
    """Whether a network (``0.0.0.0/0``, ``::/0``, ``128.0.0.0/1``) is the internet or a large part of it.

    Raises ValueError for what is no network.
    """
    found = ipaddress.ip_network(str(network), strict=False)
    return found.prefixlen < _WIDEST[found.version]


def is_digest(image: object) -> bool:
    """Whether an image is named by its whole digest, ``NAME@sha256:…``."""
    return bool(_DIGEST.fullmatch(str(image)))


def listed(value: object) -> list[Any]:
    """One or several values as a list, as IAM writes them."""
    if value is None:
        return []
    return list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else [value]


def as_map(value: object) -> Mapping[str, Any]:
    """A map, or the JSON text of one; an empty one for anything else."""
    if not value:
        return {}
    if isinstance(value, str):
        value = json.loads(value)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
