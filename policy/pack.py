"""The rules as a Pulumi policy pack: what the engine hands over becomes a Case, a finding a violation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi_policy as sdk
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy import enforcement, exemptions
from policy.enforcement import Enforcement
from policy.exemptions import Exemptions
from policy.rule import Case, Resource, Rule, Unknown, judge, text
from policy.rules import IDS, RULES

NAME = "model-delivery"
FOLDER = Path(__file__).resolve().parent
Report = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What holds for one stack."""

    stack: str
    enforcement: Enforcement
    exemptions: Exemptions
    now: Callable[[], datetime]

    def policies(self, rules: Iterable[Rule] = tuple(RULES.values())) -> list[sdk.Policy]:
        """One policy for each rule, at the level that it has in this stack."""
        return [self._policy(rule) for rule in rules]

    def report(self, rule: Rule, case: Case, report: Report) -> None:
        """Ask a rule about a resource and report what it finds, unless that is exempted.

        A rule that can't decide in a preview says so by the SDK's own exception, which the engine shows as a
        warning whatever the rule's level: it is asked again in the update.
        """
        verdict = judge(rule, case)
        for finding in verdict.findings:
            if (note := self._note(rule, case.resource)) is not None:
                report(text(rule, finding, note), case.resource.urn or None)
        if verdict.undecided and self._note(rule, case.resource) is not None:
            raise undecided(case.resource, verdict.undecided)

    def _note(self, rule: Rule, resource: Resource) -> str | None:
        """None: the resource is exempted. Else what is to be said of an exemption that has ended."""
        exemption = self.exemptions.of(self.stack, rule.id, resource.id)
        if exemption is None:
            return ""
        return None if exemption.holds(self.now()) else exemptions.ended(exemption)

    def _policy(self, rule: Rule) -> sdk.Policy:
        named: dict[str, Any] = {
            "name": rule.id,
            "description": rule.title,
            "enforcement_level": sdk.EnforcementLevel(self.enforcement.of(rule.id)),
            "severity": sdk.Severity(rule.severity.value),
            "remediation_steps": rule.fix,
            "tags": [str(reference) for reference in rule.references],
        }
        if rule.whole_stack:
            return sdk.StackValidationPolicy(validate=self._on_stack(rule), **named)
        return sdk.ResourceValidationPolicy(validate=self._on_resource(rule), **named)

    def _on_resource(self, rule: Rule) -> Callable[[sdk.ResourceValidationArgs, Report], None]:
        def validate(args: sdk.ResourceValidationArgs, report: Report) -> None:
            if args.resource_type in rule.types:
                resource = _resource(
                    args.resource_type, args.name, args.urn, args.props, args.opts, args.provider
                )
                case = Case(resource=resource, settings=self.enforcement.settings, now=self.now())
                self.report(rule, case, report)

        return validate

    def _on_stack(self, rule: Rule) -> Callable[[sdk.StackValidationArgs, Report], None]:
        def validate(args: sdk.StackValidationArgs, report: Report) -> None:
            stack = [
                replace(
                    _resource(r.resource_type, r.name, r.urn, r.props, r.opts, r.provider),
                    sources={
                        key: frozenset(source.urn for source in found)
                        for key, found in r.property_dependencies.items()
                    },
                )
                for r in args.resources
            ]
            unknown: UnknownValueError | None = None
            for resource in stack:
                if resource.type in rule.types:
                    case = Case(
                        resource=resource, settings=self.enforcement.settings, now=self.now(), stack=stack
                    )
                    try:
                        self.report(rule, case, report)
                    except UnknownValueError as error:
                        # The others are judged all the same.
                        unknown = unknown or error
            if unknown:
                raise unknown

        return validate


def load(stack: str, folder: Path = FOLDER, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Pack:
    """The pack as the files in ``folder`` say it for a stack. Raises ConfigError for mistakes in them."""
    return Pack(
        stack=stack,
        enforcement=enforcement.read(IDS, folder / enforcement.FILE.name).of(stack),
        exemptions=exemptions.read(IDS, now(), folder / exemptions.FILE.name),
        now=now,
    )


def undecided(resource: Resource, path: str) -> UnknownValueError:
    """What makes the SDK say that a rule can't be decided in this preview."""
    error = UnknownValueError(UNKNOWN_STRING_VALUE, [path])
    error.message = f"{resource.id}: {path} is known only after the apply; the update decides"
    return error


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
