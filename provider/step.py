"""``delivery:registry:Step``: the step that a model is to take, declared before anything of it is done.

Inputs
    model, runtime, owner, riskClass, minReplicas, analysis, drift, requestLog, metrics, stable, canary
                as those of a Rollout, with ``registeredModel``, see provider.rollout
    applied     the model's Rollout as the stack's state has it: ``{stable, canary, registeredModel, since,
                was, served}``; absent
                before a model's first step is recorded

The check takes ``applied`` away and adds, already in a preview, what the step is judged against:
    since       when it was planned (ISO 8601, UTC)
    was         the step that is in force by the record, ``{stable, canary, since}``; absent where this is
                that step
    unfinished  a step that was begun after that one and never recorded, since its update failed or was
                killed: traffic may go by either; absent where this step is one of the two
    settled     whether nothing of it changes: it is the step in force, and all else was declared before
    served      versions that answered requests before this step, the latest last
    judge       empty; a policy pack that judges the step writes its name and version here, see policy/pack.py

Outputs are the inputs. The state has a step from the moment that it is begun, a Rollout from the moment that
it is done: where the two differ, an update did not come to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from provider.resource import Checked, Context, Diff, Properties, changed_paths
from provider.rollout import GIVEN, now, served_after, step_in


class Step:
    """See the module's text for inputs and outputs. ``clock`` tells the time."""

    def __init__(self, clock: Callable[[], str] = now) -> None:
        self._clock = clock

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        given = {key: new[key] for key in GIVEN if new.get(key) is not None}
        raw: Any = new.get("applied")
        applied = cast(Properties, raw) if isinstance(raw, dict) and "stable" in raw else None
        added: Properties = {"since": self._clock(), "served": [], "judge": ""}
        begun = old if old and "stable" in old else None
        wish, in_force = step_in(given), step_in(applied or {})
        if applied:
            added["served"] = applied.get("served", [])
            if wish != in_force:
                added |= {"was": _at(applied), "served": served_after(applied, given)}
        if begun and wish != in_force and step_in(begun) not in (wish, in_force):
            added["unfinished"] = _at(begun)
        added["settled"] = wish == in_force and all((old or {}).get(key) == given.get(key) for key in GIVEN)
        return Checked({**given, **added})

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        keys = [*GIVEN, *([] if new.get("settled") else ["judge"])]
        paths = [path for key in keys for path in changed_paths(state.get(key), new.get(key), key)]
        replaced = bool(state.get("model") != new.get("model"))
        return Diff(dict.fromkeys(paths, replaced), replaced)

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        return inputs["model"], inputs

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        return state

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        return new

    def delete(self, context: Context, id: str, state: Properties) -> None:
        """Nothing to do: it is only in the state."""


def _at(step: Properties) -> Properties:
    return {**step_in(step), "since": step.get("since", "")}
