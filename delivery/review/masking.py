"""Secrets taken out of a preview, after the engine has taken out those that it knows. Pure.

The engine masks what is secret at that moment. Left are: the old value of a property that becomes secret in
this change (pulumi#9330); the same value elsewhere, such as in an address; and what nobody has marked as
secret. So three things are hidden here: what stands where either side has a secret, with every other
occurrence of such a value; values under keys that name a secret; and values that look like one.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast
from urllib.parse import quote

from delivery.review.events import Log, State, Step
from delivery.review.values import ABSENT, SECRET, UNKNOWN, joined, leaves, plain

HIDDEN = "[secret]"
_SHORTEST_LINE = 12
_SHORTEST = 4
"""Shorter values aren't looked for elsewhere: they would hide half of the text."""
_KEYS = re.compile(
    r"(^|[a-z0-9_.-])(pass(word|wd|phrase)|(api|access|private|secret|account|signing|encryption)[-_]?key|"
    r"client[-_]?secret|auth[-_]?token|access[-_]?token|bearer|credentials?|authorization|secret[-_]?string|"
    r"connection[-_]?string)$|^(secret|token|pwd)$",
    re.IGNORECASE,
)
_NAMES_ONLY = re.compile(r"(arn|id|name|ref|version|kms[-_]?key)$", re.IGNORECASE)
_VARIABLE = re.compile(r"^([A-Z0-9]+_)+(TOKEN|SECRET|PASS|PWD|PAT)$")
"""Environment variables; elsewhere such words are as often names of secrets."""
_WORD = re.compile(r"[A-Z_]{1,40}")
"""An enumerated value: `authorization: NONE` must be seen when it changes."""
_ASSIGNED = re.compile(
    r"((?:pass(?:word|wd|phrase)|(?:api|access|private|secret|account)[-_]?key|client[-_]?secret"
    r"|(?:auth|access)[-_]?token|_token|_secret|_pwd)(?:=|[\"']\s{0,4}[:=]\s{0,4}|:\s{1,4}))([\"']?)([^\s\"',;&$]+)",
    re.IGNORECASE,
)
"""In a script, a list of arguments or a connection string: ``--password=…``, ``password: …``."""
_CONTENT = {
    "kubernetes:core/v1:Secret": ("data", "stringData"),
    "kubernetes:core/v1:SecretPatch": ("data", "stringData"),
    "aws:ssm/parameter:Parameter": ("value",),
    "gcp:secretmanager/secretVersion:SecretVersion": ("secretData",),
    "azure-native:keyvault:Secret": ("properties",),
}
"""What is nothing but a secret, whatever its keys are called."""
_VALUES = re.compile(
    # Up to the last @: a password may have one too.
    r"(?P<url>(?<=://)[^/\s:@]*:[^/\s]+(?=@)|(?<=https://)[^/\s:@]{16,}(?=@))"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{22,}|\bglpat-[\w-]{20,}|\bpul-[0-9a-f]{40}\b"
    r"|\bxox[abprs]-[\w-]{10,}|\bsk-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"
    r"|(?<=[?&])(X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|sig|signature|token)=[^&\s]+",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Masker:
    """What must not be shown. ``known`` are values that are secret somewhere in the preview."""

    known: re.Pattern[str] | None

    def text(self, text: str) -> str:
        """A text without the values known as secret, and without what looks like a secret."""
        if self.known is not None:
            text = self.known.sub(HIDDEN, text)
        return _VALUES.sub(HIDDEN, text)

    def output(self, text: str) -> str:
        """A text of a program, which may print what it was given, without what a key in it calls a secret."""
        text = self.text(text)
        return _ASSIGNED.sub(_hide_assigned, text) if "=" in text or ":" in text else text

    def value(self, value: Any, key: str = "") -> Any:
        """A value with everything hidden that must be."""
        if isinstance(value, dict):
            found = cast("dict[str, Any]", value)
            name = found.get("name")
            named = isinstance(name, str) and "value" in found and _names_secret(name)
            return {
                inner: SECRET if named and inner == "value" else self.value(part, inner)
                for inner, part in found.items()
            }
        if isinstance(value, list):
            return self._items(cast("list[Any]", value), key)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        if _names_secret(key) and value not in ("", UNKNOWN) and not _WORD.fullmatch(str(value)):
            return SECRET
        if not isinstance(value, str):
            return SECRET if self.known is not None and self.known.fullmatch(str(value)) else value
        if value.lstrip()[:1] in ("{", "["):
            value = self._json(value)
        return self.output(value)

    def _items(self, items: list[Any], key: str) -> list[Any]:
        """A list's items; in one of arguments what follows ``--password`` too."""
        found: list[Any] = []
        flag = False
        for item in items:
            found.append(SECRET if flag and isinstance(item, str) else self.value(item, key))
            flag = isinstance(item, str) and item.startswith("-") and _names_secret(item.lstrip("-"))
        return found

    def _json(self, text: str) -> str:
        """A JSON text with what is secret in it hidden; the text itself where nothing is."""
        try:
            found: object = json.loads(text)
        except (ValueError, RecursionError):
            return text
        hidden: object = self.value(found)
        return text if hidden == found else json.dumps(hidden, default=repr, ensure_ascii=False)


def masked(log: Log) -> tuple[Log, Masker]:
    """The same log with SECRET where something must not be shown, and what does it for texts."""
    known: set[str] = set()
    steps: list[Step] = []
    for step in log.steps:
        old, new, values, secrecy = _both_sides(step)
        known |= values
        step = replace(step, old=old, new=new, secrecy=secrecy)
        if step.type in _CONTENT:
            step, values = _without_content(step)
            known |= values
        steps.append(step)
    before, after, values = _hidden_together(*(plain(side) for side in log.outputs))
    known |= values
    masker = Masker(_pattern(known))
    steps = [
        replace(step, old=_state(masker, step.old), new=_state(masker, step.new)) if _is_shown(step) else step
        for step in steps
    ]
    return (
        replace(
            log,
            steps=tuple(steps),
            outputs=(masker.value(before), masker.value(after)),
            policies=tuple(replace(found, message=masker.text(found.message)) for found in log.policies),
            remarks=tuple(replace(found, message=masker.output(found.message)) for found in log.remarks),
        ),
        masker,
    )


def _without_content(step: Step) -> tuple[Step, set[str]]:
    """A step with SECRET for what is nothing but a secret, and the texts that were there."""
    keys = _CONTENT[step.type]
    known: set[str] = set()

    def hidden(inputs: dict[str, Any]) -> dict[str, Any]:
        for key in keys:
            texts = (leaf for _, leaf in leaves(inputs.get(key)) if isinstance(leaf, str))
            known.update(text for text in texts if len(text) >= _SHORTEST_LINE)
        return {key: _all_hidden(value) if key in keys else value for key, value in inputs.items()}

    old, new = (
        state and replace(state, inputs=hidden(state.inputs), outputs=hidden(state.outputs))
        for state in (step.old, step.new)
    )
    return replace(step, old=old, new=new), known


def _all_hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _all_hidden(inner) for key, inner in cast("dict[str, Any]", value).items()}
    return SECRET


