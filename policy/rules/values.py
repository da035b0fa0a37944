"""Small readings of values that several providers write in the same ways."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast


def is_on(value: object) -> bool:
    """Whether a flag is set; some properties are flags as text."""
    return value is True or value == "true"


def is_off(value: object) -> bool:
    """Whether a flag is there and not set."""
    return value is False or value == "false"


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
