"""Policy rules tested without an engine: resources in, violations out.

A rule is tested like any function: declare what it should pass, then break one property at a time::

    from policy.rules import RULES
    from policy.testkit import changed, evaluate, resource

    BUCKET = resource("gcp:storage/bucket:Bucket", "data", publicAccessPrevention="enforced", …)

    def test_a_public_bucket_is_refused():
        broken = changed(BUCKET, "publicAccessPrevention", "inherited")
        assert [v.rule for v in evaluate(RULES.values(), [broken])] == ["gcs-not-public"]

Properties are named as the engine has them (``publicAccessPrevention``), and numbers are floats, as they
arrive over the wire. ``UNKNOWN`` stands for what a preview doesn't know yet. Nothing here needs Pulumi's SDK:
a rule is asked by the same ``policy.rule.judge`` that the pack asks it by.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, cast

from policy.rule import UNKNOWN, Case, Resource, Rule, Unknown, judge, text
from policy.settings import Settings

__all__ = ["MISSING", "UNKNOWN", "Violation", "changed", "evaluate", "resource", "undecided"]


class _Missing:
    """Marks a property that is to be taken out."""


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What a rule says of a resource."""

    rule: str
    resource: str
    """``TYPE::NAME``."""
    message: str
    """All that the reader gets: what is wrong, why, how to mend it, the rule."""


def resource(
    type: str,
    name: str,
    /,
    *,
    protect: bool = False,
    provider: Mapping[str, Any] | None = None,
    **properties: Any,
) -> Resource:
    """A resource with these properties; numbers become floats, as the engine hands them over."""
    return Resource(
        type=type,
        name=name,
        urn=f"urn:pulumi:test::test::{type}::{name}",
        properties=cast("Mapping[str, Any]", wire(properties)),
        protect=protect,
        provider=provider or {},
    )


def wire(value: object) -> object:
    """A value as it arrives over the wire: whole numbers are floats, tuples are lists."""
    if isinstance(value, bool | Unknown):
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, Mapping):
        return {key: wire(inner) for key, inner in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [wire(inner) for inner in cast("Sequence[object]", value)]
    return value


def changed(one: Resource, path: str, value: object) -> Resource:
    """The same resource with one property changed: ``spec.template.spec.containers.0.image``.

    ``MISSING`` takes it out. ``@protect`` is the option. Maps on the way that aren't there are made.
    """
    if path == "@protect":
        return replace(one, protect=bool(value))
    properties: Any = copy.deepcopy(dict(one.properties))
    *way, last = path.split(".")
    found = properties
    for key in way:
        found = cast("Any", found[int(key)] if isinstance(found, list) else found.setdefault(key, {}))
    if isinstance(value, _Missing):
        del found[int(last) if isinstance(found, list) else last]
    else:
        found[int(last) if isinstance(found, list) else last] = wire(value)
    return replace(one, properties=properties)


def evaluate(
    rules: Iterable[Rule],
    resources: Iterable[Resource],
    *,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> list[Violation]:
    """Ask every rule about every resource it judges, all of them together as one stack.

    A rule that raises is a violation, as it is in the pack; one that can't decide is none: see ``undecided``.
    """
    now = now or datetime.now(UTC)
    return [
        Violation(rule=rule.id, resource=one.id, message=text(rule, finding, now.date()))
        for rule, one, verdict in _verdicts(rules, resources, settings, now)
        for finding in verdict.findings
    ]


def undecided(
    rules: Iterable[Rule],
    resources: Iterable[Resource],
    *,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> list[tuple[str, str]]:
    """The rules that need a value which isn't known yet, each with the resource."""
    return [
        (rule.id, one.id)
        for rule, one, verdict in _verdicts(rules, resources, settings, now)
        if verdict.undecided
    ]


def _verdicts(
    rules: Iterable[Rule],
    resources: Iterable[Resource],
    settings: Settings | None,
    now: datetime | None,
):
    stack = tuple(resources)
    for rule in rules:
        for one in stack:
            if one.type in rule.types:
                case = Case(
                    resource=one,
                    settings=settings or Settings(),
                    now=now or datetime.now(UTC),
                    # What the pack doesn't give, a test must not give either.
                    stack=stack if rule.whole_stack or rule.beside else (),
                )
                yield rule, one, judge(rule, case)
