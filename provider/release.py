"""``delivery:registry:Release``: a model version, pinned to the digest it had when it was first declared.

Inputs: ``model`` (the registered model), ``version``, ``registry`` (an MLflow tracking URI; the state keeps
it without user and password), ``endpoint``, the name of the model in the environment where that is another
one, ``local``, true where the model is served from this machine's disk, and elsewhere ``memory``, what a
server has in MiB, ``flavors``, those that its image serves where that isn't every one, and ``planning``, true
in a preview. The state keeps none of the last three.

The check adds, already in a preview, what the registry says, texts that are empty where it says nothing:
    digest, size, source     the artifact: digest of its files, their bytes, its URI in the registry
    listing                  one text for what the artifact's store says of its files (names, sizes,
                             checksums), where it was asked; another one alone is no change
    artifact                 its folder on this machine, only with ``local``: else two machines plan a change
    flavor, signature, metrics, run, data (digest of the training data), commit, code, registered (time, UTC)
    owner, riskClass, card   who answers for it, its class under the EU AI Act, the model card or its URI
    approvedBy, approvedAt, evaluation    what people decided, see `python -m pipeline approve`
and, each only where there is something to say:
    lost          why the registry no longer has what is pinned, and what that means for servers
    refusals      why the server can't serve it, a text each
    mismatches    which versions of the server's libraries don't fit the model, a text each
Outputs are the same.

The digest stays for as long as the release is declared. A release that is pinned goes on with what is pinned,
whatever becomes of the registry: it doesn't answer, the version or its artifact is gone, or has other files
than the pinned ones, which no server loads, as each compares the digest. All of that is told, and none of it
stands in the way of the other models of the stack. A new release that can't be resolved or served fails.

A plan downloads no large artifact, see ``provider.contents``. Where nothing but a download tells the digest
of a new release, it is unknown in a preview, and the update downloads the artifact before anything of the
model changes, into ``artifacts/`` of MODEL_DELIVERY_HOME (``.delivery``).

MODEL_DELIVERY_REGISTRY is another address of the registry, for a machine that doesn't reach the declared one
(through a tunnel, or a copy): it is asked, and the declared one stays in the state.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from provider.contents import Pin, UnfetchedError, UnreachableError, Wanted
from provider.fit import FLAVORS, Fit, fit
from provider.masking import masked
from provider.registry import Registered, UnknownModelError, resolve
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
from serving.artifact import ArtifactError, verify
from tools.paths import home

_ASKED = ("model", "endpoint", "version", "registry", "local")
_TOLD = ("lost", "refusals", "mismatches")
_UNLIMITED = 1 << 30
"""MiB, where the program doesn't say what a server has."""
Resolve = Callable[[str, str, int, Path, Wanted], Registered]
Judge = Callable[[Path, int, "int | None", "Sequence[str]"], Fit]


class Release:
    """See the module's text for inputs and outputs. ``lookup`` asks the registry, ``judge`` says whether an
    artifact can be served."""

    def __init__(self, lookup: Resolve = resolve, judge: Judge = fit) -> None:
        self._lookup, self._judge = lookup, judge

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        asked = {key: new[key] for key in _ASKED if new.get(key) is not None}
        if UNKNOWN in asked.values():
            return Checked({**asked, **dict.fromkeys(_FACTS, UNKNOWN)})
        uri, model, version = str(new["registry"]), str(new["model"]), int(new["version"])
        asked["registry"] = masked(uri)
        pinned = _pinned(old, new)
        memory = None if new.get("local") else int(new.get("memory") or _UNLIMITED)
        flavors = tuple(map(str, new.get("flavors") or FLAVORS))
        try:
            wanted = Wanted(_pin(pinned), bool(new.get("planning")), bool(new.get("local")))
            found = self._lookup(_asked_at(uri), model, version, home() / "artifacts", wanted)
            if pinned is not None and pinned["digest"] != found.digest:
                raise ProviderError(
                    f"version {version} of {model} was changed after it was deployed: it is pinned to "
                    f"{pinned['digest']}, the registry now has {found.digest}. "
                    "Register the new artifact as a new version, or restore the old one"
                )
            if found.rewritten:
                raise ProviderError(
                    f"the files of version {version} of {model} in {found.source} were written again after "
                    "it was deployed. A preview doesn't download so much to compare them, an update does"
                )
            fits = self._judge(found.judged or Path(found.artifact), found.size, memory, flavors)
        except (UnreachableError, ProviderError) as error:
            text = _explained(error, asked)
            if pinned is None:
                return _failed(asked, _unresolved(context.name, error, text))
            return Checked(_wanted(_kept(context, {**pinned, **asked}, error, text)))
        if fits.refusals and pinned is None:
            return _failed(asked, f"{context.name} can't be served: {'; '.join(fits.refusals)}")
        if wanted.planning and pinned is None and (later := _later(found)):
            context.info(later)
        told = {"refusals": list(fits.refusals), "mismatches": list(fits.mismatches)}
        return Checked(
            _wanted({**asked, **_facts(found), **{key: said for key, said in told.items() if said}})
        )

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        # What a store says of its files need not be known to every machine that plans.
        keys = [*(key for key in new if key != "listing"), *(k for k in _TOLD if k in state and k not in new)]
        paths = [path for key in keys for path in changed_paths(state.get(key), new.get(key), key)]
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


