"""What an official typed SDK declares of a resource type: its inputs, which are required, and its outputs.

Everything is read from the installed package's classes, so an upgrade of the SDK is an upgrade of the check.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import typing
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import pulumi
from pulumi import _types as sdk  # pyright: ignore[reportPrivateUsage]
from pulumi.runtime import rpc

PACKAGES = {
    "aws": "pulumi_aws",
    "kubernetes": "pulumi_kubernetes",
    "gcp": "pulumi_gcp",
    "docker-build": "pulumi_docker_build",
}
"""Pulumi's package names, each with the Python module of its SDK."""


class UnknownTypeError(Exception):
    """A type token that the package doesn't have."""


@dataclass(frozen=True)
class Fields:
    """The properties of an input type by their names in Pulumi."""

    types: dict[str, Any]
    required: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """One resource type. ``inputs`` is None where the package doesn't say what is accepted."""

    token: str
    inputs: Fields | None
    outputs: dict[str, Any]

    @property
    def computed(self) -> dict[str, Any]:
        """Outputs that no input gives: the provider alone knows them."""
        given = self.inputs.types if self.inputs else {}
        return {
            name: found
            for name, found in self.outputs.items()
            if name not in given and name not in ("id", "urn")
        }


class Package:
    """One provider's SDK. ``name`` is Pulumi's name of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = PACKAGES[name]

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.module)

    @cached_property
    def _classes(self) -> dict[str, tuple[str, str]]:
        importlib.import_module(self.module)
        found: dict[str, tuple[str, str]] = {}
        for modules in rpc._RESOURCE_MODULES.values():  # pyright: ignore[reportPrivateUsage]
            for module in modules:
                info: Any = getattr(module, "mod_info", None)
                if info and info["pkg"] == self.name:
                    found |= {token: (info["fqn"], name) for token, name in info["classes"].items()}
        return found

    # A package lives as long as the process.
    @cache  # noqa: B019
    def kind(self, token: str) -> Kind:
        """What the SDK says of a type. Raises UnknownTypeError."""
        if token not in self._classes:
            if self.name == "kubernetes" and token.count(":") == 2 and "/" in token:
                # An object of a CustomResourceDefinition: the SDK knows the envelope, the cluster the rest.
                return Kind(token, None, {})
            raise UnknownTypeError(f"{token} is no resource type of {self.module} {self.version}")
        fqn, name = self._classes[token]
        with warnings.catch_warnings():
            # A module warns of each deprecated class in it, wanted or not.
            warnings.simplefilter("ignore", DeprecationWarning)
            found: Any = getattr(importlib.import_module(fqn), name)
        return Kind(token, fields(arguments(found)), sdk.resource_types(found))

    @cached_property
    def provider(self) -> Fields:
        """The provider's own configuration."""
        return fields(arguments(importlib.import_module(self.module).Provider))


def arguments(resource: type) -> type:
    """The input class of a resource class, from the overload of its constructor that takes one."""
    for overload in typing.get_overloads(resource.__init__):
        found = overload.__annotations__.get("args")
        for candidate in (found, *typing.get_args(found)):
            if inspect.isclass(candidate) and sdk.is_input_type(candidate):
                return candidate
    raise AssertionError(f"{resource} has no input class")


@cache
def fields(arguments: type) -> Fields:
    """The properties of an input class, nested ones included by reference."""
    names = sdk.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments.__init__).parameters
    required = {
        names[name]
        for name, parameter in parameters.items()
        if name in names and parameter.default is inspect.Parameter.empty
    }
    return Fields(sdk.input_type_types(arguments), frozenset(required))


def alternatives(found: Any) -> list[Any]:
    """The types that a declared type allows, without what is only Pulumi's wrapping of values."""
    if sdk._is_union_type(found):  # pyright: ignore[reportPrivateUsage]
        return [inner for part in typing.get_args(found) for inner in alternatives(part)]
    origin = typing.get_origin(found)
    if origin is not None and getattr(origin, "__name__", "") in ("Awaitable", "Output"):
        return []
    if found is type(None) or found is pulumi.Output:
        return []
    return [found]
