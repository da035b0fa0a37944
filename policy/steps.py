"""How fast a new version may take over a model's traffic. Pure: two steps in, what is wrong out.

A step is what one apply declares of a model: the stable version, and a canary with its share. The rules of
the pack judge a planned step by it, and ``delivery promote`` asks it before it edits a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

CANARY_STEP: Final = "canary-step"
STABLE_WITHOUT_CANARY: Final = "stable-without-canary"
PREVIOUS_STABLE_KEPT: Final = "previous-stable-kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The second version: ``weight`` percent of the requests, or, as ``shadow``, a copy of every one."""

    version: int
    weight: int = 0
    shadow: bool = False

    @property
    def share(self) -> int:
        """Percent of the requests that it answers."""
        return 0 if self.shadow else self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Who serves: the stable version has what the canary leaves."""

    stable: int
    canary: Canary | None = None

    def share(self, version: int) -> int:
        """Percent of the requests that a version answers."""
        canary = self.canary.share if self.canary else 0
        if version == self.stable:
            return 100 - canary
        return canary if self.canary and version == self.canary.version else 0

    @property
    def declared(self) -> frozenset[int]:
        """The versions that have servers."""
        return frozenset({self.stable, *([self.canary.version] if self.canary else [])})

    def __str__(self) -> str:
        shares = [f"v{self.stable} {self.share(self.stable)} %"]
        if self.canary:
            word = "shadow" if self.canary.shadow else f"{self.canary.weight} %"
            shares.append(f"v{self.canary.version} {word}")
        return ", ".join(shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may change in one step."""

    first: int = 20
    """Percent of the requests that a version which never served may have at first."""
    increase: int = 50
    """Percentage points by which the share of a version may grow in a later step."""
    hold_minutes: float = 0
    """How long a version keeps a share before it may have a larger one."""
    warm_minutes: float | None = None
    """How long a version that answers nobody is declared before it may have all of the requests in one step,
    as blue-green switches; None: it may not."""
    bake_hours: float = 24
    """How long the previous stable version stays declared after a promotion; 0: it may go at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProblem:
    """What is wrong with a step: ``rule`` is the id of the policy rule that refuses it."""

    rule: str
    message: str
    fix: str


def step(properties: Mapping[str, Any]) -> Step:
    """The step in the properties of a ``delivery:registry:Rollout``, in its ``was``, or in a model's block of
    a stack's file."""
    found = cast("Mapping[str, Any] | None", properties.get("canary"))
    stable = int(properties["stable"]["version"])
    if not found:
        return Step(stable=stable)
    weight, shadow = int(found.get("weight") or 0), bool(found.get("shadow"))
    return Step(stable=stable, canary=Canary(version=int(found["version"]), weight=weight, shadow=shadow))


def problems(
    model: str,
    before: Step | None,
    after: Step,
    *,
    served: Sequence[int] = (),
    since: datetime | None = None,
    now: datetime,
    limits: Limits,
) -> list[StepProblem]:
    """What is wrong with going from one step of ``model`` to another; empty: it may be taken.

    ``before`` is the step that was applied last, None at the first deploy, where every step is right: nobody
    has served before. ``since`` is when it was first applied, and ``served`` has every version that had
    traffic in an applied step. Going back to an older version that served is always right, in one step.
    """
    if before is None or before == after:
        return []
    served = [*served, *(v for v in before.declared if before.share(v))]
    age = now - since if since else timedelta(0)
    return [
        *_growth(model, before, after, served, age, limits),
        *_held(model, before, after, served, age, limits),
        *_kept(model, before, after, served, age, limits),
    ]


def other_model(
    model: str, was: str, now: str, before: Step, after: Step, served: Sequence[int]
) -> list[StepProblem]:
    """What is wrong with serving versions of the registered model ``now`` under a name that had versions
    of ``was``: a version number means another artifact then, so none of them has been a canary here.

    ``served`` has the versions of ``now`` that are known to have answered requests: they may do so again.
    """
    new = sorted(version for version in after.declared if after.share(version) and version not in served)
    if not new:
        return []
    named = ", ".join(f"v{version}" for version in new)
    return [
        StepProblem(
            rule=STABLE_WITHOUT_CANARY,
            message=f"{model}: {named} of the registered model {now} takes requests from the registered "
            f"model {was}, and has served nobody as a canary: {before} → {after}",
            fix=f"keep models.{model}.registeredModel, declare {now} as a model of its own, and let callers "
            "move to it; where the registry has only renamed the model, exempt this step",
        )
    ]


def _is_return(version: int, before: Step, served: Sequence[int]) -> bool:
    """Versions count upwards: an older one that served is one to go back to. A newer one that served
    was tried and taken back, and is tried anew."""
    return version == before.stable or (version in served and version < before.stable)


