"""Logs of programs that ended: enough to look into what happened, and not more with every update."""

from __future__ import annotations

import os
from pathlib import Path

from provider.daemon import Daemon


def written(folder: Path, name: str, at: int) -> None:
    for log in (folder / "logs" / f"{name}.log", folder / "logs" / f"{name}.log.1"):
        log.write_text(name)
        os.utime(log, (at, at))


def test_the_logs_of_the_last_twenty_that_ended_stay(tmp_path: Path) -> None:
    for part in ("logs", "programs"):
        (tmp_path / part).mkdir()
    for number in range(25):
        written(tmp_path, f"churn-v1-0.{number:06x}", number)
    # The oldest of all, but it is a program's that runs.
    written(tmp_path, "gateway-envoy", 0)
    (tmp_path / "programs" / "gateway-envoy.conf").write_text("")
    (tmp_path / "logs" / "churn-v1-0.requests.jsonl").write_text("{}")
    Daemon(tmp_path).prune_logs()
    kept = {f"churn-v1-0.{number:06x}" for number in range(5, 25)} | {"gateway-envoy"}
    assert {log.name for log in (tmp_path / "logs").iterdir()} == {
        *(f"{name}.log" for name in kept),
        *(f"{name}.log.1" for name in kept),
        "churn-v1-0.requests.jsonl",
    }
