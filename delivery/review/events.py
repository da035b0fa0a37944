"""The engine's event log of a preview, read strictly: what is cut off or damaged is an error. Pure.

The log is what `pulumi preview --event-log FILE` writes: a JSON object a line, numbered from 0, with one
event in each. Its last events are the summary and the cancel event; a log without them comes from a preview
that was stopped or killed, and says nothing of what it would have found.

Kinds of events that this reader doesn't know are passed over, since newer engines add some; a known kind
with a wrong shape is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from delivery.review.errors import ReviewError
from delivery.review.values import SIGNATURE

Properties = dict[str, Any]

PARTS = frozenset({"create-replacement", "delete-replaced", "discard-replaced", "read-replacement"})
"""Steps that a ``replace`` step stands for."""
OPERATIONS = frozenset(
    {"same", "create", "update", "delete", "replace", "read", "refresh", "discard", "import"}
    | {"import-replacement", "remove-pending-replace"}
    | PARTS
)


_MARKS = (SIGNATURE, "[secret]", '"__')


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A resource before or after a step."""

    inputs: Properties = field(default_factory=dict[str, Any])
    outputs: Properties = field(default_factory=dict[str, Any])
    protect: bool = False
    retain: bool = False
    """Whether the real thing stays when the resource is deleted (``retainOnDelete``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What would be done to one resource."""

    op: str
    urn: str
    type: str
    custom: bool
    """False for a component, which only groups others."""
    old: State | None = None
    new: State | None = None
    detailed: Mapping[str, str] | None = None
    """Path to kind (``update``, ``add-replace``…) of what differs; None where the provider didn't say."""
    keys: tuple[str, ...] = ()
    """The paths that force a replacement."""
    marked: bool = True
    """Whether a state may have a secret of the engine's, or a key of its own, somewhere in it."""
    secrecy: tuple[tuple[str, str], ...] = ()
    """Inputs that become secret in this change, or are no longer: path and words."""

    @property
    def state(self) -> State:
        """The state after it, or the last one of what goes."""
        return self.new or self.old or State()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


def short(urn: str) -> str:
    """A resource as people name it, ``TYPE::NAME``, without its stack and its parents."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition('::')[2].rpartition('$')[2]}::{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """A violation, as the engine reports it."""

    policy: str
    pack: str
    level: str
    """``mandatory``, ``advisory``, ``remediate``, ``disabled`` or ``warning``."""
    message: str
    urn: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A warning or an error of the engine, the program or a provider."""

    severity: str
    message: str
    urn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A whole preview."""

    steps: tuple[Step, ...]
    """The last thing that is said of each resource, in the order of the first."""
    policies: tuple[PolicyResult, ...]
    remarks: tuple[Remark, ...]
    packs: tuple[str, ...]
    """The policy packs that judged it, as ``name version``."""
    outputs: tuple[Properties, Properties]
    """The stack's outputs before and after."""
    seconds: int
    succeeded: bool


def read(text: str, source: str) -> Log:
    """Read a log; ``source`` is what messages call it. Raises ReviewError."""
    steps: dict[tuple[str, bool], Step] = {}
    policies: list[PolicyResult] = []
    remarks: list[Remark] = []
    outputs: tuple[Properties, Properties] = {}, {}
    said: list[str] = []
    summary: Properties | None = None
    ended = False
    for number, (line, event) in enumerate(_events(text, source)):
        where = f"{source}, event {number}"
        kind, body = _kind(event, number, where)
        if kind == "resourcePreEvent" or kind == "resOutputsEvent":
            step = _step(body, where, any(mark in line for mark in _MARKS))
            if kind == "resourcePreEvent":
                steps.setdefault((step.urn, step.op in PARTS), step)
            elif step.type == "pulumi:pulumi:Stack":
                outputs = (step.old.outputs if step.old else {}, step.new.outputs if step.new else {})
        elif kind == "policyEvent":
            policies.append(_policy(body, where))
        elif kind == "diagnosticEvent":
            severity = _text(body, "severity", where)
            if severity in ("info#err", "error"):
                said.append(_text(body, "message", where).strip())
            if severity in ("warning", "error") and not body.get("ephemeral"):
                remarks.append(
                    Remark(
                        severity=severity, message=_text(body, "message", where), urn=str(body.get("urn", ""))
                    )
                )
        elif kind == "resOpFailedEvent":
            urn = _text(_object(body, "metadata", where), "urn", where)
            remarks.append(Remark(severity="error", message="the operation failed", urn=urn))
        elif kind == "errorEvent":
            remarks.append(Remark(severity="error", message=_text(body, "error", where), urn=""))
        elif kind == "summaryEvent":
            if body.get("isPreview") is False:
                raise ReviewError(f"{source} is the log of an update, not of a preview: review a preview.")
            summary = body
        elif kind == "cancelEvent":
            ended = True
    if summary is None or not ended:
        raise ReviewError(
            f"{source} is cut off: it has no {'summary' if summary is None else 'end'}, so the preview ended "
            "before it was done and nothing can be said of the change. "
            + ("The last that it said:\n" + "\n".join(said[-5:]) if said else "Run it again.")
        )
    where = f"the summary of {source}"
    packs = _object(summary, "PolicyPacks", where)
    return Log(
        steps=tuple(steps.values()),
        policies=tuple(policies),
        remarks=tuple(remarks),
        packs=tuple(sorted(f"{name.partition('|')[0]} {version}" for name, version in packs.items())),
        outputs=outputs,
        seconds=_whole(summary, "durationSeconds", where),
        succeeded=_text(summary, "result", where) == "succeeded" and not summary.get("maybeCorrupt"),
    )


