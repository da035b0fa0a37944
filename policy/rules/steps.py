"""Rules on how a model's traffic moves: ``policy/steps.py`` asked about each planned step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from policy.references import nist, soc2
from policy.rule import Case, Check, Finding, Rule, Severity
from policy.rules.releases import STEP
from policy.steps import (
    CANARY_STEP,
    PREVIOUS_STABLE_KEPT,
    STABLE_WITHOUT_CANARY,
    StepProblem,
    other_model,
    problems,
    step,
)

_BEFORE: Final = {
    "was": "",
    "unfinished": " (counted from a step that was begun and not finished: its traffic may be in force)",
}
"""What a step is judged against, by the property that has it."""


def found(case: Case) -> list[StepProblem]:
    """What ``policy/steps.py`` says of a planned step, after the one that is in force and after one that was
    begun and not finished: traffic may go by either. The step in force itself has neither, so it may always
    be gone back to."""
    planned = case.resource
    return [
        replace(problem, message=f"{problem.message}{note}")
        for key, note in _BEFORE.items()
        if (before := planned.value(key)) is not None
        for problem in _after(before, case)
    ]


def _after(before: Mapping[str, Any], case: Case) -> list[StepProblem]:
    planned = case.resource
    after = step({"stable": planned.value("stable"), "canary": planned.value("canary")})
    model = str(planned.value("model", planned.name))
    served = [int(version) for version in planned.items("served")]
    was, now = (
        str(each or model) for each in (before.get("registeredModel"), planned.value("registeredModel"))
    )
    if was != now:
        return other_model(model, was, now, step(before), after, served)
    return problems(
        model,
        step(before),
        after,
        served=served,
        since=_time(before.get("since")),
        now=case.now,
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


ROUTE: Final = "delivery:local:Route"


def _follows(case: Case) -> Iterator[Finding]:
    """The engine hands over the old step where a ``--target`` leaves it out: the route is then ahead."""
    route = case.resource
    model = str(route.value("model", route.name))
    planned = next((one for one in case.others(STEP) if one.value("model", one.name) == model), None)
    shares = {int(each["version"]): int(each["weight"]) for each in route.items("backends")}
    wish = step(planned.properties) if planned else None
    if wish is None or any(wish.share(version) != weight for version, weight in shares.items()):
        said = f"its step says {wish}" if wish else "its step is no part of it"
        words = ", ".join(f"v{version} {weight} %" for version, weight in shares.items())
        yield Finding(message=f"{model}: this update would send {words}, and {said}")


RULES: Final = (
    Rule(
        id="route-follows-step",
        title="Traffic moves with a step that is judged",
        severity=Severity.HIGH,
        references=(nist("MANAGE 2.4"), soc2("CC8.1")),
        why="With --target or --exclude an update may move a route and leave out the step that rules judge.",
        fix="leave --target and --exclude out, or target '**delivery:registry:Step**' and "
        "'**delivery:registry:Rollout**' too",
        types=frozenset({ROUTE}),
        check=_follows,
        beside=frozenset({STEP}),
        strict=True,
    ),
    Rule(
        id=CANARY_STEP,
        title="A version's share of the traffic grows in steps",
        severity=Severity.HIGH,
        references=(nist("MANAGE 2.4"), soc2("CC8.1")),
        why="What a version does wrong shows first under real requests: a small share at first, so that few "
        "callers see it, and a step that can be watched before the next one.",
        fix="take the smaller step, and the next one when it has been watched",
        types=frozenset({STEP}),
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
        types=frozenset({STEP}),
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
        types=frozenset({STEP}),
        check=_asks(PREVIOUS_STABLE_KEPT),
        strict=True,
    ),
)
