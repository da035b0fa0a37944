"""A review: what a preview means, as values. Pure; what shows it is in markdown.py and terminal.py."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from delivery.review import resources
from delivery.review.cost import Delta, delta
from delivery.review.events import Log, Remark, Step, short
from delivery.review.masking import Masker, masked
from delivery.review.policies import EXEMPTIONS, Violation, violations
from delivery.review.releases import Comparison, comparisons
from delivery.review.resources import Change, changes
from delivery.review.traffic import Kind, Split, Traffic, traffic
from delivery.review.values import differences, shown
from policy.prices import Prices

_NAMED_IN_TITLE = 3
_NOISE = ("using pulumi-resource-", "using pulumi-language-", "using pulumi-analyzer-")
"""The engine's words on each plugin that it finds on PATH."""
_ENDED = "an unhandled error occurred: program exited"


class Outcome(IntEnum):
    """What scripts get as the exit code."""

    PASSED = 0
    FAILED = 1
    MISUSED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Everything that a comment may say of a preview."""

    stack: str
    outcome: Outcome
    traffic: tuple[Traffic, ...]
    comparisons: tuple[Comparison, ...]
    violations: tuple[Violation, ...]
    packs: tuple[str, ...]
    changes: tuple[Change, ...]
    counts: Mapping[str, int]
    """Operation to how many resources, those that stay the same included."""
    outputs: tuple[tuple[str, str, str], ...]
    """Stack outputs that change: path, before, after."""
    cost: Delta
    errors: tuple[Remark, ...]
    warnings: tuple[Remark, ...]
    full: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    """The full diff: operation, resource, and marked lines."""
    seconds: int
    verbose: bool
    """Whether advice is told with its reasons, remedies and frameworks."""
    note: str
    """What is particular about the run, such as stand-ins; empty: nothing is."""
    masker: Masker

    @property
    def moved(self) -> tuple[Traffic, ...]:
        """The models whose traffic changes."""
        return tuple(t for t in self.traffic if t.kind is not Kind.NONE)

    @property
    def named(self) -> tuple[Traffic, ...]:
        """The models whose change the title tells; the rest of them it counts."""
        return self.moved[:_NAMED_IN_TITLE]

    @property
    def title(self) -> str:
        """The change in one line, names of models as they are: escape it."""
        if self.outcome is Outcome.FAILED:
            return "the preview failed"
        return "; ".join([f"{t.model} {t.words}" for t in self.named] + self.rest_of_title)

    @property
    def rest_of_title(self) -> list[str]:
        """The title's words that name no model."""
        if more := len(self.moved[_NAMED_IN_TITLE:]):
            return [f"and {more} more model{'s' if more > 1 else ''}"]
        if self.moved:
            return []
        done = Counter(change.op for change in self.changes)
        counted = [f"{done[op]} to {op}" for op in resources.ORDER if done[op]]
        if counted:
            return [f"{', '.join(counted)}, no model's traffic changes"]
        return ["outputs change" if self.outputs else "no changes"]

    @property
    def unjudged(self) -> tuple[Traffic, ...]:
        """The models whose step in force was applied without a policy pack."""
        return tuple(t for t in self.traffic if t.judge == "")

    @property
    def unfinished(self) -> tuple[tuple[Traffic, Split], ...]:
        """The models of which an update ended half-way, each with the step that it had begun."""
        return tuple((t, t.unfinished) for t in self.traffic if t.unfinished)

    @property
    def stopped(self) -> tuple[Violation, ...]:
        """The violations that stop the change."""
        return tuple(v for v in self.violations if v.mandatory)

    @property
    def advised(self) -> tuple[Violation, ...]:
        """The violations that stop nothing."""
        return tuple(v for v in self.violations if not v.mandatory)


def build(
    log: Log,
    *,
    stack: str,
    prices: Prices,
    today: date,
    policy_expected: bool = False,
    note: str = "",
    verbose: bool = False,
) -> Review:
    """Judge a preview, on the day ``today``.

    ``policy_expected``: a pack was asked for, so a preview without one has failed.
    """
    log, masker = masked(log)
    moved = traffic(log.steps)
    found = tuple(v for v in violations(log.policies, today) if v.mandatory or _touched(v, log.steps, moved))
    errors = [r for r in log.remarks if r.severity == "error"]
    if policy_expected and not log.packs:
        errors.append(
            Remark(severity="error", message="the policy pack was asked for and has not run", urn="")
        )
    stopped = [violation for violation in found if violation.mandatory]
    if stopped:
        # This is how the engine says that policies stopped it; any other error is one of its own.
        errors = [r for r in errors if r.message.strip() != "preview failed"]
    if len(errors) > 1:
        # The program says what is wrong with it; the engine only that it ended.
        errors = [r for r in errors if not r.message.startswith(_ENDED)] or errors
    if not log.succeeded and not errors and not stopped:
        errors.append(Remark(severity="error", message="the engine says only that it failed", urn=""))
    outcome = Outcome.FAILED if errors else Outcome.REFUSED if stopped else Outcome.PASSED
    before, after = log.outputs
    changed = changes(log.steps)
    counts = Counter(
        step.op
        for step in log.steps
        if step.op not in resources.PARTS and step.type not in (resources.STACK, resources.WISH)
    )
    return Review(
        stack=stack,
        outcome=outcome,
        traffic=moved,
        # What speaks against a change first: it is still there when the comment has to be short.
        comparisons=tuple(sorted(comparisons(log.steps, moved), key=lambda c: not c.alarming)),
        violations=found,
        packs=log.packs,
        changes=changed,
        counts=dict(counts),
        # A failed preview has not come to the outputs: they are not gone.
        outputs=tuple((p, shown(a), shown(b)) for p, a, b in differences(before, after))
        if log.succeeded or after
        else (),
        cost=delta(log.steps, prices),
        errors=tuple(_distinct(errors)),
        warnings=tuple(
            r for r in _distinct(log.remarks) if r.severity == "warning" and not r.message.startswith(_NOISE)
        ),
        full=tuple(
            (step.op, f"{step.type}::{step.name}", tuple(resources.whole(step)))
            for step in log.steps
            if step.op not in ("same", *resources.PARTS)
            and step.type not in (resources.STACK, resources.WISH)
        ),
        seconds=log.seconds,
        verbose=verbose,
        note=note,
        masker=masker,
    )


def _touched(violation: Violation, steps: Iterable[Step], moved: Iterable[Traffic]) -> bool:
    """Whether what a violation is about changes: the resource itself, or the traffic of its model."""
    kind, _, name = violation.resource.partition("::")
    if kind in ("", resources.STACK) or violation.rule == EXEMPTIONS:
        return True
    if kind in _OF_MODELS and any(
        t.kind is not Kind.NONE and re.fullmatch(rf"{re.escape(t.model)}(-v\d+)?", name) for t in moved
    ):
        return True
    return any(step.op != "same" and short(step.urn) == violation.resource for step in steps)


_OF_MODELS = ("delivery:registry:Release", "delivery:registry:Rollout", resources.WISH)


def _distinct(remarks: Iterable[Remark]) -> list[Remark]:
    return list(dict.fromkeys(remarks))
