"""``delivery:registry:Rollout``: who serves what of one model, in the same words on every runtime.

Inputs
    model     its name, which is the rollout's id
    registeredModel    what the registry calls the model, absent where that is its name
    runtime, owner, riskClass, minReplicas, analysis, drift, requestLog    what policies ask of a step
    metrics   ``{NAME: higher | lower}``: which way metrics are better whose names don't tell it
    stable    ``{version}``
    canary    ``{version, weight, shadow}``; absent: all of the traffic is stable's
    judge     the policy pack that judged the step, ``NAME VERSION``; empty: none did. Absent from a step that
              was applied before this was recorded

The check adds, already in a preview, where the step (``stable``, ``canary`` and ``registeredModel`` together)
comes from:
    since     when it was first applied (ISO 8601, UTC); of a step that is only planned, when it was planned
    was       the step before it, ``{stable, canary, registeredModel, since}``; absent in a model's first step
    served    versions of the registered model that answered requests in an earlier step, the latest last, at
              most 20; after a change of the registered model those that the last step of the same one had, if
              that was the step before the last

They stay as they are for as long as the step does. All comes from the inputs of the last apply: a rollout is
declared after its endpoint, so a step that failed isn't among them. Outputs are the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from provider.resource import Checked, Context, Diff, Properties, changed_paths

GIVEN = (
    "model",
    "registeredModel",
    "runtime",
    "owner",
    "riskClass",
    "minReplicas",
    "analysis",
    "drift",
    "requestLog",
    "metrics",
    "stable",
    "canary",
)
_ADDED = ("since", "was", "served", "judge")
_STEP = ("registeredModel", "stable", "canary")
_REMEMBERED = 20


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Rollout:
    """See the module's text for inputs and outputs. ``now`` tells the time."""

    def __init__(self, now: Callable[[], str] = now) -> None:
        self._now = now

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        given = {key: new[key] for key in GIVEN if new.get(key) is not None}
        return Checked({**given, **_history(old, given, str(new.get("judge") or ""), self._now)})

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        keys = (*GIVEN, *_ADDED)
        paths = [path for key in keys for path in changed_paths(state.get(key), new.get(key), key)]
        replaced = bool(state["model"] != new["model"])
        return Diff(dict.fromkeys(paths, replaced), replaced, _remark(state, new))

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        return inputs["model"], inputs

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        return state

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        return new

    def delete(self, context: Context, id: str, state: Properties) -> None:
        """Nothing to do: it is only in the state."""


def traffic_words(step: Mapping[str, Any]) -> str:
    """A step's traffic in one phrase: ``v3 90 %, v4 10 %`` or ``v3 100 %, v4 shadow``."""
    stable, canary = step["stable"]["version"], step.get("canary")
    if canary is None:
        return f"v{stable} 100 %"
    if canary.get("shadow"):
        return f"v{stable} 100 %, v{canary['version']} shadow"
    return f"v{stable} {100 - canary['weight']} %, v{canary['version']} {canary['weight']} %"


def _history(old: Properties | None, new: Properties, judge: str, now: Callable[[], str]) -> Properties:
    if not old or "stable" not in old:
        return {"since": now(), "served": [], "judge": judge}
    if step_in(old) == step_in(new):
        return {key: old[key] for key in _ADDED if key in old}
    was = {**step_in(old), "since": old.get("since", "")}
    return {"since": now(), "was": was, "served": served_after(old, new), "judge": judge}


def served_after(rollout: Properties, new: Properties) -> list[int]:
    """The versions of the registered model of a ``new`` step that have answered requests before it, the
    latest last; ``rollout`` is the step before."""
    if rollout.get("registeredModel") != new.get("registeredModel"):
        # Version 3 of one registered model says nothing of version 3 of another.
        earlier = cast("Properties", rollout.get("was") or {})
        same = bool(earlier) and earlier.get("registeredModel") == new.get("registeredModel")
        return _answering(earlier) if same else []
    return _served([*rollout.get("served", []), *_answering(rollout)])


def step_in(rollout: Properties) -> Properties:
    return {key: rollout[key] for key in _STEP if rollout.get(key) is not None}


def _answering(step: Properties) -> list[int]:
    """The versions that answer requests in a step, the one with less of them last."""
    canary = cast("Properties | None", step.get("canary"))
    weight = 0 if canary is None or canary.get("shadow") else int(canary["weight"])
    stable = [int(step["stable"]["version"])] if weight < 100 else []
    return [*stable, *([int(canary["version"])] if canary and weight else [])]


def _served(versions: list[int]) -> list[int]:
    """Each version once, where it was last."""
    latest = dict.fromkeys(reversed(versions))
    return list(latest)[:_REMEMBERED][::-1]


def _remark(old: Properties, new: Properties) -> str:
    before, after = traffic_words(old), traffic_words(new)
    was, now = (step.get("registeredModel", step["model"]) for step in (old, new))
    if old["model"] == new["model"] and was != now:
        before, after = f"{before} of {was}", f"{after} of {now}"
    return "" if before == after else f"{new['model']}: {before} → {after}"
