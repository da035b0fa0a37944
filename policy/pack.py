"""The rules as a Pulumi policy pack: what the engine hands over becomes a Case, a finding a violation."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi_policy as sdk
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy import base, enforcement, exemptions, in_force
from policy.enforcement import Enforcement
from policy.exemptions import Exemptions, told
from policy.rule import Case, Resource, Rule, Unknown, judge
from policy.rules import every
from policy.rules.releases import RELEASE, STEP
from policy.steps import step

NAME = "model-delivery"
VERSION = "0.1.0"
"""As in PulumiPolicy.yaml."""
EXEMPTIONS = "exemptions"
"""The policy that tells what exemptions let through."""
JUDGE = "judged-by"
"""The policy that notes in a step that it was judged. Neither is a rule."""
ADVICE = "MODEL_DELIVERY_ADVICE"
"""The variable by which ``./pulumiw up`` says that a preview comes before the update: it has the advice."""
Report = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What holds for one stack."""

    stack: str
    enforcement: Enforcement
    exemptions: Exemptions
    now: Callable[[], datetime]
    advises: bool = True
    """Whether it reports what stops nothing."""
    withheld: tuple[str, ...] = ()
    """What a change under review would loosen, and doesn't yet: see policy/base.py."""

    def policies(self, rules: Iterable[Rule] | None = None) -> list[sdk.Policy]:
        """Return one policy for each rule at the level that it has in this stack; by default for all of them,
        with what notes in each step that the pack has judged it."""
        seen = _Seen()
        chosen = tuple(every().values() if rules is None else rules)
        # The SDK asks policies in their order, so the first of each kind notes what the others look at.
        first = {kind: next((r.id for r in chosen if r.whole_stack is kind), "") for kind in (False, True)}
        policies = [self._policy(rule, seen, notes=first[rule.whole_stack] == rule.id) for rule in chosen]
        # The last of all: it tells what the others have let through.
        exempting = self.exemptions.in_stack(self.stack) or self.withheld
        last = [self._let_through(seen)] if exempting else []
        return [*policies, *last, *([_judge()] if rules is None else [])]

    def report(self, rule: Rule, case: Case, report: Report, seen: _Seen, at: Resource | None = None) -> None:
        """Ask a rule about a resource and report what it finds, unless that is exempted, which `seen` notes.
        ``at`` is the resource at whose declaration it is asked, if that is another one.

        What stops nothing is told in a line, and only of a model that the change touches. A rule that can't
        decide in a preview says so by the SDK's own exception, which the engine shows as a warning whatever
        the rule's level: it is asked again in the update.
        """
        verdict = judge(rule, case)
        exemption = self.exemptions.of(self.stack, rule.id, case.resource.id, *([at.id] if at else []))
        stops = self.enforcement.of(rule.id) == "mandatory"
        advice: list[str] = []
        for finding in verdict.findings:
            message, exempted = told(
                rule, finding, exemption, case.now, brief=not stops, remark=self._remark(rule, case.now)
            )
            if exempted:
                seen.exempted.append((message, case.resource.urn))
            elif stops:
                report(message, case.resource.urn or None)
            elif self.advises and not seen.settled(case.resource):
                advice.append(message)
        if advice:
            report("; ".join(advice), case.resource.urn or None)
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
        about = None if notes else rule.types | rule.beside
        return _OfTypes(about, seen, validate=self._on_resource(rule, seen, notes), **named)

    def _on_resource(
        self, rule: Rule, seen: _Seen, notes: bool
    ) -> Callable[[sdk.ResourceValidationArgs, Report], None]:
        def validate(args: sdk.ResourceValidationArgs, report: Report) -> None:
            seen.asked.type = args.resource_type
            if not notes and args.resource_type not in rule.types | rule.beside:
                return
            resource = _resource(
                args.resource_type, args.name, args.urn, args.props, args.opts, args.provider
            )
            if notes:
                seen.inputs[args.urn] = resource
            if args.resource_type in rule.types:
                stack = tuple(seen.inputs.values()) if rule.beside else ()
                self.report(rule, self._case(resource, stack), report, seen)
            elif args.resource_type in rule.beside:
                for one in seen.of_model(rule.types, resource):
                    case = self._case(one, tuple(seen.inputs.values()))
                    self.report(rule, case, report, seen, at=resource)

        return validate

    def _on_stack(
        self, rule: Rule, seen: _Seen, notes: bool
    ) -> Callable[[sdk.StackValidationArgs, Report], None]:
        def validate(args: sdk.StackValidationArgs, report: Report) -> None:
            if notes:
                seen.stack = tuple(_with_outputs(one, seen.inputs.get(one.urn)) for one in args.resources)
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
            for note in self.withheld:
                report(note, None)
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

    def _remark(self, rule: Rule, now: datetime) -> str:
        return in_force.remark(rule, self.enforcement, now.astimezone(UTC).date())

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
    asked: _Asked = field(default_factory=lambda: _Asked())

    def of_model(self, types: frozenset[str], other: Resource) -> list[Resource]:
        """The resources of some types, declared so far, that are of the same model as another one."""
        model = _model_of(other)
        return [
            one for one in self.inputs.values() if one.type in types and model and _model_of(one) == model
        ]

    def settled(self, resource: Resource) -> bool:
        """Whether a change leaves a step as it is, or a release where it was."""
        if resource.type not in (STEP, RELEASE):
            return False
        planned = self.of_model(_STEPS, resource)
        if any(one.properties.get("settled") is True for one in planned):
            return True
        return resource.type == RELEASE and any(_keeps(one, resource) for one in planned)


