"""What is done to each resource, down to the field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from delivery.review.events import PARTS, State, Step
from delivery.review.values import ABSENT, at, differences, leaves, shown

STACK = "pulumi:pulumi:Stack"
LOUD = ("delete", "replace")
ORDER = ("delete", "replace", "create", "update", "import", "read", "refresh", "discard")
WISH = "delivery:registry:Step"
"""What a policy judges of a model: it says nothing that the model's rollout doesn't say."""
_BOOKKEEPING = {"delivery:registry:Rollout": ("since", "was", "served", "judge")}
"""What the provider notes by itself, and nobody has changed."""
_FINISHED = frozenset({"kubernetes:batch/v1:Job"})
"""What has done its work and holds nothing: every promotion replaces the Jobs that wait for capacity, and a
warning that is always there is read by nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value that changes."""

    path: str
    before: str
    after: str
    replaces: bool = False
    note: str = ""
    """``becomes secret``, ``is no longer secret``; empty where the values say all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is done to one resource."""

    op: str
    type: str
    name: str
    fields: tuple[Field, ...]
    protected: bool
    """Whether the engine will refuse to delete it."""
    retained: bool
    """Whether what it stands for stays."""

    @property
    def loud(self) -> bool:
        """Whether something that serves or is kept goes or is made anew."""
        return self.op in LOUD and self.type not in _FINISHED


def changes(steps: Iterable[Step]) -> tuple[Change, ...]:
    """Every resource that doesn't stay the same, by operation, the destructive ones first."""
    found: list[Change] = []
    for step in steps:
        fields: tuple[Field, ...] = ()
        if step.op in PARTS or step.type in (STACK, WISH):
            continue
        if step.old and step.new:
            fields = tuple(_fields(step, step.old, step.new))
        if step.op == "same" and not fields:
            continue
        if not step.custom and step.op not in LOUD and not fields:
            continue  # a component: its children say what is made
        state = step.old or step.state
        found.append(
            Change(
                op="update" if step.op == "same" else _OPERATION.get(step.op, step.op),
                type=step.type,
                name=step.name,
                fields=fields,
                protected=state.protect,
                retained=state.retain,
            )
        )
    return tuple(sorted(found, key=lambda c: (ORDER.index(c.op), c.type, c.name)))


_OPERATION = {"import-replacement": "replace", "remove-pending-replace": "delete"}


def whole(step: Step) -> Iterator[tuple[str, str]]:
    """Everything about one resource for the full diff: a mark (``+``, ``-``, space) and a line."""
    if step.old and step.new and step.op not in ("create", "delete"):
        for field in _fields(step, step.old, step.new, bookkeeping=True):
            if field.note:
                yield "!", f"{field.path}: {field.note}"
            if field.before != "(none)":
                yield "-", f"{field.path}: {field.before}"
            if field.after != "(none)":
                yield "+", f"{field.path}: {field.after}"
        return
    mark = "+" if step.new else "-"
    for path, value in leaves(step.state.inputs):
        yield mark, f"{path}: {shown(value)}"


def _fields(step: Step, old: State, new: State, *, bookkeeping: bool = False) -> Iterator[Field]:
    hidden = () if bookkeeping else _BOOKKEEPING.get(step.type, ())
    if step.op != "same":
        for path, replaces in _paths(step, old, new):
            if path.partition(".")[0].partition("[")[0] in hidden:
                continue
            before, after = _before(path, old), at(new.inputs, path)
            if step.detailed is not None and step.detailed.get(path, "").startswith("delete"):
                after = ABSENT
            elif step.detailed is not None and step.detailed.get(path, "").startswith("add"):
                before = ABSENT
            parts = list(differences(before, after, path)) or [(path, before, after)]
            for inner, was, now in parts:
                yield Field(path=inner, before=shown(was), after=shown(now), replaces=replaces)
    for path, note in step.secrecy:
        yield Field(path=path, before="[secret]", after="[secret]", note=note)


def _paths(step: Step, old: State, new: State) -> Iterator[tuple[str, bool]]:
    """The paths that differ, each with whether it forces a replacement."""
    if step.detailed:
        for path, kind in sorted(step.detailed.items()):
            yield path, kind.endswith("-replace") or path in step.keys
        return
    for path, _, _ in differences(old.inputs, new.inputs):
        yield path, any(path == key or path.startswith((f"{key}.", f"{key}[")) for key in step.keys)


def _before(path: str, old: State) -> Any:
    found = at(old.inputs, path)
    return at(old.outputs, path) if found is ABSENT else found