_Sides = tuple[State | None, State | None, set[str], tuple[tuple[str, str], ...]]


def _both_sides(step: Step) -> _Sides:
    """A step's states with SECRET on both sides wherever one side has it, the values that this hid, and
    the inputs that are secret on one side only."""
    if not step.marked:
        return step.old, step.new, set(), ()
    sides = [
        None if state is None else replace(state, inputs=plain(state.inputs), outputs=plain(state.outputs))
        for state in (step.old, step.new)
    ]
    trees: list[Any] = [tree for side in sides if side for tree in (side.inputs, side.outputs)]
    if not any(_has_secret(tree) for tree in trees):
        return sides[0], sides[1], set(), ()
    secrecy = tuple(_secrecy(sides[0].inputs, sides[1].inputs)) if sides[0] and sides[1] else ()
    known: set[str] = set()
    hidden: list[Any] = []
    for tree in trees:
        for other in trees:
            tree, found = _hidden_where(tree, other)
            known |= found
        hidden.append(tree)
    parts = iter(hidden)
    masked_sides = [side and replace(side, inputs=next(parts), outputs=next(parts)) for side in sides]
    return masked_sides[0], masked_sides[1], known, secrecy


def _secrecy(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Where a value is secret on one side only: path and words."""
    if old is ABSENT or new is ABSENT or old is new:
        return
    if old is SECRET or new is SECRET:
        yield path, "becomes secret" if new is SECRET else "is no longer secret"
    elif isinstance(old, dict) and isinstance(new, dict):
        theirs = cast("dict[str, Any]", new)
        for key, inner in cast("dict[str, Any]", old).items():
            yield from _secrecy(inner, theirs.get(key, ABSENT), joined(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index, pair in enumerate(zip(cast("list[Any]", old), cast("list[Any]", new), strict=False)):
            yield from _secrecy(*pair, joined(path, index))


def _hidden_together(old: Any, new: Any) -> tuple[Any, Any, set[str]]:
    before, found = _hidden_where(old, new)
    after, more = _hidden_where(new, old)
    return before, after, found | more


def _hidden_where(value: Any, other: Any) -> tuple[Any, set[str]]:
    """A value with SECRET where another has it, and the texts that were there."""
    if other is SECRET:
        if value is SECRET or value is ABSENT:
            return value, set()
        return SECRET, {str(leaf) for _, leaf in leaves(value) if isinstance(leaf, str | int | float)}
    if isinstance(value, dict) and isinstance(other, dict):
        mine, theirs = cast("dict[str, Any]", value), cast("dict[str, Any]", other)
        pairs = {key: _hidden_where(inner, theirs.get(key, ABSENT)) for key, inner in mine.items()}
        return {key: pair[0] for key, pair in pairs.items()}, _united(pair[1] for pair in pairs.values())
    if isinstance(value, list) and isinstance(other, list):
        items, others = cast("list[Any]", value), cast("list[Any]", other)
        found = [
            _hidden_where(item, others[i] if i < len(others) else ABSENT) for i, item in enumerate(items)
        ]
        return [pair[0] for pair in found], _united(pair[1] for pair in found)
    return cast(Any, value), set()


def _united(sets: Iterable[set[str]]) -> set[str]:
    return set[str]().union(*sets)


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_secret(inner) for inner in cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        return any(_has_secret(inner) for inner in cast("list[Any]", value))
    return value is SECRET


def _is_shown(step: Step) -> bool:
    """Whether values of a step can get into a review: of what stays as it is, only the project's own."""
    return step.op != "same" or bool(step.secrecy) or step.type.startswith("delivery:")


def _state(masker: Masker, state: State | None) -> State | None:
    if state is None:
        return None
    return replace(state, inputs=masker.value(state.inputs), outputs=masker.value(state.outputs))


@cache
def _names_secret(key: str) -> bool:
    return bool(_KEYS.search(key) or _VARIABLE.search(key)) and not _NAMES_ONLY.search(key)


def _hide_assigned(found: re.Match[str]) -> str:
    return found[0] if found[3].startswith(HIDDEN) else f"{found[1]}{found[2]}{HIDDEN}"


def _forms(value: str) -> Iterator[str]:
    """How a value may stand elsewhere: as base64, in an address, in a JSON text; a long one by its lines."""
    yield value
    yield base64.b64encode(value.encode(errors="replace")).decode()
    yield quote(value, safe="")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    if "\n" in value:
        yield " ".join(value.split())
        yield from (line for line in map(str.strip, value.splitlines()) if len(line) >= _SHORTEST_LINE)


def _pattern(known: set[str]) -> re.Pattern[str] | None:
    words = sorted(
        {
            form
            for value in known
            if len(value) >= _SHORTEST and value not in ("true", "false", UNKNOWN)
            for form in _forms(value)
        },
        key=len,
        reverse=True,
    )
    return re.compile("|".join(map(re.escape, words))) if words else None
