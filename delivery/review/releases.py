"""What a change of the model means: the facts of two versions side by side. Pure.

The facts are those that the registry had when the release was pinned (``delivery:registry:Release``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from components.metric_direction import Direction, direction
from delivery.review.events import Step
from delivery.review.traffic import Kind, Traffic
from delivery.review.values import UNKNOWN, differences, mapping, shown

RELEASE = "delivery:registry:Release"
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of two versions."""

    name: str
    before: float | None
    after: float | None
    way: Direction | None
    """Which way it is better; None: that isn't known."""

    @property
    def change(self) -> float | None:
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``same``; empty where it isn't known which direction is good."""
        change = self.change
        if change is None:
            return ""
        if change == 0:
            return "same"
        if self.way is None:
            return ""
        # A NaN is better than nothing.
        return "better" if (change > 0 if self.way == "higher" else change < 0) else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something else that is known of both versions."""

    name: str
    before: str
    """Empty: the registry has none."""
    after: str
    loud: bool = False
    """Whether a reader must see it: the signature changed, an approval is missing."""

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What it means for one model that traffic goes from one version to another."""

    model: str
    before: int | None
    """The version that loses traffic; None for a model that is new."""
    after: int
    metrics: tuple[Metric, ...]
    facts: tuple[Fact, ...]
    signature: tuple[str, ...]
    """How the signature changes, a line a field; empty: it doesn't."""
    known: bool
    """Whether the preview has the facts of the new version."""

    @property
    def alarming(self) -> bool:
        """Whether something in it speaks against the change: a worse metric, another signature."""
        worse = any(metric.verdict == "worse" for metric in self.metrics)
        return worse or bool(self.signature) or any(fact.loud for fact in self.facts)


def comparisons(steps: Iterable[Step], traffic: Iterable[Traffic]) -> tuple[Comparison, ...]:
    """A comparison for each model whose traffic changes, and that is still there."""
    facts = _facts(steps)
    found: list[Comparison] = []
    for change in traffic:
        if change.kind in (Kind.NONE, Kind.REMOVED, Kind.RETIRED):
            continue
        before, after = change.pair
        was, now = change.registered(change.before), change.registered(change.after)
        old: Facts = {} if before is None else facts.get((change.model, was, before), {})
        new: Facts = facts.get((change.model, now, after), {})
        found.append(
            Comparison(
                model=change.model,
                before=before,
                after=after,
                metrics=_metrics(old, new, change.own_metrics),
                facts=_compared(old, new, first=before is None),
                signature=_signature(old, new) if old and new else (),
                known=bool(new),
            )
        )
    return tuple(found)


def size(value: object) -> str:
    """Bytes as people read them: ``1.5 MB``; empty for what is no number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError


def _facts(steps: Iterable[Step]) -> dict[tuple[str, str, int], Facts]:
    """What is known of each version, by the model that it serves, its registered model and its number."""
    found: dict[tuple[str, str, int], Facts] = {}
    for step in steps:
        if step.type != RELEASE:
            continue
        for state in (step.old, step.new):
            if state is None:
                continue
            model, version = state.inputs.get("model"), state.inputs.get("version")
            if isinstance(model, str) and isinstance(version, int | float):
                endpoint = state.inputs.get("endpoint") or model
                found[str(endpoint), model, int(version)] = state.inputs
    return found


def _metrics(old: Facts, new: Facts, own: Mapping[str, str]) -> tuple[Metric, ...]:
    before, after = _numbers(old.get("metrics")), _numbers(new.get("metrics"))
    return tuple(
        Metric(name=name, before=before.get(name), after=after.get(name), way=direction(name, own))
        for name in sorted(before.keys() | after.keys())
    )


def _numbers(found: object) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in mapping(found).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


_COMPARED = (
    ("digest", "artifact digest"),
    ("flavor", "flavor"),
    ("data", "training data digest"),
    ("commit", "training commit"),
    ("code", "training code"),
    ("run", "run"),
    ("registered", "registered"),
    ("evaluation", "evaluation"),
    ("owner", "owner"),
    ("riskClass", "risk class"),
    ("card", "model card"),
)


def _compared(old: Facts, new: Facts, *, first: bool) -> tuple[Fact, ...]:
    facts = [
        Fact(name=name, before=_text(old.get(key)), after=_text(new.get(key))) for key, name in _COMPARED
    ]
    if _later(new, "digest"):
        facts[0] = replace(facts[0], after=_LATER)
    facts.append(Fact(name="size", before=size(old.get("size")), after=size(new.get("size"))))
    facts.append(
        Fact(
            name="approved",
            before=_approval(old),
            after=_approval(new),
            loud=bool(_approval(old)) and not _approval(new),
        )
    )
    return tuple(fact for fact in facts if fact.before or fact.after)


_LATER = "known after the update"


def _later(facts: Facts, key: str) -> bool:
    """Whether the release is known and this of it isn't: only the update downloads its large artifact."""
    return facts.get(key) == UNKNOWN and facts.get("flavor") != UNKNOWN


def _text(value: object) -> str:
    return "" if value is None or value == UNKNOWN else shown(value) if value != "" else ""


def _approval(facts: Facts) -> str:
    if _later(facts, "approvedBy"):
        return _LATER
    by, when = _text(facts.get("approvedBy")), _text(facts.get("approvedAt"))
    return f"by {by}{f' at {when}' if when else ''}" if by else ""


def _signature(old: Facts, new: Facts) -> tuple[str, ...]:
    """A line for each field that comes, goes or changes its type; inputs first."""
    before, after = mapping(old.get("signature")), mapping(new.get("signature"))
    lines: list[str] = []
    for side in ("inputs", "outputs", "params"):
        mine, theirs = _fields(before.get(side)), _fields(after.get(side))
        for name, was, now in differences(mine, theirs):
            word = side.rstrip("s")
            if not isinstance(was, str):
                lines.append(f"{word} {name}: new, {shown(now)}")
            elif not isinstance(now, str):
                lines.append(f"{word} {name}: gone, was {was}")
            else:
                lines.append(f"{word} {name}: {was} → {now}")
    return tuple(lines)


def _fields(schema: object) -> dict[str, str]:
    """A signature's columns or tensors: name to type in one text."""
    import json

    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError:
            return {"(schema)": schema}
    if not isinstance(schema, list):
        return {}
    found: dict[str, str] = {}
    for index, column in enumerate(cast("list[Any]", schema)):
        said = mapping(column)
        rest = {key: value for key, value in said.items() if key not in ("name", "required")}
        kind = rest.get("type") if set(rest) == {"type"} and isinstance(rest["type"], str) else shown(rest)
        optional = ", optional" if said.get("required") is False else ""
        found[str(said.get("name", f"#{index}"))] = f"{kind}{optional}"
    return found
