"""``python -m benchmarks.server``: the model server beside its peers, in one run, as ratios."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from pathlib import Path

import httpx
import numpy as np

from benchmarks import stopping
from benchmarks.server import alone, report
from benchmarks.server.load import Load, request, run
from benchmarks.server.servers import PEERS, WORK, Peer, install, versions
from tests.ports import free_port


class Started:
    """A peer's process group, checked to answer right."""

    def __init__(self, peer: Peer, rows: np.ndarray, labels: Sequence[int]) -> None:
        self.peer = peer
        self.port = free_port()
        peer.prepare(peer, self.port)
        words = list(peer.command(peer, self.port))
        self.log = WORK / f"{peer.name}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                words,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=peer.variables(self.port),
                cwd=peer.folder,
                start_new_session=True,
            )
        try:
            self._check(rows, labels)
        except BaseException:
            self.stop()
            raise
        bodies = [json.dumps(peer.body(row.tolist())).encode() for row in rows]
        self.requests = [request(peer.path, body, self.port) for body in bodies]

    def _check(self, rows: np.ndarray, labels: Sequence[int]) -> None:
        """Wait until it answers, and raise unless it predicts what scikit-learn does."""
        url = f"http://127.0.0.1:{self.port}{self.peer.path}"
        end = time.monotonic() + 120
        while True:
            try:
                answer = httpx.post(url, json=self.peer.body(rows[0].tolist()), timeout=10)
                if answer.status_code == 200:
                    break
                problem = f"status {answer.status_code}: {answer.text[:300]}"
            except httpx.TransportError as error:
                problem = repr(error)
            if self.process.poll() is not None or time.monotonic() > end:
                tail = self.log.read_text(errors="replace")[-600:]
                raise RuntimeError(f"does not answer: {problem}; its output ends with: {tail}")
            time.sleep(0.1)
        if self.peer.name in ("empty", "bare"):
            return
        for row, label in zip(rows[:100], labels[:100], strict=True):
            answer = httpx.post(url, json=self.peer.body(row.tolist()), timeout=10)
            if self.peer.answer(answer.json()) != label:
                raise RuntimeError(f"predicts {answer.text[:200]} where scikit-learn says {label}")

    def stop(self) -> None:
        """End the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load for each server in each round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=[peer.name for peer in PEERS])
    parser.add_argument("--report", type=Path, help="write the table as Markdown into this file")
    options = parser.parse_args()
    chosen = [peer for peer in PEERS if not options.only or peer.name in options.only]
    WORK.mkdir(parents=True, exist_ok=True)

    started: list[Started] = []
    failed: dict[str, str] = {}
    results: dict[str, list[Load]] = {}
    calls: dict[str, list[float]] = {"scikit-learn": [], "onnxruntime": []}
    found: dict[str, str] = {}
    try:
        for peer in chosen:
            print(f"starting {peer.title}", flush=True)
            try:
                install(peer)
                rows, labels = alone.data(PEERS[0])
                started.append(Started(peer, rows, labels))
                found[peer.name] = versions(peer)
            except (RuntimeError, OSError) as error:
                failed[peer.name] = str(error)
                print(f"  left out: {error}", flush=True)
        rows, _ = alone.data(PEERS[0])
        for server in started:
            run(server.port, server.requests, 1.0, options.connections)  # warm
        for number in range(options.rounds):
            for name, rate in alone.measure(PEERS[0], rows).items():
                calls[name].append(rate)
            # Each round in another order: a disturbance or a neighbour is not always the same one's.
            for server in [*started[number % len(started) :], *started[: number % len(started)]]:
                load = run(server.port, server.requests, options.seconds, options.connections)
                results.setdefault(server.peer.name, []).append(load)
                print(
                    f"round {number + 1} {server.peer.name}: {load.rate:.0f}/s p99 {load.p99:.2f} ms",
                    flush=True,
                )
    finally:
        with stopping.uninterrupted():
            for server in started:
                server.stop()
    text = report.table(chosen, results, calls, failed, found)
    print(text)
    about = report.about(
        options,
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        os.cpu_count(),
        date.today(),
    )
    (WORK / "server.json").write_text(
        json.dumps({name: [asdict(load) for load in loads] for name, loads in results.items()}, indent=1)
    )
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        report.write(options.report, f"{about}\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(stopping.run(main))
