"""What a rule is, what it is given, and how it is asked. Nothing here knows the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, Final, NoReturn, cast

from policy.settings import Settings


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A law, standard or benchmark, in the version whose numbers references have."""

    name: str
    """What references call it: ``CIS EKS``."""
    title: str
    version: str
    dated: str
    """The date of that version, ISO 8601, as precise as a source says: a day or a year."""
    source: str
    """Its publisher's address for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """From when a clause of the AI Act applies to a high-risk system, and by which provision."""

    annex_iii: date
    """To systems that are high-risk by what they are used for (Article 6(2))."""
    annex_i: date
    """To systems that are high-risk as a part of a regulated product (Article 6(1))."""
    basis: str
    """The provision that says so."""
    source: str
    """Where that provision is published."""
    reading: str = ""
    """How it is read here, where the provision alone doesn't decide it."""

    @property
    def first(self) -> date:
        """The day from which it applies to some systems."""
        return min(self.annex_iii, self.annex_i)

    def binds(self, on: date) -> bool:
        """Whether it applies to some systems on a day."""
        return on >= self.first

    def words(self, on: date) -> str:
        """What a reader on a day is told: ``not law yet, from 2 December 2027, …``."""
        later = f"for Annex I from {day(self.annex_i)}"
        if on < self.annex_iii:
            return f"not law yet, from {day(self.annex_iii)}, {later}"
        if on < self.annex_i:
            return f"law since {day(self.annex_iii)}, {later}"
        return f"law since {day(self.annex_iii)}, for Annex I since {day(self.annex_i)}"


def day(date: date) -> str:
    """A day as texts have it: ``2 December 2027``."""
    return f"{date.day} {date:%B} {date.year}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A demand of a framework that a rule helps to meet: ``EU AI Act``, ``Art. 12(1)``."""

    framework: Framework
    clause: str
    applies: Application | None = None
    """From when it is law; None: its framework is no law."""

    def __str__(self) -> str:
        return f"{self.framework.name} {self.clause}"


class UndecidedError(Exception):
    """A rule needs a value that a preview doesn't know; ``path`` is where it is."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Unknown:
    """The value of a property that only an apply can know: whoever looks into it gets UndecidedError.

    That it is there can be told: ``isinstance(value, Unknown)``, ``value is None``.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, path: str = "a value") -> None:
        self._path = path

    def _undecided(self, *_: object) -> NoReturn:
        raise UndecidedError(self._path)

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _undecided
    __len__ = __iter__ = __contains__ = __getitem__ = __str__ = __format__ = _undecided
    get = _undecided


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource as it is declared, the properties named as the engine has them (``kmsKeyId``)."""

    type: str
    name: str
    properties: Mapping[str, Any]
    """Plain values; what a preview doesn't know is an Unknown."""
    urn: str = ""
    protect: bool = False
    """Whether the engine refuses to delete it."""
    provider: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The properties of the provider it is declared by."""
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By property: the URNs of the resources that its value comes from."""

    @property
    def id(self) -> str:
        """What messages and exemptions call it: ``aws:s3/bucket:Bucket::artifacts``."""
        return f"{self.type}::{self.name}"

    def given(self, path: str) -> bool:
        """Whether there is a value, which a preview may not know yet; null and an empty text are none."""
        found = _at(self.properties, path)
        return isinstance(found, Unknown) or found not in (None, "")

    def value(self, path: str, default: Any = None) -> Any:
        """The value at a path (``spec.template.spec``); the default where there is none.

        Raises UndecidedError where it isn't known."""
        found = _at(self.properties, path)
        if isinstance(found, Unknown):
            raise UndecidedError(path)
        return default if found is None else found

    def is_of(self, key: str, other: Resource, *names: str) -> bool:
        """Whether the property ``key`` names another resource: by one of its properties ``names``, or by
        where the value comes from, where a preview doesn't know the name yet."""
        if other.urn and other.urn in self.sources.get(key, ()):
            return True
        mine = self.properties.get(key)
        if isinstance(mine, Unknown) and not self.sources.get(key):
            raise UndecidedError(f"{key} of {self.id}")
        if mine is None or isinstance(mine, Unknown):
            return False
        theirs = (other.properties.get(name) for name in names)
        return any(not isinstance(name, Unknown) and name == mine for name in theirs)

    def items(self, path: str) -> Sequence[Any]:
        """The items of a list, none where there is no list. Raises UndecidedError where one isn't known."""
        found = self.value(path)
        if not isinstance(found, list | tuple):
            return ()
        items = cast("Sequence[Any]", found)
        for index, item in enumerate(items):
            if isinstance(item, Unknown):
                raise UndecidedError(f"{path}[{index}]")
        return items


