"""The parts of a comment, each as long as wanted. Pure.

A section is written at a level of detail: None writes all of it, a number that many of its entries, 0 only
what is counted. Sections are shortened by markdown.py, the least important first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from delivery.review.comparison import comparison
from delivery.review.events import short
from delivery.review.lines import changed, counted
from delivery.review.policies import Violation
from delivery.review.policies import advice as told
from delivery.review.resources import ORDER, Change, Field
from delivery.review.review import Outcome, Review
from delivery.review.text import block, code, prose
from delivery.review.traffic import Kind, Split, Traffic

_T = TypeVar("_T")
Write = Callable[[Review, int | None], list[str]]

_DONE = {
    "create": "to create",
    "update": "to update",
    "replace": "to replace",
    "delete": "to delete",
    "import": "to import",
    "read": "to read",
    "same": "unchanged",
}
_FIELDS_SHOWN = 12
_SAME_RULE = 10
_VALUE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the comment."""

    name: str
    """What the note calls it when it is shortened."""
    write: Write
    levels: tuple[int | None, ...]
    """The levels of detail that it may be written at, the fullest first; -1 leaves it out."""


def title(review: Review) -> str:
    """The change in one line."""
    if review.outcome is Outcome.FAILED:
        words = "the preview failed"
    else:
        named = [f"{code(t.model, 60)} {t.words}" for t in review.named]
        words = "; ".join([*named, *review.rest_of_title])
    mark = {Outcome.PASSED: "", Outcome.REFUSED: "⛔ ", Outcome.FAILED: "❌ "}[review.outcome]
    return f"## {mark}{code(review.stack, 60)}: {words}"


def verdict(review: Review, _: int | None) -> list[str]:
    """Whether the change may go on, and how much it touches."""
    lines: list[str] = []
    if review.outcome is Outcome.FAILED:
        lines += [
            "**There is no review of this change: its preview failed.** What follows is as far as it came."
        ]
    elif review.outcome is Outcome.REFUSED:
        count = len(review.stopped)
        lines += [
            f"**Stopped by policy: {count} {_plural('violation', count)}.** "
            "`pulumi up` refuses this change too."
        ]
    counted = [f"{review.counts[op]} {_DONE.get(op, op)}" for op in (*ORDER, "same") if review.counts.get(op)]
    lines += [*([""] if lines else []), ", ".join(counted) or "nothing declared"]
    if review.note:
        lines += ["", f"_{prose(review.note)}_"]
    return lines


def errors(review: Review, most: int | None) -> list[str]:
    """What went wrong in the preview."""
    if not review.errors:
        return []
    lines = ["### Errors", ""]
    for error in _first(review.errors, most):
        where = f"{code(short(error.urn), 120)}: " if error.urn else ""
        lines.append(f"- {where}{prose(error.message, 1500)}")
    return [*lines, *_more(review.errors, most, "error")]


def destructive(review: Review, most: int | None) -> list[str]:
    """Deletions and replacements, loud."""
    found = [change for change in review.changes if change.loud]
    if not found:
        return []
    count = Counter(change.op for change in found)
    words = " and ".join(
        f"{count[op]} {_plural('resource', count[op])} {verb}"
        for op, verb in (("delete", "will be deleted"), ("replace", "will be replaced"))
        if count[op]
    )
    lines = ["> [!CAUTION]", f"> **{words}.**"]
    for change in _first(found, most):
        verb = "**delete**" if change.op == "delete" else "**replace**"
        because = [f.path for f in change.fields if f.replaces]
        why = f": {', '.join(code(p, 80) for p in because[:3])} can't be changed in place" if because else ""
        notes = [
            *(["the engine will refuse it: protected"] if change.protected else []),
            *(["what it stands for stays (retain on delete)"] if change.retained else []),
        ]
        lines.append(f"> - {verb} {_name(change)}{why}{f' ({chr(59).join(notes)})' if notes else ''}")
    return [*lines, *(f"> {line}" for line in _more(found, most, "resource") if line)]


