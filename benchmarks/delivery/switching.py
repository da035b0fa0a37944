"""Blue-green back and forth under constant load: how soon a written route is on the wire."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.delivery.recorder import Load
from benchmarks.delivery.stand import hold
from provider.gateway import Gateway
from provider.resource import Properties

SWITCHES = 21


def switches(folder: Path, route: Properties, load: Load) -> list[str]:
    """Put all of the traffic on version 2 and back so many times; the lines of the report.

    ``folder`` is the gateway's. ``route`` has the versions 1 and 2, of which 1 has all of the traffic. Times
    are from the moment when the file that Envoy watches was written.
    """
    gateway = Gateway(folder)
    written: list[float] = []
    for switch in range(SWITCHES):
        hold(1.0)
        for backend in route["backends"]:
            backend["weight"] = 100 * ((backend["version"] == 2) == (switch % 2 == 0))
        gateway.put(route, "the benchmark")
        written.append((folder / "routes.json").stat().st_mtime)
    hold(1.0)
    answers = load.stop()
    assert all(a.good for a in answers), "a request failed during a switch"
    first: list[float] = []
    last: list[float] = []
    for switch, (begin, end) in enumerate(zip(written, [*written[1:], answers[-1].at], strict=True)):
        to = "2" if switch % 2 == 0 else "1"
        around = [a for a in answers if begin - 0.5 < a.at < end]
        first.append(1000 * (min(a.at for a in around if a.version == to and a.at > begin) - begin))
        last.append(1000 * (max(a.at for a in around if a.version != to) - begin))
    return [
        f"{SWITCHES} switches 0 <-> 100, none of {len(answers)} requests failed; "
        "from the written file, in ms (median, worst):",
        f"  first answer by the new weights {median(first):.1f}, {max(first):.1f}",
        f"  last answer by the old weights  {median(last):.1f}, {max(last):.1f}",
    ]
