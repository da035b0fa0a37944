"""The rules as a Pulumi policy pack: what the engine hands over becomes a Case, a finding a violation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi_policy as sdk
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy import enforcement, exemptions
from policy.enforcement import Enforcement
from policy.exemptions import Exemptions, told
from policy.rule import Case, Resource, Rule, Unknown, judge
from policy.rules import every

NAME = "model-delivery"
EXEMPTIONS = "exemptions"
"""The policy that is no rule."""
Report = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What holds for one stack."""

    stack: str
    enforcement: Enforcement
    exemptions: Exemptions
    now: Callable[[], datetime]

    def policies(self, rules: Iterable[Rule] | None = None) -> list[sdk.Policy]:
        """Return one policy for each rule (by default, of all) at the level that it has in this stack."""
        seen = _Seen()
        chosen = tuple(every().values() if rules is None else rules)
        # The SDK asks policies in their order, so the first of each kind notes what the others look at.
        first = {kind: next((r.id for r in chosen if r.whole_stack is kind), "") for kind in (False, True)}
        policies = [self._policy(rule, seen, notes=first[rule.whole_stack] == rule.id) for rule in chosen]
        # The last of all: it tells what the others have let through.
        return [*policies, self._let_through(seen)] if self.exemptions.in_stack(self.stack) else policies

    def report(self, rule: Rule, case: Case, report: Report, seen: _Seen) -> None:
        """Ask a rule about a resource and report what it finds, unless that is exempted, which `seen` notes.

        A rule that can't decide in a preview says so by the SDK's own exception, which the engine shows as a
        warning whatever the rule's level: it is asked again in the update.
        """
        verdict = judge(rule, case)
        exemption = self.exemptions.of(self.stack, rule.id, case.resource.id)
        for finding in verdict.findings:
            message, exempted = told(rule, finding, exemption, case.now)
            if exempted:
                seen.exempted.append((message, case.resource.urn))
            else:
                report(message, case.resource.urn or None)
        if verdict.undecided and not (exemption and exemption.holds(case.now)):
            raise undecided(case.resource, verdict.undecided)

    def _policy(self, rule: Rule, seen: _Seen, notes: bool) -> sdk.Policy:
        named: dict[str, Any] = {
            "name": rule.id,
            "description": rule.title,
            "enforcement_level": sdk.EnforcementLevel(self.enforcement.of(rule.id)),
            "severity": sdk.Severity(rule.severity.value),
            "remediation_steps": rule.fix,
            "tags": [str(reference) for reference in rule.references],
        }
        if rule.whole_stack:
            return sdk.StackValidationPolicy(validate=self._on_stack(rule, seen, notes), **named)
        return sdk.ResourceValidationPolicy(validate=self._on_resource(rule, seen, notes), **named)

    def _on_resource(
        self, rule: Rule, seen: _Seen, notes: bool
    ) -> Callable[[sdk.ResourceValidationArgs, Report], None]:
        def validate(args: sdk.ResourceValidationArgs, report: Report) -> None:
            if not notes and args.resource_type not in rule.types:
                return
            resource = _resource(
                args.resource_type, args.name, args.urn, args.props, args.opts, args.provider
            )
            if notes:
                seen.inputs[args.urn] = resource
            if args.resource_type in rule.types:
                self.report(rule, self._case(resource), report, seen)

        return validate

    def _on_stack(
        self, rule: Rule, seen: _Seen, notes: bool
    ) -> Callable[[sdk.StackValidationArgs, Report], None]:
        def validate(args: sdk.StackValidationArgs, report: Report) -> None:
            if notes:
                seen.stack = tuple(_declared(one, seen.inputs.get(one.urn)) for one in args.resources)
            unknown: UnknownValueError | None = None
            for resource in seen.stack:
                if resource.type in rule.types:
                    try:
                        self.report(rule, self._case(resource, seen.stack), report, seen)
                    except UnknownValueError as error:
                        # The others are judged all the same.
                        unknown = unknown or error
            if unknown:
                raise unknown

        return validate

    def _let_through(self, seen: _Seen) -> sdk.Policy:
        """What tells of the exemptions that are in use, so that none is forgotten: it stops nothing."""

        def validate(args: sdk.StackValidationArgs, report: Report) -> None:
            for message, urn in seen.exempted:
                report(message, urn or None)
            there = {f"{one.resource_type}::{one.name}" for one in args.resources}
            for one in self.exemptions.in_stack(self.stack):
                if one.resource not in there:
                    report(
                        f"The exemption {one.name} is for {one.resource}, which this stack doesn't declare",
                        None,
                    )

        return sdk.StackValidationPolicy(
            name=EXEMPTIONS,
            description="What an exemption lets through is mended before it ends",
            validate=validate,
            enforcement_level=sdk.EnforcementLevel.ADVISORY,
        )

    def _case(self, resource: Resource, stack: Sequence[Resource] = ()) -> Case:
        return Case(resource=resource, settings=self.enforcement.settings, now=self.now(), stack=stack)


