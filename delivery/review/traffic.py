"""Who serves what of each model, before and after: from the rollouts of a preview. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from delivery.review.events import Step
from delivery.review.resources import WISH
from delivery.review.values import listed, mapping

ROLLOUT = "delivery:registry:Rollout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One step of a model: its stable version, and the one beside it."""

    stable: int
    canary: int | None = None
    weight: int = 0
    """The canary's percent of the requests."""
    shadow: bool = False
    registered_model: str = ""
    """Whose versions they are in the registry; empty: the model's own name."""

    def share(self, version: int) -> int:
        """A version's percent of the requests."""
        if version == self.canary and version != self.stable:
            return 0 if self.shadow else self.weight
        return 100 - (0 if self.shadow else self.weight) if version == self.stable else 0

    @property
    def versions(self) -> tuple[int, ...]:
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    @property
    def words(self) -> str:
        """``v3 90 %, v4 10 %`` or ``v3 100 %, v4 shadow``."""
        if self.canary is None:
            return f"v{self.stable} 100 %"
        beside = f"v{self.canary} shadow" if self.shadow else f"v{self.canary} {self.weight} %"
        return f"v{self.stable} {self.share(self.stable)} %, {beside}"


_NOBODY = Split(stable=0)


class Kind(StrEnum):
    """What a change of traffic is, in the words of a release."""

    NEW = "new model"
    REMOVED = "removed"
    CANARY = "new canary"
    SHADOW = "new shadow"
    WEIGHT = "weight"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    SWITCH = "switch"
    REGISTERED = "another registered model"
    RETIRED = "kept version gone"
    NONE = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A model's traffic in a preview."""

    model: str
    runtime: str
    owner: str
    risk_class: str
    own_metrics: Mapping[str, str]
    """Which way metrics are better, by the environment, whose names don't tell it."""
    before: Split | None
    after: Split | None
    served: tuple[int, ...] = ()
    """Versions that had traffic in an earlier step."""
    judge: str | None = None
    """The policy pack that judged the step that is in force; empty: none did; None: that isn't recorded."""
    unfinished: Split | None = None
    """A step that was begun after ``before`` and did not come to its end: traffic may go by either."""
    since: str = ""
    """When the step that is replaced was applied."""

    def registered(self, split: Split | None) -> str:
        """What the registry calls the model whose versions a split has."""
        return (split.registered_model if split else "") or self.model

    @property
    def kind(self) -> Kind:
        before, after = self.before, self.after
        if before == after:
            return Kind.NONE
        if before is None:
            return Kind.NEW
        if after is None:
            return Kind.REMOVED
        if before.registered_model != after.registered_model:
            return Kind.REGISTERED
        if before.stable != after.stable:
            if after.stable == before.canary:
                return Kind.PROMOTION
            return Kind.ROLLBACK if after.stable in self.served else Kind.SWITCH
        if after.canary is None:
            # One that answered nobody: a version that was kept to go back to, or one that waited.
            return Kind.ROLLBACK if before.weight or before.shadow else Kind.RETIRED
        if before.canary != after.canary:
            return Kind.SHADOW if after.shadow else Kind.CANARY
        if after.shadow:
            return Kind.SHADOW
        return Kind.ROLLBACK if after.weight < before.weight else Kind.WEIGHT

    @property
    def pair(self) -> tuple[int | None, int]:
        """The version that loses traffic, and the one that gains it (or gets a copy of it)."""
        before, after = self.before, self.after
        if before is None or after is None:
            return None, (before or after or _NOBODY).stable
        if before.registered_model != after.registered_model:
            return before.stable, after.stable
        if after.canary is not None and after.shadow and after.stable == before.stable:
            return after.stable, after.canary
        # Of two that gain alike, the one that is declared in the change.
        gains = {
            v: after.share(v) - before.share(v)
            for v in dict.fromkeys([*reversed(after.versions), *before.versions])
        }
        to = max(after.versions[::-1], key=lambda v: gains[v])
        losing = [v for v in gains if v != to]
        if not losing:
            return None, to
        return min(losing, key=lambda v: gains[v]), to

    @property
    def words(self) -> str:
        """The change in one phrase after the model's name: ``3 → 4 at 10 % (was 0 %)``."""
        before, after, kind = self.before, self.after, self.kind
        if after is None:
            return f"removed (served {(before or _NOBODY).words})"
        if kind is Kind.NONE:
            return after.words
        if before is None:
            beside = "" if after.canary is None else f", with {after.words.partition(', ')[2]}"
            return f"{after.stable} at {after.share(after.stable)} % (new{beside})"
        if kind is Kind.REGISTERED:
            return f"{after.words} of another registered model (was {before.words})"
        if kind is Kind.RETIRED:
            return f"{before.canary} gone, {after.words} as before"
        source, to = self.pair
        if kind is Kind.SHADOW:
            return f"{to} as shadow of {source}"
        if kind is Kind.ROLLBACK and before.shadow and before.stable == after.stable:
            return f"shadow {before.canary} gone, {after.words} as before"
        arrow = to if source is None else f"{source} → {to}"
        back = "back: " if kind is Kind.ROLLBACK else ""
        return f"{back}{arrow} at {after.share(to)} % (was {before.share(to)} %)"


def traffic(steps: Iterable[Step]) -> tuple[Traffic, ...]:
    """Each model's traffic, those that change first, then by name."""
    steps = tuple(steps)
    begun = {step.name: _split(step.old.inputs) for step in steps if step.type == WISH and step.old}
    found: list[Traffic] = []
    for step in steps:
        if step.type != ROLLOUT or step.op == "delete-replaced":
            continue
        old = step.old.inputs if step.old else {}
        new = step.new.inputs if step.new else {}
        said, before = new or old, _split(old)
        wish = begun.get(step.name)
        found.append(
            Traffic(
                model=str(said.get("model", step.name)),
                runtime=str(said.get("runtime", "")),
                owner=str(said.get("owner", "")),
                risk_class=str(said.get("riskClass", "")),
                own_metrics=mapping(said.get("metrics")),
                before=before,
                after=_split(new),
                served=tuple(int(v) for v in listed(said.get("served")) if isinstance(v, int | float)),
                judge=_judge(step),
                unfinished=wish if wish != before else None,
                since=str(old.get("since", "")),
            )
        )
    return tuple(sorted(found, key=lambda t: (t.kind is Kind.NONE, t.model)))


def _judge(step: Step) -> str | None:
    found = step.old.inputs.get("judge") if step.old else None
    return found if isinstance(found, str) else None


def _split(inputs: Mapping[str, Any]) -> Split | None:
    stable, canary = mapping(inputs.get("stable")), mapping(inputs.get("canary"))
    version = stable.get("version")
    if not isinstance(version, int | float):
        return None
    registered = str(inputs.get("registeredModel") or "")
    beside = canary.get("version")
    if not isinstance(beside, int | float):
        return Split(stable=int(version), registered_model=registered)
    shadow = bool(canary.get("shadow"))
    return Split(
        stable=int(version),
        canary=int(beside),
        weight=0 if shadow else int(canary.get("weight") or 0),
        shadow=shadow,
        registered_model=registered,
    )
