"""Properties are checked before a resource acts on them, so that a mistake is a sentence that names the
property: in a program, in a state that was edited by hand, in an import.

A resource behind ``guarded`` gets inputs and states of the right shape only. What is wrong with them stops
the operation before anything is started, changed or ended.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from provider.resource import (
    Checked,
    Context,
    Diff,
    Failure,
    Properties,
    ProviderError,
    Resource,
)
from provider.shapes import (
    NAME,
    NAME_WORDS,
    Anything,
    Entries,
    Flag,
    Items,
    Record,
    Shape,
    Text,
    Whole,
    has_unknown,
    shown,
)

_FOLDER = Text(r"/[^\0]{0,3000}", "an absolute path of a folder")
_NAME = Text(NAME.pattern, NAME_WORDS)
_FILE = Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "a file's name without a folder")
_PATH = Text(r"/[!-~]*", "the path of a URL, without spaces")
_TEXT = Text(unknown=True)
_TEXTS = Entries(Text(r"[^\0]+", "a name"), _TEXT, unknown=True)
_FILES = Entries(_FILE, _TEXT, unknown=True)
_SECONDS = Whole(0, 86_400)
_VERSION = Whole(1, 2**53)
_PERCENT = Whole(0, 100, unknown=True)
_ADDRESS = Text(r"[A-Za-z0-9.-]+:[0-9]{1,5}", "HOST:PORT", unknown=True)
_BACKEND = Record(
    {
        "version": Whole(1, 2**53, unknown=True),
        "weight": _PERCENT,
        "shadow": Flag(unknown=True),
        "addresses": Items(_ADDRESS, unknown=True),
    },
    {},
    unknown=True,
)
_STABLE = Record({"version": _VERSION}, {"prompt": Anything()}, closed=False)
_CANARY = Record(
    {"version": _VERSION, "weight": Whole(0, 100)}, {"shadow": Flag(), "prompt": Anything()}, closed=False
)
_SERVED = Items(_VERSION)
_RECORD = Record({"stable": _STABLE}, {"canary": _CANARY, "since": Text()}, closed=False)
_STEP: Mapping[str, Shape] = {
    "canary": _CANARY,
    "since": Text(),
    "served": _SERVED,
    "was": _RECORD,
}


@dataclass(frozen=True)
class Shapes:
    """A type's inputs, and the outputs that its state must have."""

    inputs: Record
    state: Record
    imported: str
    """What to do instead of an import."""


def _shapes(
    required: Mapping[str, Shape],
    optional: Mapping[str, Shape],
    state: Mapping[str, Shape] | None = None,
    imported: str = "",
    closed: bool = True,
) -> Shapes:
    inputs = Record(required, optional, closed=closed)
    kept = Record({**required, **(state or {})}, optional, closed=False)
    return Shapes(inputs, kept, imported)


_DECLARED = "declare it and run `pulumi up`, which takes over what runs under its name"
SHAPES: dict[str, Shapes] = {
    "delivery:local:Supervisor": _shapes({"folder": _FOLDER}, {}, imported=_DECLARED),
    "delivery:local:Process": _shapes(
        {
            "folder": _FOLDER,
            "command": Items(_TEXT, least=1, unknown=True),
            "ready": _PATH,
        },
        {
            "environment": _TEXTS,
            "port": Whole(0, 65_535),
            "files": _FILES,
            "seeds": _FILES,
            "source": _FOLDER,
            "sourceDigest": Text(),
            "scrape": _TEXTS,
            "metricsPath": _PATH,
            "stopSeconds": _SECONDS,
            "readySeconds": _SECONDS,
            "address": Anything(),
            "program": _NAME,
        },
        {"port": Whole(1, 65_535), "chosen": Flag()},
        _DECLARED,
    ),
    "delivery:local:Route": _shapes(
        {"folder": _FOLDER, "model": _NAME, "backends": Items(_BACKEND, least=1, unknown=True)},
        {"timeout": Whole(1, 86_400)},
        imported=_DECLARED,
    ),
    "delivery:gcp:Settled": _shapes(
        {"seconds": _SECONDS, "of": Text(r"[^\0]+", "a text", unknown=True)},
        {},
        imported="declare it and run `pulumi up`: it exists only in the state",
    ),
    "delivery:registry:Release": _shapes(
        {
            "model": Text(r"[^\0]+", "a model's name", unknown=True),
            "version": Whole(1, 2**53, unknown=True),
            "registry": Text(r"[^\0]+", "a tracking URI", unknown=True),
        },
        {"local": Flag(unknown=True), "digest": Text(unknown=True)},
        imported="declare it and run `pulumi up`: it is looked up in the registry and pinned",
        closed=False,
    ),
    "delivery:registry:Step": _shapes(
        {"model": Text(r"[^\0]+", "a model's name"), "stable": _STABLE},
        {**_STEP, "applied": _RECORD, "unfinished": _RECORD, "settled": Flag(), "judge": Text()},
        imported="declare it and run `pulumi up`: it exists only in the state",
        closed=False,
    ),
    "delivery:registry:Rollout": _shapes(
        {"model": Text(r"[^\0]+", "a model's name"), "stable": _STABLE},
        _STEP,
        imported="declare it and run `pulumi up`: it exists only in the state",
        closed=False,
    ),
}


