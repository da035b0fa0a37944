"""Inputs against what the SDK declares: unknown, missing and wrongly typed ones, each with its path."""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
from pulumi import _types as sdk  # pyright: ignore[reportPrivateUsage]
from pulumi.runtime import rpc

from components.environment.problems import nearest
from planning.schema import Fields, Kind, alternatives, fields
from provider.resource import UNKNOWN

# How the engine's protocol marks what is no plain map.
_SPECIAL = rpc._special_sig_key  # pyright: ignore[reportPrivateUsage]
_ASSET = rpc._special_asset_sig  # pyright: ignore[reportPrivateUsage]
_ARCHIVE = rpc._special_archive_sig  # pyright: ignore[reportPrivateUsage]
_PLAIN = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Fault:
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def faults(kind: Kind, inputs: Mapping[str, Any]) -> list[Fault]:
    """Everything about the inputs that the real provider would refuse, as far as the SDK tells."""
    if kind.inputs is None:
        return list(_custom(kind.token, inputs))
    return list(_members(kind.inputs, inputs, ""))


def _custom(token: str, inputs: Mapping[str, Any]) -> Iterator[Fault]:
    """The envelope of a custom object; the rest is the definition's, which no SDK has."""
    version, _, name = token.removeprefix("kubernetes:").rpartition(":")
    for key, wanted in (("apiVersion", version), ("kind", name)):
        if inputs.get(key) != wanted:
            yield Fault(key, f"must be {wanted}, is {inputs.get(key)!r}")
    from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

    yield from value_faults(ObjectMetaArgs, inputs.get("metadata", {}), "metadata")


def _members(declared: Fields, values: Mapping[str, Any], at: str) -> Iterator[Fault]:
    for name in sorted(declared.required):
        if values.get(name) is None:
            yield Fault(_under(at, name), "required")
    for name, value in values.items():
        if name not in declared.types:
            near = nearest(name, sorted(declared.types))
            yield Fault(_under(at, name), "unknown" + (f"; did you mean {near}?" if near else ""))
        elif value is not None:
            yield from value_faults(declared.types[name], value, _under(at, name))


def value_faults(declared: Any, value: Any, at: str) -> list[Fault]:
    """The faults of one value against a declared type; of several allowed types the nearest one counts."""
    if value is UNKNOWN or value is None:
        return []
    found = [list(_against(option, value, at)) for option in alternatives(declared)]
    nothing: list[Fault] = []
    # Longer paths are further into the value: there the type fitted best.
    return min(
        found, key=lambda some: (bool(some), -max((len(f.path) for f in some), default=0)), default=nothing
    )


def _against(option: Any, value: Any, at: str) -> Iterator[Fault]:
    origin, inner = typing.get_origin(option) or option, typing.get_args(option)
    if option is Any:
        return
    if origin is typing.Literal:
        if value not in inner:
            yield Fault(at, f"must be {' or '.join(map(str, inner))}, is {value!r}")
    elif inspect.isclass(option) and issubclass(option, enum.Enum):
        accepted = [member.value for member in option]
        if value not in accepted:
            yield Fault(at, f"must be one of {', '.join(map(str, accepted))}, is {value!r}")
    elif option in _PLAIN:
        if not _is_plain(option, value):
            yield Fault(at, f"must be {_PLAIN[option]}, is {_show(value)}")
    elif inspect.isclass(option) and issubclass(option, pulumi.Asset | pulumi.Archive):
        signature = _ASSET if issubclass(option, pulumi.Asset) else _ARCHIVE
        if not isinstance(value, dict) or cast("dict[str, Any]", value).get(_SPECIAL) != signature:
            yield Fault(at, f"must be an {option.__name__.lower()}, is {_show(value)}")
    elif inspect.isclass(option) and sdk.is_input_type(option):
        if isinstance(value, dict):
            yield from _members(fields(option), cast("dict[str, Any]", value), at)
        else:
            yield Fault(at, f"must be a map, is {_show(value)}")
    elif origin in (dict, Mapping) or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, dict):
            yield Fault(at, f"must be a map, is {_show(value)}")
            return
        for key, item in cast("dict[str, Any]", value).items() if len(inner) == 2 else ():
            yield from value_faults(inner[1], item, f'{at}["{key}"]')
    elif origin in (list, Sequence) or getattr(origin, "__name__", "") == "Sequence":
        if not isinstance(value, list):
            yield Fault(at, f"must be a list, is {_show(value)}")
            return
        for index, item in enumerate(cast("list[Any]", value)) if inner else ():
            yield from value_faults(inner[0], item, f"{at}[{index}]")
    else:
        raise AssertionError(f"{at}: the check doesn't know the declared type {option!r}")


def _is_plain(option: type, value: Any) -> bool:
    if option is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is option


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else repr(value)


def _under(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