def policies(review: Review, most: int | None) -> list[str]:
    """What stops the change, each rule with its fix; or that nothing does."""
    pack = ", ".join(code(name, 60) for name in review.packs)
    past = [
        f"⚠️ {code(t.model, 80)}: the step in force ({_split(t.before)}) was judged by no policy pack."
        for t in _first(review.unjudged, most)
    ]
    past += [
        f"⚠️ {code(t.model, 80)}: an update to {begun.words} ended half-way; traffic may go by that, or by "
        f"{_split(t.before)}."
        for t, begun in _first(review.unfinished, most)
    ]
    after = [line for text in past for line in ("", text)]
    if review.stopped:
        return [f"### Stopped by policy ({pack})", "", *_rules(review.stopped, most), *after]
    if not review.packs:
        return ["**Policy**: ⚠️ no policy pack has judged this.", *after]
    if count := len(review.violations):
        return [f"**Policy**: {pack}, nothing stops this; {count} {_plural('remark', count)} below.", *after]
    return [f"**Policy**: {pack}, nothing stops this.", *after]


def advice(review: Review, most: int | None) -> list[str]:
    """What the policy pack advises, folded."""
    found = review.advised
    if not found:
        return []
    head = f"<details><summary>Remarks of policy that stop nothing ({len(found)})</summary>"
    if review.verbose:
        return [head, "", *_rules(found, most), "", "</details>"]
    said = list(told(found))
    lines = [f"- {code(rule, 80)}: {prose(words)}" for rule, words in _first(said, most)]
    return [head, "", *lines, *_more(said, most, "rule"), "", "</details>"]


def traffic(review: Review, most: int | None) -> list[str]:
    """Who serves what, before and after."""
    moved = review.moved
    if not moved:
        return []
    lines = ["### Traffic", "", "| model | runtime | before | after | what it is |", "|---|---|---|---|---|"]
    for change in _first(moved, most):
        cells = (
            code(change.model, 80, table=True),
            code(change.runtime, 40, table=True),
            _split(change.before),
            _split(change.after),
            _kind(change),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, *_more(moved, most, "model")]


def models(review: Review, most: int | None) -> list[str]:
    """What the change of a model means."""
    found = review.comparisons
    if not found or most == 0:
        return []
    lines = ["### What changes in the model"]
    for each in _first(found, most):
        lines += ["", *comparison(each)]
    return [*lines, *_more(found, most, "model")]


def resources(review: Review, most: int | None) -> list[str]:
    """Every resource that changes, by operation, with its fields."""
    if not review.changes or most == 0:
        return []
    lines = ["### Resources"]
    for op in ORDER:
        found = [change for change in review.changes if change.op == op]
        if not found:
            continue
        lines += ["", f"**{len(found)} {_DONE.get(op, op)}**", ""]
        for change in _first(found, most):
            lines.append(f"- {_name(change)}")
            lines += [f"  - {_field(field)}" for field in change.fields[:_FIELDS_SHOWN]]
            if len(change.fields) > _FIELDS_SHOWN:
                lines.append(f"  - and {len(change.fields) - _FIELDS_SHOWN} more fields, see the full diff")
        lines += _more(found, most, "resource")
    return lines


def outputs(review: Review, most: int | None) -> list[str]:
    """Stack outputs that change, folded."""
    if not review.outputs or most == 0:
        return []
    lines = ["<details><summary>Stack outputs</summary>", ""]
    for path, before, after in _first(review.outputs, most):
        lines.append(f"- {_field(Field(path=path, before=before, after=after))}")
    return [*lines, *_more(review.outputs, most, "output"), "", "</details>"]


def cost(review: Review, most: int | None) -> list[str]:
    """What the change does to the bill."""
    delta = review.cost
    if not (delta.before.lines or delta.after.lines or delta.unpriced or delta.missing):
        return []
    prices = delta.prices
    money = prices.currency
    lines = [
        "### Cost",
        "",
        f"**{_signed(delta.change)} {money} a month** ({_money(delta.before.total)} → "
        f"{_money(delta.after.total)}), list prices of {prose(', '.join(delta.regions))}, "
        f"{prose(prices.date)}, for what is charged by time.",
    ]
    if delta.elsewhere:
        lines += ["", f"Other regions cost something else: {prose('; '.join(delta.elsewhere))}."]
    if delta.lines and most != 0:
        lines += ["", "| resource | before | after | change |", "|---|---:|---:|---:|"]
        for name, before, after in _first(delta.lines, most):
            lines.append(
                f"| {code(name, 120, table=True)} | {_money(before)} | {_money(after)} | "
                f"{_signed(after - before)} |"
            )
        lines += _more(delta.lines, most, "resource")
    if delta.unpriced:
        types = Counter(name.partition("::")[0] for name in delta.unpriced)
        named = [
            f"{code(name, 80)}{f' × {count}' if count > 1 else ''}" for name, count in sorted(types.items())
        ]
        lines += ["", f"Not priced (unknown, or charged by use): {', '.join(_first(named, most or 8))}"]
    if delta.missing:
        named = [f"{code(name, 80)} × {count}" for name, count in sorted(delta.missing.items())]
        lines += [
            "",
            f"Unchanged, and in no total, for no price is known: {', '.join(_first(named, most or 8))}",
        ]
    return lines


