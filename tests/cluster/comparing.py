"""What was declared against what a cluster has: the differences that a user would meet again and again."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import Api, Object

_MOVES_BY_ITSELF = ("managedFields", "resourceVersion")


def drift(declared: Any, live: Any, at: str = "") -> list[str]:
    """Declared values that are other ones in the cluster: a refresh would show them, and the next apply too.

    What the cluster adds is its own affair.
    """
    if isinstance(declared, dict):
        if not isinstance(live, dict):
            return [] if not declared and live is None else [f"{at}: declared a map, is {live!r}"]
        pairs = [(f"{at}.{key}", value, live.get(key)) for key, value in declared.items()]
    elif isinstance(declared, list):
        if not isinstance(live, list) or len(live) < len(declared):
            return [f"{at}: declared {declared!r}, is {live!r}"]
        pairs = [(f"{at}[{i}]", value, live[i]) for i, value in enumerate(declared)]
    else:
        same = declared == live and isinstance(declared, bool) == isinstance(live, bool)
        return [] if same else [f"{at}: declared {declared!r}, is {live!r}"]
    return [found for path, value, now in pairs for found in drift(value, now, path)]


def reapplied(api: Api, declared: Object) -> list[str]:
    """What applying an object once more, by the same manager, would change of the live one; only tried."""
    before = api.send("GET", api.at(declared))
    (manager,) = {
        each["manager"] for each in before["metadata"]["managedFields"] if each["operation"] == "Apply"
    }
    return _differences(_still(before), _still(api.apply(declared, dry=True, manager=manager)))


def title(found: Object) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def _still(found: Object) -> Object:
    metadata = {key: value for key, value in found["metadata"].items() if key not in _MOVES_BY_ITSELF}
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": metadata}


def _differences(old: Any, new: Any, at: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [d for key in keys for d in _differences(old.get(key), new.get(key), f"{at}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            d for i, pair in enumerate(zip(old, new, strict=True)) for d in _differences(*pair, f"{at}[{i}]")
        ]
    return [] if old == new else [f"{at}: {old!r} => {new!r}"]
