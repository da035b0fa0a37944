"""Rules on how a model's traffic moves: ``policy/steps.py`` asked about each planned rollout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from policy.references import nist, soc2
from policy.rule import Case, Check, Finding, Rule, Severity
from policy.steps import (
    CANARY_STEP,
    PREVIOUS_STABLE_KEPT,
    STABLE_WITHOUT_CANARY,
    StepProblem,
    other_model,
    problems,
    step,
)

ROLLOUT: Final = "delivery:registry:Rollout"
_HISTORY: Final = timedelta(hours=1)
"""A step is judged when it is taken. ``since`` is the time of the check for a step that isn't in the
state yet. One that is older has been applied and was judged then; refusing what else changes helps nobody."""


def found(case: Case) -> list[StepProblem]:
    """What ``policy/steps.py`` says of a rollout's last step; nothing of one that was taken long ago."""
    rollout = case.resource
    was = rollout.value("was")
    after, since = (
        step({"stable": rollout.value("stable"), "canary": rollout.value("canary")}),
        _time(rollout.value("since")),
    )
    if was is None or since is None or case.now - since > _HISTORY:
        return []
    model = str(rollout.value("model", rollout.name))
    served = [int(version) for version in rollout.items("served")]
    registered = [
        str(each or model) for each in (was.get("registeredModel"), rollout.value("registeredModel"))
    ]
    if registered[0] != registered[1]:
        return other_model(model, registered[0], registered[1], step(was), after, served)
    return problems(
        model,
        step(was),
        after,
        served=served,
        since=_time(was.get("since")),
        now=since,
        limits=case.settings.limits,
    )


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def _only(rule: str, case: Case) -> Iterator[Finding]:
    for problem in found(case):
        if problem.rule == rule:
            yield Finding(message=problem.message, fix=problem.fix)


def _asks(rule: str) -> Check:
    return partial(_only, rule)


RULES: Final = (
    Rule(
        id=CANARY_STEP,
        title="A version's share of the traffic grows in steps",
        severity=Severity.HIGH,
        references=(nist("MANAGE 2.4"), soc2("CC8.1")),
        why="What a version does wrong shows first under real requests: a small share at first, so that few "
        "callers see it, and a step that can be watched before the next one.",
        fix="take the smaller step, and the next one when it has been watched",
        types=frozenset({ROLLOUT}),
        check=_asks(CANARY_STEP),
        strict=True,
    ),
    Rule(
        id=STABLE_WITHOUT_CANARY,
        title="A version serves as a canary before it is stable",
        severity=Severity.HIGH,
        references=(nist("MANAGE 2.4"), soc2("CC8.1")),
        why="A version that has answered no request yet would answer all of them at once.",
        fix="declare the version as a canary first",
        types=frozenset({ROLLOUT}),
        check=_asks(STABLE_WITHOUT_CANARY),
        strict=True,
    ),
    Rule(
        id=PREVIOUS_STABLE_KEPT,
        title="The previous stable version stays able to serve until the new one has baked",
        severity=Severity.MEDIUM,
        references=(nist("MANAGE 2.4"), soc2("CC7.5")),
        why="Going back takes seconds while the previous version's servers are there, and minutes when they "
        "have to start again: on the day after a promotion an incident hangs on that.",
        fix="keep the previous version as a canary of weight 0 until the new one has baked",
        types=frozenset({ROLLOUT}),
        check=_asks(PREVIOUS_STABLE_KEPT),
        strict=True,
    ),
)