class Guarded:
    """A resource whose inputs and states are of the shapes of its type."""

    def __init__(self, token: str, inner: Resource, shapes: Shapes) -> None:
        self._token = token
        self._inner = inner
        self._shapes = shapes
        self._named = token.startswith("delivery:local:")

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        failures = self._name_failures(context.name)
        failures += [Failure("", f"{at}: {what}") for at, what in self._shapes.inputs.wrong(new)]
        if failures:
            return Checked(new, tuple(failures))
        whole = old is not None and not has_unknown(old) and not any(self._shapes.inputs.wrong(old))
        with _explained(context):
            return self._inner.check(context, old if whole else None, new)

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        self._require_state(context, id, state)
        self._require_inputs(context, new)
        with _explained(context):
            return self._inner.diff(context, id, state, new)

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        self._require_inputs(context, inputs, known=not context.preview)
        with _explained(context):
            return self._inner.create(context, inputs)

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        if not state:
            raise ProviderError(f"{context.name} ({self._token}) can't be imported; {self._shapes.imported}")
        self._require_state(context, id, state)
        with _explained(context):
            return self._inner.read(context, id, state)

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        self._require_state(context, id, state)
        self._require_inputs(context, new, known=not context.preview)
        with _explained(context):
            return self._inner.update(context, id, state, new)

    def delete(self, context: Context, id: str, state: Properties) -> None:
        self._require_state(context, id, state)
        with _explained(context):
            self._inner.delete(context, id, state)

    def _name_failures(self, name: str) -> list[Failure]:
        if not self._named or NAME.fullmatch(name):
            return []
        return [Failure("", f"the resource's name {shown(name)} must be {NAME_WORDS}")]

    def _require_inputs(self, context: Context, inputs: Properties, known: bool = False) -> None:
        found = [f.reason for f in self._name_failures(context.name)]
        found += [f"{at}: {what}" for at, what in replace(self._shapes.inputs, closed=False).wrong(inputs)]
        if known:
            found += [f"{key}: isn't known" for key, value in inputs.items() if has_unknown(value)]
        if found:
            raise ProviderError(
                f"{context.name} ({self._token}) can't be applied: {'; '.join(found)}. "
                "Correct the program, then run the same command again"
            )

    def _require_state(self, context: Context, id: str, state: Properties) -> None:
        found = [f"{at}: {what}" for at, what in self._shapes.state.wrong(state)]
        found += [f"{key}: isn't known" for key, value in state.items() if has_unknown(value)]
        if self._named and not NAME.fullmatch(id):
            found.append(f"id: must be {NAME_WORDS}, not {shown(id)}")
        if found:
            raise ProviderError(
                f"the state of {context.name} ({self._token}) was edited by hand, or is damaged: "
                f"{'; '.join(found)}. Nothing was changed. Put the state back (`pulumi stack import`), or "
                "remove the resource from it (`pulumi state delete`) and run `pulumi up`"
            )


def guarded(kinds: Mapping[str, Resource]) -> dict[str, Resource]:
    """The kinds, each behind the shapes of its type."""
    return {token: Guarded(token, kind, SHAPES[token]) for token, kind in kinds.items()}


@contextmanager
def _explained(context: Context) -> Generator[None]:
    try:
        yield
    except OSError as error:
        path: Any = error.filename
        reason = (error.strerror or str(error)).lower()
        what = f"{path} can't be used" if path else "the operating system refuses"
        raise ProviderError(
            f"{context.name}: {what}: {reason}. Put that right, then run the same command again"
        ) from None
