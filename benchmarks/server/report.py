"""The results as a page: medians of the rounds, and ratios of the same round."""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from benchmarks.server.load import Load
from benchmarks.server.servers import Peer

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def about(options: argparse.Namespace, system: str, cores: int | None, day: date) -> str:
    """Return what was run, where and when."""
    command = f"uv run python -m benchmarks.server --rounds {options.rounds} --seconds {options.seconds:g}"
    return (
        f"`{command}` on {day.isoformat()}, {cores} cores, {system}. {options.connections} connections in a "
        f"closed loop, one row a request, {options.rounds} rounds of {options.seconds:g} s each, in turn."
    )


def table(
    peers: Sequence[Peer],
    results: Mapping[str, Sequence[Load]],
    calls: Mapping[str, Sequence[float]],
    failed: Mapping[str, str],
    found: Mapping[str, str],
) -> str:
    """Return the table in Markdown, best first, with what was left out below."""
    heads = ["server", "requests/s", "p50 ms", "p99 ms", "of the empty handler", "of MLServer"]
    heads += ["of scikit-learn alone", "failed"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    measured = [peer for peer in peers if peer.name in results]
    for peer in sorted(measured, key=lambda peer: -_median([load.rate for load in results[peer.name]])):
        loads = results[peer.name]
        rates = [load.rate for load in loads]
        wrong = sum(load.requests - load.statuses.get(200, 0) + load.broken for load in loads)
        cells = [
            peer.title,
            f"{_median(rates):,.0f}",
            f"{_median([load.p50 for load in loads]):.2f}",
            f"{_median([load.p99 for load in loads]):.2f}",
            _ratio(rates, [load.rate for load in results.get("empty", [])]),
            _ratio(rates, _best_mlserver(results)),
            _ratio(rates, calls.get("scikit-learn", [])),
            str(wrong),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for name, rates in calls.items():
        if rates:
            lines.append(f"- {name} alone, one row a call, no server: {_median(rates):,.0f} calls/s")
    for version in dict.fromkeys(found.values()):
        titles = [peer.title for peer in measured if found.get(peer.name) == version]
        lines.append(f"- {'; '.join(titles)}: {version}")
    title = {peer.name: peer.title for peer in peers}
    lines += [f"- left out: {title[name]}: {' '.join(reason.split())}" for name, reason in failed.items()]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Replace what was measured before on the page, or append it to a page without."""
    page = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        head, tail = f"{page.rstrip()}\n\n", "\n"
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def _best_mlserver(results: Mapping[str, Sequence[Load]]) -> list[float]:
    """Return the rates of the faster of MLServer's two set-ups."""
    sides = [[load.rate for load in results.get(name, [])] for name in ("mlserver", "mlserver-inline")]
    return max(sides, key=_median)


def _ratio(rates: Sequence[float], others: Sequence[float]) -> str:
    """Return the median over the rounds of one rate in another."""
    if len(rates) != len(others):
        return "–"
    return f"{_median([mine / other for mine, other in zip(rates, others, strict=True)]):.2f}"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0
