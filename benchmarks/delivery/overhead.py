"""What the gateway adds to a request: the same request straight to the server and through Envoy, in turn."""

from __future__ import annotations

import json
from statistics import median

from benchmarks.delivery.stand import BODY, MODEL, stand, traffic
from benchmarks.server.load import Load, request, run

_ROUNDS = 9
_SECONDS = 3.0


def main() -> list[str]:
    """The lines of the report."""
    with stand() as stack:
        stack.up(traffic(2))
        (file,) = (stack.run / "targets").glob(f"{MODEL}-v2-*.json")
        (address,) = json.loads(file.read_text())[0]["targets"]
        port = int(address.rpartition(":")[2])
        direct = request("/predict", BODY, port)
        through = request(f"/{MODEL}/predict", BODY, stack.ports["gateway"])
        lines: list[str] = []
        for connections in (1, 16):
            alone, behind = [], []
            for _ in range(_ROUNDS):
                alone.append(run(port, [direct], _SECONDS, connections))
                behind.append(run(stack.ports["gateway"], [through], _SECONDS, connections))
            assert all(set(r.statuses) == {200} and not r.broken for r in (*alone, *behind))
            added = [b.p50 - a.p50 for a, b in zip(alone, behind, strict=True)]
            lines += [
                f"{connections} connection(s), {_ROUNDS} rounds of {_SECONDS:g} s each way, medians:",
                f"  server alone   {_line(alone)}",
                f"  through Envoy  {_line(behind)}",
                f"  added at the median {median(added):.3f} ms "
                f"(of pairs: {min(added):.3f} to {max(added):.3f})",
            ]
        return lines


def _line(runs: list[Load]) -> str:
    return f"{median(r.p50 for r in runs):.3f} ms, {median(r.rate for r in runs):.0f}/s"
