"""What the change of a model means, as a part of the comment. Pure."""

from __future__ import annotations

from delivery.review.lines import changed, counted, shortest, title
from delivery.review.releases import Comparison, Fact, Metric
from delivery.review.text import block, code


def comparison(found: Comparison) -> list[str]:
    """Lines of Markdown: the versions' metrics side by side, the signature, and the facts that differ."""
    versions = f"{found.before} → {found.after}" if found.before is not None else f"{found.after}"
    lines = [f"**{code(found.model, 80)} {versions}**"]
    if not found.known:
        return [*lines, "", "The preview has no facts of this version: it isn't pinned in this stack."]
    if found.metrics:
        lines += ["", *_metrics(found)]
    else:
        lines += ["", "The registry has no metrics of it."]
    lines.append("")
    if found.before is not None:
        if found.signature:
            lines.append("- ⚠️ **the signature changes**: callers may have to change too")
            lines += [f"  - {code(line, 200)}" for line in found.signature[:20]]
        else:
            lines.append("- signature: the same")
    lines += [line for fact in found.facts for line in _fact(fact, found.before is not None)]
    return lines


def _metrics(found: Comparison) -> list[str]:
    if found.before is None:
        return [
            "| metric | value |",
            "|---|---:|",
            *(f"| {code(m.name, 80, table=True)} | {_number(m.after)} |" for m in found.metrics),
        ]
    rows = [f"| metric | {found.before} | {found.after} | change | |", "|---|---:|---:|---:|---|"]
    for metric in found.metrics:
        rows.append(
            f"| {code(metric.name, 80, table=True)} | {_number(metric.before)} | {_number(metric.after)} "
            f"| {_change(metric)} | {_better(metric)} |"
        )
    return rows


def _fact(fact: Fact, compared: bool) -> list[str]:
    mark = "⚠️ " if fact.loud else ""
    if not compared:
        return [f"- {fact.name}: {code(title(fact.after), 200)}"] if fact.after else []
    if not fact.changed:
        return []
    if fact.name == "training commit" and fact.before and fact.after:
        span = f"{fact.before[:12]}..{fact.after[:12]}"
        return [f"- training commits: {code(span)} (`git log` of the training code)"]
    if fact.name == "run":
        return [f"- {fact.name}: another one"] if fact.after and fact.before else []
    if differ := changed(fact.before, fact.after):
        folded = block(shortest(differ), "diff").splitlines()
        return [f"- {mark}{fact.name}: {counted(differ)}", "", *(f"  {line}" for line in folded)]
    return [f"- {mark}{fact.name}: {code(_short(fact.before), 160)} → {code(_short(fact.after), 160)}"]


def _short(text: str) -> str:
    """A digest as people compare it."""
    return text[:19] if text.startswith("sha256:") else text


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def _change(metric: Metric) -> str:
    change = metric.change
    if change is None:
        return "–"
    if change == 0:
        return "0"
    relative = f" ({change / abs(metric.before) * 100:+.1f} %)" if metric.before else ""
    return f"{change:+.4g}{relative}"


def _better(metric: Metric) -> str:
    return {"better": "✅ better", "worse": "🔻 **worse**", "same": "same"}.get(metric.verdict, "")