_NO_FACTS = ("listing", "undecided", "judged", "rewritten", "unread")
_FACTS = tuple(_property(field.name) for field in fields(Registered) if field.name not in _NO_FACTS)


def _facts(found: Registered) -> Properties:
    said = {_property(name): value for name, value in asdict(found).items() if name not in _NO_FACTS}
    said |= dict.fromkeys(map(_property, found.undecided), UNKNOWN)
    return {**said, "listing": found.listing} if found.listing else said


def _later(found: Registered) -> str:
    """What of a new release a preview leaves to the update; empty: nothing."""
    mebibytes = found.size >> 20
    if "digest" in found.undecided:
        return (
            f"its digest is known after the update, which downloads the artifact ({mebibytes} MiB) for it: a "
            "preview doesn't, and the registry has none recorded. A version that is registered with the tag "
            "artifact.digest, as `python -m pipeline` does, is pinned by its preview"
        )
    if found.unread:
        return (
            f"a preview doesn't read {found.unread} through MLflow, since the artifact has {mebibytes} MiB: "
            "a module that it needs and the server doesn't have shows when the release starts, before it "
            "gets traffic"
        )
    return ""


def _wanted(inputs: Properties) -> Properties:
    """Without the folder on this machine, where nothing is served from it."""
    return {key: value for key, value in inputs.items() if key != "artifact" or inputs.get("local")}


def _pinned(old: Properties | None, new: Properties) -> Properties | None:
    """The inputs of the last apply where they are of the same version."""
    if not old or not isinstance(old.get("digest"), str) or not old["digest"]:
        return None
    return old if (old["model"], old["version"]) == (new["model"], new["version"]) else None


def _pin(pinned: Properties | None) -> Pin | None:
    if pinned is None:
        return None
    return Pin(pinned["digest"], int(pinned.get("size") or 0), str(pinned.get("listing") or ""))


def _explained(error: Exception, asked: Properties) -> str:
    if isinstance(error, UnknownModelError):
        return f"{error}. {_named(asked, error.near)}"
    if isinstance(error, UnreachableError) and not isinstance(error, UnfetchedError):
        return f"the registry {asked['registry']} does not answer ({error})"
    return str(error)


def _unresolved(name: str, error: Exception, text: str) -> str:
    if isinstance(error, UnfetchedError):
        return f"{name} can't be resolved: {text}"
    if isinstance(error, UnreachableError):
        return f"{name} can't be resolved: {text}. Start it, or register the model first"
    return text


def _kept(context: Context, pinned: Properties, error: Exception, text: str) -> Properties:
    """What is pinned, with what is lost of it; a registry that doesn't answer has lost nothing."""
    stays = f"{context.name} stays as it is pinned, {pinned['digest']}"
    if isinstance(error, UnreachableError):
        context.warn(f"{text}; {stays}")
        return pinned
    lost = f"{text}. {_restarted(pinned)}"
    context.warn(f"{stays}, though {lost}")
    return {**pinned, "lost": lost}


def _restarted(pinned: Properties) -> str:
    """What becomes of a server that starts again."""
    other = "or move the model to a version that the registry has"
    if not pinned.get("local"):
        source = pinned.get("source") or "the artifact"
        return (
            f"Servers that run go on; one that starts fetches {source}, and only loads it with the pinned "
            f"digest: restore it, {other}"
        )
    folder = str(pinned.get("artifact", ""))
    try:
        verify(Path(folder), pinned["digest"])
    except ArtifactError:
        return (
            "Its servers answer until they are restarted, and can't start again, since "
            f"{folder} no longer has the pinned files: restore them, {other}"
        )
    return (
        f"Its files are still in {folder}, so its servers can start again; "
        "move the model to a version that the registry has before they are deleted, too"
    )


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