def _growth(
    model: str, before: Step, after: Step, served: Sequence[int], age: timedelta, limits: Limits
) -> list[StepProblem]:
    found: list[StepProblem] = []
    for version in sorted(after.declared):
        had, gets = before.share(version), after.share(version)
        entitled = _entitled(version, before, after)
        if entitled <= had or _is_return(version, before, served):
            continue
        if not had and version == after.stable:
            found.append(
                StepProblem(
                    rule=STABLE_WITHOUT_CANARY,
                    message=f"{model}: v{version} becomes stable, and has served nobody as a canary: "
                    f"{before} → {after}",
                    fix=f"declare `stable: {{version: {before.stable}}}` and `canary: {{version: {version}, "
                    f"weight: {limits.first}}}` first, and promote it from there",
                )
            )
        elif gets == 100 and version in before.declared and limits.warm_minutes is not None and not had:
            if age < timedelta(minutes=limits.warm_minutes):
                found.append(_cold(model, version, before, after, age, limits.warm_minutes))
        elif not had and gets > limits.first:
            found.append(
                StepProblem(
                    rule=CANARY_STEP,
                    message=f"{model}: v{version} starts at {gets} %, it may start at {limits.first} %: "
                    f"{before} → {after}",
                    fix=f"set canary.weight to {limits.first} or less",
                )
            )
        elif entitled > gets and entitled - had > limits.increase:
            found.append(
                StepProblem(
                    rule=CANARY_STEP,
                    message=f"{model}: v{version} becomes stable with {had} % of the requests, and a stable "
                    f"version may take them all; a step may add {limits.increase} points: {before} → {after}",
                    fix=f"keep it as the canary until it has {100 - limits.increase} % or more",
                )
            )
        elif had and gets - had > limits.increase:
            found.append(
                StepProblem(
                    rule=CANARY_STEP,
                    message=f"{model}: v{version} goes from {had} % to {gets} %, a step may add "
                    f"{limits.increase} points: {before} → {after}",
                    fix=f"set canary.weight to {had + limits.increase} or less, and go on from there",
                )
            )
    return found


def _cold(model: str, version: int, before: Step, after: Step, age: timedelta, minutes: float) -> StepProblem:
    declared = f"{age / timedelta(minutes=1):.0f} of {minutes:g} min"
    return StepProblem(
        rule=CANARY_STEP,
        message=f"{model}: v{version} takes all of the requests at once, and has been declared for "
        f"{declared}: {before} → {after}",
        fix=f"switch when it has been declared at weight 0, or as a shadow, for {minutes:g} min",
    )


def _entitled(version: int, before: Step, after: Step) -> int:
    """What a version may have of the requests by the step after this one, as far as no rule can tell it.

    The next step may give all of them to what is stable by then. So what becomes stable is judged as if it
    had them: otherwise two versions that change places were a way around the limits.
    """
    becomes_stable = version == after.stable and version != before.stable
    return 100 if becomes_stable else after.share(version)


def _held(
    model: str, before: Step, after: Step, served: Sequence[int], age: timedelta, limits: Limits
) -> list[StepProblem]:
    if age >= timedelta(minutes=limits.hold_minutes):
        return []
    held = f"{age / timedelta(minutes=1):.0f} of {limits.hold_minutes:g} min"
    return [
        StepProblem(
            rule=CANARY_STEP,
            message=f"{model}: v{version} has had {before.share(version)} % for {held}: {before} → {after}",
            fix=f"watch the step that was applied for {limits.hold_minutes:g} min before the next one",
        )
        for version in sorted(after.declared)
        if 0 < before.share(version) < _entitled(version, before, after)
        and not _is_return(version, before, served)
    ]


def _kept(
    model: str, before: Step, after: Step, served: Sequence[int], age: timedelta, limits: Limits
) -> list[StepProblem]:
    bake = timedelta(hours=limits.bake_hours)
    back = [v for v in after.declared if v != before.stable and _is_return(v, before, served)]
    if any(after.share(v) > before.share(v) for v in back):
        return []
    if after.stable != before.stable:
        previous, new = before.stable, after.stable
        # A canary that has had everything for long enough is baked before it is called stable.
        baked = age if before.share(new) == 100 else timedelta(0)
    elif before.canary and _is_return(before.canary.version, before, served):
        previous, new = before.canary.version, before.stable
        baked = age
    else:
        return []
    if previous in after.declared or baked >= bake:
        return []
    hours = f"{baked / timedelta(hours=1):.1f} of {limits.bake_hours:g} h"
    return [
        StepProblem(
            rule=PREVIOUS_STABLE_KEPT,
            message=f"{model}: v{previous} is taken away, and v{new} has baked for {hours}: "
            f"{before} → {after}",
            fix=f"keep `canary: {{version: {previous}, weight: 0}}` beside `stable: {{version: {new}}}` "
            f"until {limits.bake_hours:g} h after the promotion: then one line takes everything back",
        )
    ]