def warnings(review: Review, most: int | None) -> list[str]:
    """What the engine and the providers remark."""
    if not review.warnings or most == 0:
        return []
    lines = ["### Warnings", ""]
    for warning in _first(review.warnings, most):
        where = f"{code(short(warning.urn), 120)}: " if warning.urn else ""
        lines.append(f"- {where}{prose(warning.message, 600)}")
    return [*lines, *_more(review.warnings, most, "warning")]


def full(review: Review, most: int | None) -> list[str]:
    """Everything, folded."""
    if not review.full or most == 0:
        return []
    lines: list[tuple[str, str]] = []
    for op, name, marked in _first(review.full, most):
        lines += [("!", f"{op} {name}"), *marked]
    folded = ["<details><summary>Full diff</summary>", "", block(lines, "diff"), ""]
    return [*folded, *_more(review.full, most, "resource"), "</details>"]


def _rules(found: Sequence[Violation], most: int | None) -> list[str]:
    """Violations by rule: what is wrong at each resource, then how to put it right, once."""
    grouped: dict[tuple[str, str, str, str], list[Violation]] = {}
    for violation in found:
        key = (violation.rule, violation.reference, violation.fix, violation.why)
        grouped.setdefault(key, []).append(violation)
    groups = list(grouped.items())
    lines: list[str] = []
    for (rule, reference, fix, why), violations in _first(groups, most):
        lines.append(f"- {code(rule, 80)}{f' ({prose(reference, 200)})' if reference else ''}")
        lines += [f"  - {_what(violation)}" for violation in violations[:_SAME_RULE]]
        if len(violations) > _SAME_RULE:
            lines.append(f"  - and {len(violations) - _SAME_RULE} more resources")
        lines += [f"  - **Fix**: {prose(fix)}"] if fix else []
        lines += [f"  - Why: {prose(why)}"] if why else []
    return [*lines, *_more(groups, most, "rule")]


def _what(violation: Violation) -> str:
    where = f"{code(violation.resource, 120)}: " if violation.resource else ""
    return f"{where}{prose(violation.what.removeprefix(f'{violation.resource}: '))}"


def _kind(change: Traffic) -> str:
    if change.kind is Kind.SWITCH:
        return "⚠️ straight to another version, without a canary"
    if change.kind is Kind.REGISTERED:
        was, now = (code(change.registered(split), 80, table=True) for split in (change.before, change.after))
        return f"⚠️ straight to the registered model {now}, was {was}"
    return str(change.kind)


def _split(split: Split | None) -> str:
    return "–" if split is None else split.words


def _field(field: Field) -> str:
    path = code(field.path, 160)
    if field.note:
        return f"{path}: ⚠️ {field.note}, `[secret]`" if "no longer" in field.note else f"{path}: {field.note}"
    if field.before == field.after == "[secret]":
        return f"{path}: changes, and is secret"
    replaced = " (replaces)" if field.replaces else ""
    if differ := changed(field.before, field.after):
        return f"{path}: {counted(differ)}{replaced}, see the full diff"
    return f"{path}: {code(field.before, _VALUE)} → {code(field.after, _VALUE)}{replaced}"


def _name(change: Change) -> str:
    return f"{code(change.type, 100)} {code(change.name, 100)}"


def _money(amount: float) -> str:
    return f"{amount:,.2f}"


def _signed(amount: float) -> str:
    return "±0.00" if abs(amount) < 0.005 else f"{amount:+,.2f}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _first(found: Sequence[_T], most: int | None) -> Sequence[_T]:
    return found if most is None else found[:most]


def _more(found: Sequence[object], most: int | None, what: str) -> Iterable[str]:
    left = 0 if most is None else len(found) - most
    return ["", f"and {left} more {_plural(what, left)}"] if left > 0 else []