class _Asked(threading.local):
    """What the SDK asks about, on the thread on which it asks all policies in turn."""

    type: str | None = None
    """The type of the resource; None before the first question."""


class _OfTypes(sdk.ResourceValidationPolicy):
    """A rule's policy. The SDK unpacks a resource anew for every policy that has a validation, which takes a
    hundred times as long as the rules themselves; so for other types than the rule's it has none.

    ``types``: those that it is about; None for the first policy of all, which notes what is asked about.
    """

    def __init__(self, types: frozenset[str] | None, seen: _Seen, **named: Any) -> None:
        super().__init__(**named)
        self._types, self._seen = types, seen

    def has_validation(self) -> bool:
        asked = self._seen.asked.type
        return self._types is None or asked is None or asked in self._types


_STEPS = frozenset({STEP})


def _keeps(planned: Resource, release: Resource) -> bool:
    """Whether a release was declared before a planned step, and gets no larger share by it."""
    was = planned.properties.get("was")
    if was is None or was.get("registeredModel") != planned.properties.get("registeredModel"):
        return False
    before, after, version = step(was), step(planned.properties), int(release.value("version"))
    return version in before.declared and after.share(version) <= before.share(version)


def _model_of(one: Resource) -> str:
    """The model of the environment that a resource is of, empty where that isn't known."""
    found = one.properties.get("endpoint") if one.type == RELEASE else None
    found = found or one.properties.get("model")
    return found if isinstance(found, str) else ""


def _judge() -> sdk.Policy:
    """What writes into every step that is taken which pack judged it: a step without that had none."""

    def remediate(args: sdk.ResourceValidationArgs) -> Mapping[str, Any] | None:
        if args.resource_type != STEP:
            return None
        properties = cast("dict[str, Any]", plain(args.props))
        return None if properties.get("settled") else {**properties, "judge": f"{NAME} {VERSION}"}

    return sdk.ResourceValidationPolicy(
        name=JUDGE,
        description="A step says which policy pack judged it",
        remediate=cast("Any", remediate),
        enforcement_level=sdk.EnforcementLevel.REMEDIATE,
    )


def load(
    stack: str, folder: Path | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Pack:
    """The pack as the files in ``folder`` (by default, those in ``policy/``) say it for a stack.

    Raises ConfigError for mistakes in them.
    """
    written = enforcement.read(every(), folder and folder / enforcement.FILE.name).of(stack)
    today = now().astimezone(UTC).date()
    held = in_force.as_of(written, every(), today)
    exempt = exemptions.read(every(), now(), folder and folder / exemptions.FILE.name)
    withheld: tuple[str, ...] = ()
    if commit := os.environ.get(base.VARIABLE):
        held, exempt, withheld = base.restricted(commit, stack, every(), held, exempt, today)
    return Pack(
        stack=stack,
        enforcement=held,
        exemptions=exempt,
        withheld=withheld,
        now=now,
        # An update after its own preview would only say it all again.
        advises=not (os.environ.get(ADVICE) == "preview" and os.environ.get("PULUMI_DRY_RUN") == "false"),
    )


def undecided(resource: Resource, path: str) -> UnknownValueError:
    """What makes the SDK say that a rule can't be decided in this preview."""
    error = UnknownValueError(UNKNOWN_STRING_VALUE, [path])
    error.message = f"{resource.id}: {path} is known only after the apply; the update decides"
    return error


def _with_outputs(found: sdk.PolicyResource, inputs: Resource | None) -> Resource:
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