def _events(text: str, source: str) -> Iterable[tuple[str, Properties]]:
    if not text.strip():
        raise ReviewError(f"{source} is empty: the preview ended before it began. Its own output says why.")
    # JSON has its line ends escaped, but not those that only Unicode knows: one of those ends no event.
    for number, line in enumerate(text.removesuffix("\n").split("\n")):
        try:
            event = json.loads(line)
        except ValueError:
            raise ReviewError(
                f"{source} is cut off or damaged: line {number + 1} is no JSON. Run the preview again."
            ) from None
        if not isinstance(event, dict):
            raise ReviewError(f"{source}: line {number + 1} is no event. Is this an event log?")
        yield line, cast(Properties, event)


def _whole(found: Properties, key: str, where: str) -> int:
    value = found.get(key) or 0
    if not isinstance(value, int | float):
        raise ReviewError(f"{where} has a `{key}` that is no number. Is this an event log?")
    return int(value)


def _kind(event: Properties, number: int, where: str) -> tuple[str, Properties]:
    if event.get("sequence") != number:
        raise ReviewError(
            f"{where}: its number is {event.get('sequence')!r}, so events are missing. Run the preview again."
        )
    kinds = [key for key in event if key.endswith("Event")]
    if len(kinds) != 1 or not isinstance(event[kinds[0]], dict):
        raise ReviewError(f"{where} has {len(kinds)} events in it, not one. Is this an event log?")
    return kinds[0], cast(Properties, event[kinds[0]])


def _step(body: Properties, where: str, marked: bool) -> Step:
    data = _object(body, "metadata", where)
    op = _text(data, "op", where)
    if op not in OPERATIONS:
        raise ReviewError(f"{where}: `{op}` is no operation that this review knows. Update the review.")
    old, new = _state(data, "old", where), _state(data, "new", where)
    if old is None and new is None:
        raise ReviewError(f"{where} has neither a state before nor one after. Run the preview again.")
    detailed = _maybe(data, "detailedDiff", where)
    raw = cast(Properties, data.get("old") if new is None else data.get("new"))
    return Step(
        op=op,
        urn=_text(data, "urn", where),
        type=_text(data, "type", where),
        custom=bool(raw.get("custom")),
        marked=marked,
        old=old,
        new=new,
        detailed=None
        if detailed is None
        else {
            path: str(_object(detailed, path, f"`detailedDiff` of {where}").get("diffKind", "update"))
            for path in detailed
        },
        keys=tuple(str(key) for key in _list(data, "keys", where)),
    )


def _state(data: Properties, key: str, where: str) -> State | None:
    state = _maybe(data, key, where)
    if state is None:
        return None
    return State(
        inputs=_maybe(state, "inputs", where) or {},
        outputs=_maybe(state, "outputs", where) or {},
        protect=bool(state.get("protect")),
        retain=bool(state.get("retainOnDelete")),
    )


def _policy(body: Properties, where: str) -> PolicyResult:
    return PolicyResult(
        policy=_text(body, "policyName", where),
        pack=_text(body, "policyPackName", where),
        level=_text(body, "enforcementLevel", where),
        message=_text(body, "message", where),
        urn=str(body.get("resourceUrn", "")),
        severity=str(body.get("severity", "")),
    )


def _object(found: Properties, key: str, where: str) -> Properties:
    value = found.get(key)
    if not isinstance(value, dict):
        raise ReviewError(f"{where} has no `{key}`. Is this an event log of `pulumi preview`?")
    return cast(Properties, value)


def _maybe(found: Properties, key: str, where: str) -> Properties | None:
    return None if found.get(key) is None else _object(found, key, where)


def _list(found: Properties, key: str, where: str) -> list[object]:
    value = found.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ReviewError(f"{where} has a `{key}` that is no list. Is this an event log of `pulumi preview`?")
    return cast("list[object]", value)


def _text(found: Properties, key: str, where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise ReviewError(f"{where} has no `{key}`. Is this an event log of `pulumi preview`?")
    return value
