"""``delivery:registry:Release``: a model version, pinned to the digest it had when it was first declared.

Inputs: ``model`` (the registered model), ``version``, ``registry`` (an MLflow tracking URI; the state keeps
it without user and password), ``endpoint``, the name of the model in the environment where that is another
one, and ``local``, true where the model is served from this machine's disk.

The check adds, already in a preview, what the registry says, texts that are empty where it says nothing:
    digest, size, source     the artifact: digest of its files, their bytes, its URI in the registry
    artifact                 its folder on this machine, only with ``local``: else two machines plan a change
    flavor, signature, metrics, run, data (digest of the training data), commit, code, registered (time, UTC)
    owner, riskClass, card   who answers for it, its class under the EU AI Act, the model card or its URI
    approvedBy, approvedAt, evaluation    what people decided, see `python -m pipeline approve`
Outputs are the same.

The digest stays for as long as the release is declared: a version that was changed under it is an error.
When the registry does not answer, a release that is already pinned goes on with what is pinned; a new one
can't be declared.

An artifact that isn't on this machine is fetched into ``artifacts/`` of MODEL_DELIVERY_HOME (``.delivery``).

MODEL_DELIVERY_REGISTRY is another address of the registry, for a machine that doesn't reach the declared one
(through a tunnel, or a copy): it is asked, and the declared one stays in the state.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

from provider.masking import masked
from provider.registry import Registered, UnknownModelError, UnreachableError, resolve
from provider.resource import (
    UNKNOWN,
    Checked,
    Context,
    Diff,
    Failure,
    Properties,
    ProviderError,
    changed_paths,
)
from tools.paths import home

_ASKED = ("model", "endpoint", "version", "registry", "local")
Resolve = Callable[[str, str, int, Path], Registered]


class Release:
    """See the module's text for inputs and outputs. ``lookup`` asks the registry."""

    def __init__(self, lookup: Resolve = resolve) -> None:
        self._lookup = lookup

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        asked = {key: new[key] for key in _ASKED if new.get(key) is not None}
        if UNKNOWN in asked.values():
            return Checked({**asked, **dict.fromkeys(_FACTS, UNKNOWN)})
        uri, model, version = str(new["registry"]), str(new["model"]), int(new["version"])
        asked["registry"] = registry = masked(uri)
        pinned = _pinned(old, new)
        try:
            found = _facts(self._lookup(_asked_at(uri), model, version, home() / "artifacts"))
        except UnreachableError as error:
            if pinned is None:
                return _failed(
                    asked,
                    f"{context.name} can't be resolved: the registry {registry} does not answer ({error}). "
                    "Start it, or register the model first",
                )
            context.warn(
                f"the registry {registry} does not answer ({error}); "
                f"{context.name} stays as it is pinned, {pinned['digest']}"
            )
            return Checked(_wanted({**pinned, **asked}))
        except UnknownModelError as error:
            return _failed(asked, f"{error}. {_named(asked, error.near)}")
        except ProviderError as error:
            return _failed(asked, str(error))
        if pinned is not None and pinned["digest"] != found["digest"]:
            return _failed(
                asked,
                f"version {version} of {model} was changed after it was deployed: it is pinned to "
                f"{pinned['digest']}, the registry now has {found['digest']}. "
                "Register the new artifact as a new version, or restore the old one",
            )
        return Checked(_wanted({**asked, **found}))

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        paths = [path for key in new for path in changed_paths(state.get(key), new[key], key)]
        return Diff({path: path in ("model", "version") for path in paths})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        return f"{inputs['model']}/{inputs['version']}", inputs

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        return state

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        return new

    def delete(self, context: Context, id: str, state: Properties) -> None:
        """Nothing to do: the registry keeps its versions."""


def _property(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.title() for word in rest)


_FACTS = tuple(_property(field.name) for field in fields(Registered))


def _facts(found: Registered) -> Properties:
    return {_property(name): value for name, value in asdict(found).items()}


def _wanted(inputs: Properties) -> Properties:
    """Without the folder on this machine, where nothing is served from it."""
    return {key: value for key, value in inputs.items() if key != "artifact" or inputs.get("local")}


def _pinned(old: Properties | None, new: Properties) -> Properties | None:
    """The inputs of the last apply where they are of the same version."""
    if not old or not isinstance(old.get("digest"), str) or not old["digest"]:
        return None
    return old if (old["model"], old["version"]) == (new["model"], new["version"]) else None


def _failed(inputs: Properties, reason: str) -> Checked:
    return Checked(inputs, (Failure("", reason),))


def _named(asked: Properties, near: str) -> str:
    """What to write so that a release is of a model that the registry has."""
    key = f"models.{asked.get('endpoint', asked['model'])}.registeredModel"
    if near:
        return f"Did you mean {near}? Then write {key}: {json.dumps(near, ensure_ascii=False)}"
    return f"Register it, or write the name of the one that is meant as {key}"


def _asked_at(declared: str) -> str:
    return os.environ.get("MODEL_DELIVERY_REGISTRY") or declared