@dataclass(slots=True)
class _Seen:
    """What the engine has handed over of the stack so far."""

    inputs: dict[str, Resource] = field(default_factory=dict[str, Resource])
    """By URN: each resource as it was declared."""
    stack: tuple[Resource, ...] = ()
    exempted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What exemptions have let through: message and URN."""


def load(
    stack: str, folder: Path | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Pack:
    """The pack as the files in ``folder`` (by default, those in ``policy/``) say it for a stack.

    Raises ConfigError for mistakes in them.
    """
    return Pack(
        stack=stack,
        enforcement=enforcement.read(every(), folder and folder / enforcement.FILE.name).of(stack),
        exemptions=exemptions.read(every(), now(), folder and folder / exemptions.FILE.name),
        now=now,
    )


def undecided(resource: Resource, path: str) -> UnknownValueError:
    """What makes the SDK say that a rule can't be decided in this preview."""
    error = UnknownValueError(UNKNOWN_STRING_VALUE, [path])
    error.message = f"{resource.id}: {path} is known only after the apply; the update decides"
    return error


def _declared(found: sdk.PolicyResource, inputs: Resource | None) -> Resource:
    """A resource of the stack: its outputs, and over them what was declared.

    In a preview a resource has no outputs at all where its provider isn't there yet, as a cluster's isn't
    before its first apply; what is declared is known all the same.
    """
    outputs = _resource(found.resource_type, found.name, found.urn, found.props, found.opts, found.provider)
    declared: Mapping[str, Any] = inputs.properties if inputs else {}
    known = {key: value for key, value in declared.items() if not isinstance(value, Unknown)}
    return replace(
        outputs,
        properties={**declared, **outputs.properties, **known},
        sources={
            key: frozenset(source.urn for source in sources)
            for key, sources in found.property_dependencies.items()
        },
    )


def _resource(
    type: str,
    name: str,
    urn: str,
    properties: Mapping[str, Any],
    options: sdk.PolicyResourceOptions,
    provider: sdk.PolicyProviderResource | None,
) -> Resource:
    return Resource(
        type=type,
        name=name,
        urn=urn,
        properties=cast("Mapping[str, Any]", plain(properties)),
        protect=bool(options.protect),
        provider=cast("Mapping[str, Any]", plain(provider.props)) if provider else {},
    )


def plain(value: object, path: str = "") -> object:
    """A value without the SDK's proxies around it, and an Unknown for what a preview doesn't know."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, object]", value)
        return {key: _known(mapping, key, f"{path}.{key}" if path else key) for key in mapping}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = cast("Sequence[object]", value)
        return [_known(items, index, f"{path}[{index}]") for index in range(len(items))]
    return value


def _known(values: Any, key: str | int, path: str) -> object:
    try:
        return plain(values[key], path)
    except UnknownValueError:
        return Unknown(path)
