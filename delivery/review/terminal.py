"""A review for a terminal, all of it, with colour where there is one. Pure."""

from __future__ import annotations

from textwrap import wrap

from delivery.review.events import short
from delivery.review.lines import changed, counted, shortest, title
from delivery.review.policies import Violation, advice
from delivery.review.releases import Comparison
from delivery.review.resources import ORDER, Field
from delivery.review.review import Outcome, Review
from delivery.review.text import plain
from delivery.review.traffic import Kind, Traffic

_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"
_WIDTH = 100
"""Columns of a line of somebody's text."""
_MARKS = {
    "create": ("+", _GREEN),
    "delete": ("-", _RED),
    "replace": ("±", _RED),
    "update": ("~", _YELLOW),
}


def render(review: Review, *, colour: bool) -> str:
    """The review as text. Foreign text has no terminal codes left in it."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    lines = [paint(plain(f"{review.stack}: {review.title}", 500), _BOLD)]
    if review.note:
        lines.append(plain(review.note, 1000))
    for error in review.errors:
        where = f"{plain(short(error.urn))}: " if error.urn else ""
        lines.append(paint(f"error: {where}{plain(error.message, 2000)}", _RED))
    if review.outcome is Outcome.FAILED:
        lines.append(paint("There is no review of this change: its preview failed.", _RED))
    for violation in review.stopped:
        said, *more = _violation(violation)
        lines += ["", paint(f"refused: {said}", _RED), *more]
    if review.moved:
        lines += ["", paint("Traffic", _BOLD)]
        for change in review.moved:
            before = change.before.words if change.before else "nothing"
            after = change.after.words if change.after else "nothing"
            lines.append(
                f"  {plain(change.model)} ({plain(change.runtime)}): {before} → {after}, {_kind(change)}"
            )
    for comparison in review.comparisons:
        lines += ["", *_comparison(comparison)]
    if review.changes:
        lines += ["", paint("Resources", _BOLD)]
    for op in ORDER:
        for change in (c for c in review.changes if c.op == op):
            mark, code = _MARKS.get(op, (op, _BOLD))
            lines.append(paint(f"  {mark} {plain(change.type)} {plain(change.name)}", code))
            lines += [f"      {line}" for field in change.fields for line in _field(field)]
    if review.advised:
        lines.append("")
    for violation in review.advised if review.verbose else ():
        said, *more = _violation(violation)
        lines += [paint(f"advice: {said}", _YELLOW), *more]
    for rule, words in advice(() if review.verbose else review.advised):
        lines.append(paint(f"advice: {plain(rule)}: {plain(words, 2000)}", _YELLOW))
    for change, begun in review.unfinished:
        before = f" or by {change.before.words}" if change.before else ""
        said = f"unfinished: {plain(change.model)}: an update to {begun.words} ended half-way"
        lines.append(paint(f"{said}: traffic may go by that{before}", _YELLOW))
    for change in review.unjudged:
        since = f" since {plain(change.since)}" if change.since else ""
        before = change.before.words if change.before else "nothing"
        lines.append(
            paint(
                f"unjudged: {plain(change.model)} {before}, in force{since}: no policy pack judged it",
                _YELLOW,
            )
        )
    counted = [f"{count} {op}" for op, count in sorted(review.counts.items())]
    lines += ["", ", ".join(counted) or "nothing declared", _cost(review)]
    for warning in review.warnings:
        lines.append(paint(f"warning: {plain(warning.message, 1000)}", _YELLOW))
    if review.packs:
        said = f"{len(review.stopped)} refused, {len(review.advised)} advised"
        lines.append(f"policy: {', '.join(map(plain, review.packs))}, {said}")
    if review.outcome is Outcome.REFUSED:
        count = len(review.stopped)
        lines.append(paint(f"Stopped by policy: {count} violation{'s' if count > 1 else ''}.", _RED))
    return "\n".join(lines) + "\n"


def _violation(found: Violation) -> list[str]:
    what = found.what.removeprefix(f"{found.resource}: ")
    lines = [f"{plain(found.resource)}: {plain(what, 2000)}"]
    if found.fix:
        lines.append(f"  fix:  {plain(found.fix, 2000)}")
    if found.why:
        lines.append(f"  why:  {plain(found.why, 2000)}")
    return [*lines, f"  rule: {plain(found.rule)} {plain(found.reference)}".rstrip()]


def _kind(change: Traffic) -> str:
    if change.kind is not Kind.REGISTERED:
        return str(change.kind)
    was, now = (plain(change.registered(split)) for split in (change.before, change.after))
    return f"{change.kind}: {was} → {now}"


def _comparison(found: Comparison) -> list[str]:
    versions = f"{found.before} → {found.after}" if found.before is not None else str(found.after)
    lines = [f"{plain(found.model)} {versions}"]
    for metric in found.metrics:
        before = "–" if metric.before is None else f"{metric.before:.6g}"
        after = "–" if metric.after is None else f"{metric.after:.6g}"
        lines.append(f"  {plain(metric.name)}: {before} → {after} {metric.verdict}".rstrip())
    lines += [f"  signature: {plain(line)}" for line in found.signature]
    for fact in found.facts:
        if not fact.changed:
            continue
        if found.before is None:
            lines.append(f"  {fact.name}: {plain(title(fact.after))}")
        else:
            lines += [f"  {line}" for line in _changed(fact.name, fact.before, fact.after)]
    return lines


def _changed(name: str, before: str, after: str) -> list[str]:
    """A value before and after; of a text of several lines, those that differ."""
    differ = changed(before, after)
    if not differ:
        return [f"{name}: {plain(before)} → {plain(after)}"]
    lines = [f"{name}: {counted(differ)}"]
    for mark, line in shortest(differ):
        text, first = plain(line, 500), f"  {mark} "
        lines += wrap(text, _WIDTH, initial_indent=first, subsequent_indent=" " * 4, break_on_hyphens=False)
    return lines


def _field(field: Field) -> list[str]:
    if field.note:
        return [f"{plain(field.path)}: {field.note}"]
    return _changed(plain(field.path), field.before, field.after)


def _cost(review: Review) -> str:
    delta = review.cost
    elsewhere = "".join(f"; {plain(place)}" for place in delta.elsewhere)
    return (
        f"cost: {delta.change:+,.2f} {delta.prices.currency} a month "
        f"({delta.before.total:,.2f} → {delta.after.total:,.2f}; list prices of "
        f"{plain(', '.join(delta.regions))}, {plain(delta.prices.date)}{elsewhere}; "
        f"{len(delta.unpriced)} not priced, {sum(delta.missing.values())} unchanged ones neither)"
    )
