"""What a kind of resource answers to the engine, as plain dictionaries."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Protocol, TypeAlias, cast

Properties: TypeAlias = dict[str, Any]
"""Property values by name, as the program declared them. What a preview can't know yet is UNKNOWN."""


class Unknown:
    """A value that exists only after an apply. It equals nothing but itself."""

    def __repr__(self) -> str:
        return "<known after apply>"

    def __copy__(self) -> Unknown:
        return self

    def __deepcopy__(self, memo: object) -> Unknown:
        return self


UNKNOWN = Unknown()


class ProviderError(Exception):
    """A failure whose text is meant for the person at the terminal: what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Failure:
    """One input that can't be accepted.

    The engine prints the reason alone where ``property`` is empty; else ``property port value {8080} has a
    problem`` comes first.
    """

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """Inputs with what the provider adds to them, or the reasons why they can't be accepted."""

    inputs: Properties
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Diff:
    """What an apply would change: property paths to whether that change needs a new resource.

    ``remark`` is one line for people, since the engine's default display never shows a nested value.
    """

    changes: Mapping[str, bool] = field(default_factory=dict[str, bool])
    delete_before_replace: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Context:
    """The resource at hand and the way to tell its user something while it is worked on."""

    name: str
    preview: bool
    info: Callable[[str], None]
    warn: Callable[[str], None]


class Resource(Protocol):
    """One kind of resource. Every method may raise ProviderError."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        """Validate inputs and add defaults to them; ``old`` are the inputs of the last apply."""
        ...

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        """Compare the last apply's outputs, and the world, with new inputs."""
        ...

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        """Make it, or in a preview say what is known of it. Returns its id and outputs."""
        ...

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        """The outputs as the world has them now, or None where the resource is gone."""
        ...

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        """Change it in place, or in a preview say what is known of the result. Returns its outputs."""
        ...

    def delete(self, context: Context, id: str, state: Properties) -> None:
        """Remove it. Succeeds where it is already gone."""
        ...


def changed_paths(old: object, new: object, at: str = "") -> list[str]:
    """Property paths at which two values differ, in Pulumi's notation (``backends[1].weight``,
    ``files["a.yml"]``)."""
    if isinstance(old, dict) and isinstance(new, dict):
        left, right = cast(Properties, old), cast(Properties, new)
        keys = sorted(left.keys() | right.keys())
        return [p for k in keys for p in changed_paths(left.get(k), right.get(k), _under(at, k))]
    if isinstance(old, list) and isinstance(new, list):
        pairs = zip_longest(cast("list[object]", old), cast("list[object]", new))
        return [p for i, (a, b) in enumerate(pairs) for p in changed_paths(a, b, f"{at}[{i}]")]
    return [] if old == new and isinstance(old, bool) == isinstance(new, bool) else [at]


def top(path: str) -> str:
    """The property that a path lies in."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def value_at(properties: Properties, path: str) -> object:
    """The value at a path of changed_paths, or None where there is none."""
    value: object = properties
    for key, quoted, index in re.findall(r'\.?([A-Za-z_$][\w$]*)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]', path):
        if index:
            items = cast("list[object]", value) if isinstance(value, list) else []
            value = items[int(index)] if int(index) < len(items) else None
        else:
            name = key or re.sub(r"\\(.)", r"\1", quoted)
            value = cast(Properties, value).get(name) if isinstance(value, dict) else None
    return value


def _under(at: str, key: str) -> str:
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{at}["{escaped}"]'
    return f"{at}.{key}" if at else key
