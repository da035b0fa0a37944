"""A canary against the stable version beside it: figures no worse, requests still understood."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from components.metric_direction import direction
from policy.references import eu, nist, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.releases import RELEASE, STEP, called, endpoint_of

_LISTED: Final = 10


def _pair(case: Case) -> tuple[Resource, Resource] | None:
    """The releases of the stable version and of the canary of a rollout, where there are both."""
    rollout = case.resource
    canary, stable = rollout.value("canary"), rollout.value("stable")
    if canary is None or stable is None:
        return None
    model = rollout.value("model", rollout.name)
    releases = {
        release.value("version"): release for release in case.others(RELEASE) if endpoint_of(release) == model
    }
    old, new = releases.get(stable["version"]), releases.get(canary["version"])
    return (old, new) if old and new else None


def _metrics(case: Case) -> Iterator[Finding]:
    pair = _pair(case)
    # Going back to an older version that served needs no proof: it is the safer one.
    if pair is None or pair[1].value("version") < pair[0].value("version"):
        return
    stable, canary = pair
    before: Mapping[str, float] = stable.value("metrics", {})
    after: Mapping[str, float] = canary.value("metrics", {})
    own: Mapping[str, str] = case.resource.value("metrics", {})
    for name, was in sorted(before.items()):
        way = direction(name, own)
        if way is None:
            continue
        if name not in after:
            yield Finding(
                message=f"{called(canary)} has no {name}, {called(stable)} has {was:g}: not to be compared",
                fix=f"evaluate {called(canary)} for {name} as well, and log it in its run",
            )
            continue
        now = after[name]
        worse = was - now if way == "higher" else now - was
        allowed = abs(was) * case.settings.metric_tolerance
        if not worse <= allowed:  # a NaN is worse than anything
            yield Finding(
                message=f"{called(canary)} is worse than {called(stable)}: {name} {was:g} → {now:g} "
                f"({way} is better; {case.settings.metric_tolerance:.0%} of it is tolerated)"
            )


def _columns(release: Resource, side: str) -> list[Mapping[str, Any]]:
    text = release.value(f"signature.{side}")
    found: object = json.loads(text) if isinstance(text, str) and text else text
    return cast("list[Mapping[str, Any]]", found) if isinstance(found, list) else []


def _column(column: Mapping[str, Any]) -> str:
    tensor = column.get("tensor-spec")
    return json.dumps(tensor, sort_keys=True) if tensor else str(column.get("type"))


def _named(columns: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(column.get("name", index)): _column(column) for index, column in enumerate(columns)}


def _signature(case: Case) -> Iterator[Finding]:
    pair = _pair(case)
    if pair is None:
        return
    stable, canary = pair
    told = [text for side in ("inputs", "outputs") for text in _changes(stable, canary, side)]
    if told:
        yield Finding(message=f"{called(canary)} against {called(stable)}: {'; '.join(told)}")


def _changes(stable: Resource, canary: Resource, side: str) -> Iterator[str]:
    """What callers of the stable version would break on, a text a kind of change."""
    before, after = _named(_columns(stable, side)), _named(_columns(canary, side))
    if not before or not after:
        return
    if gone := [name for name in before if name not in after]:
        yield f"lacks the {side} {_listed(gone)}"
    both = [name for name in before if name in after]
    if other := [f"{name} ({before[name]} → {after[name]})" for name in both if after[name] != before[name]]:
        yield f"has another type of the {side} {_listed(other)}"
    if side == "outputs":
        return
    optional = {
        str(c.get("name", i)) for i, c in enumerate(_columns(canary, side)) if c.get("required") is False
    }
    if new := [name for name in after if name not in before and name not in optional]:
        yield f"requires the inputs {_listed(new)}, which callers don't send"
    if both and both != [name for name in after if name in before]:
        yield "has the inputs in another order: rows sent without names would be misread"


def _listed(names: Sequence[str]) -> str:
    """Names for one line; of many only the first and how many more."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


RULES: Final = (
    Rule(
        id="candidate-metrics",
        title="A canary's metrics are not worse than the stable version's",
        severity=Severity.HIGH,
        references=(eu("Art. 15(1)"), nist("MEASURE 2.3"), nist("MANAGE 1.1")),
        why="A version that was worse in its evaluation is not likely to be better in production.",
        fix="train a better candidate; or, where another figure is what counts, exempt it with that reason",
        types=frozenset({STEP}),
        check=_metrics,
        beside=frozenset({RELEASE}),
        strict=True,
    ),
    Rule(
        id="signature-compatible",
        title="A canary understands the requests that the stable version gets",
        severity=Severity.HIGH,
        references=(soc2("CC8.1"), nist("MEASURE 2.5")),
        why="The same caller is answered by either of them: what one takes, the other must take.",
        fix="serve the changed signature under a new model name, or make new inputs optional",
        types=frozenset({STEP}),
        check=_signature,
        beside=frozenset({RELEASE}),
        strict=True,
    ),
)