def _at(properties: object, path: str) -> object:
    found: object = properties
    for key in path.split("."):
        if isinstance(found, Unknown):
            return found
        found = cast("Mapping[str, object]", found).get(key) if isinstance(found, Mapping) else None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a rule judges: one resource, in its stack."""

    resource: Resource
    settings: Settings
    now: datetime
    stack: Sequence[Resource] = ()
    """All resources of the stack, or those that are declared so far, the judged one included; empty for a
    rule that doesn't ask for them."""

    def others(self, *types: str) -> Iterator[Resource]:
        """The resources of the stack that have one of the types."""
        return (resource for resource in self.stack if resource.type in types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a resource. ``message`` says what and where, in one line."""

    message: str
    fix: str = ""
    """What to do about this one, where that says more than the rule's own fix."""


Check = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, as data and as a check."""

    id: str
    title: str
    """What holds where the rule holds, in one sentence."""
    severity: Severity
    references: tuple[Reference, ...] = ()
    why: str
    fix: str
    types: frozenset[str]
    """The types of the resources that it judges."""
    check: Check
    beside: frozenset[str] = frozenset()
    """The types of the other resources of the same model that it looks at. It is asked when the resource is
    declared and again whenever one of these is, with what has been declared so far, so before the engine does
    anything about the last of them. While one is missing it must find nothing."""
    whole_stack: bool = False
    """Whether it looks at any other resources. The engine asks such a rule when all are declared: it refuses
    a preview like any other rule, and an update without a preview only when that is done."""
    high_risk: bool = False
    """Whether it is about high-risk systems alone: what it asks is then law from its references' dates."""
    strict: bool = False
    """Whether a value that the preview doesn't know is refused. Otherwise the rule is undecided there, which
    the preview says, and decides in the update, when every value is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rule says of one resource."""

    findings: tuple[Finding, ...] = ()
    undecided: str = ""
    """The path of the value that it would need to know; empty: it is decided."""


def judge(rule: Rule, case: Case) -> Verdict:
    """Ask a rule about a resource. A rule that raises is a failed rule: that is a finding, not a pass."""
    findings: list[Finding] = []
    resource = case.resource
    try:
        findings.extend(rule.check(case))
    except UndecidedError as unknown:
        if not rule.strict:
            return Verdict(findings=tuple(findings), undecided=unknown.path)
        findings.append(
            Finding(
                message=f"{resource.id}: {unknown.path} is known only after the apply",
                fix=f"give {unknown.path} a value that a preview knows",
            )
        )
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        findings.append(
            Finding(
                message=f"{resource.id}: the rule {rule.id} itself failed on it, which counts as refused: "
                f"{reason[:300]}",
                fix="look whether the resource's properties have the shape that the provider documents; "
                "if they have, the rule is wrong: report it, and exempt the resource until it is mended",
            )
        )
    return Verdict(findings=tuple(findings))


def line(finding: Finding) -> str:
    """What the reader gets of a finding that stops nothing."""
    return " ".join(finding.message.split())


def text(rule: Rule, finding: Finding, on: date, note: str = "") -> str:
    """What the reader gets of a finding on a day; ``note`` is a line of its own after the first."""
    lines = [
        # What it quotes may have lines of its own, which would read as ours: a fix that is none.
        " ".join(finding.message.split()),
        *([note] if note else []),
        f"Why: {rule.why}",
        f"Fix: {finding.fix or rule.fix}",
        f"Rule: {signature(rule, on)}",
    ]
    return "\n".join(lines)


def signature(rule: Rule, on: date) -> str:
    """A rule's id, its severity and the demands that it helps with, and of a law whether that is in force on
    a day: ``canary-step (high; SOC 2 CC8.1)``."""
    return f"{rule.id} ({'; '.join([str(rule.severity), *demands(rule, on)])})"


def demands(rule: Rule, on: date) -> Iterator[str]:
    """The demands that a rule helps with, those of a law that apply from the same dates as one."""
    for words, group in groupby(rule.references, key=lambda each: each.applies and each.applies.words(on)):
        references = list(group)
        if words is None:
            yield from map(str, references)
        else:
            clauses = ", ".join(reference.clause for reference in references)
            yield f"{references[0].framework.name} {clauses}: {words}"
