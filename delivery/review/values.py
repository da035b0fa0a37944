"""Values of resources: where they are, how they differ, how they are shown. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes a value that isn't known yet."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks a value that isn't a plain one."""
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_PATH = re.compile(r"\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\d+)\]|([^.\[\]]+)")


class Hidden:
    """The one value that stands for every secret."""

    def __repr__(self) -> str:
        return "[secret]"


SECRET: Final = Hidden()
ABSENT: Final = object()
"""There is no value, which isn't the same as null."""


def plain(value: Any) -> Any:
    """A value of the engine with its secrets as SECRET and outputs as what is in them."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        signature = found.get(SIGNATURE)
        if signature == _SECRET_SIGNATURE:
            return SECRET
        if signature == _OUTPUT_SIGNATURE:
            return SECRET if found.get("secret") else plain(found.get("value", UNKNOWN))
        return {key: plain(inner) for key, inner in found.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(inner) for inner in cast("list[Any]", value)]
    return SECRET if value == "[secret]" else value


def at(value: Any, path: str) -> Any:
    """The value at a path (``spec.rules[0].weight``, ``tags["a.b"]``); below a secret all is secret."""
    found: Any = value
    for quoted, index, key in _PATH.findall(path):
        if found is SECRET:
            return SECRET
        name = quoted.replace('\\"', '"') or key
        if isinstance(found, dict) and name:
            found = cast("dict[str, Any]", found).get(name, ABSENT)
            continue
        items = cast("list[Any]", found) if isinstance(found, list) and index else []
        if not index or int(index) >= len(items):
            return ABSENT
        found = items[int(index)]
    return found


def joined(path: str, key: str | int) -> str:
    """The path of a part, written as the engine writes it."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if re.fullmatch(r"[^.\[\]\"\s]+", key):
        return f"{path}.{key}" if path else key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'{path}["{escaped}"]'


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ, down to the leaves: path, before, after."""
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key, ABSENT), after.get(key, ABSENT), joined(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        befores, afters = cast("list[Any]", old), cast("list[Any]", new)
        for index in range(max(len(befores), len(afters))):
            yield from differences(
                befores[index] if index < len(befores) else ABSENT,
                afters[index] if index < len(afters) else ABSENT,
                joined(path, index),
            )
    elif old is SECRET and new is SECRET:
        return
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, old, new


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that isn't itself a map or list with something in it, with its path."""
    if isinstance(value, dict) and value:
        for key, inner in cast("dict[str, Any]", value).items():
            yield from leaves(inner, joined(path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from leaves(inner, joined(path, index))
    else:
        yield path, cast(object, value)


def shown(value: Any) -> str:
    """A value as people read it: texts as they are, the rest as JSON, what isn't known said so."""
    if value is ABSENT:
        return "(none)"
    if value is SECRET:
        return "[secret]"
    if value == UNKNOWN:
        return "(known after the apply)"
    if isinstance(value, str):
        return value if value else '""'
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str, separators=(", ", ": "))
    return text.replace(f'"{UNKNOWN}"', "(known after the apply)")


def listed(value: object) -> list[Any]:
    """A list, or an empty one where there is none."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """A map, or an empty one where there is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
