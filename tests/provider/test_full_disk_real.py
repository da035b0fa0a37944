"""A disk that is full, has no inode left or is read-only: an update is refused, and what runs goes on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.daemon import Daemon
from provider.resource import ProviderError
from provider.supervisor import Supervisor
from tests.ports import free_port
from tests.provider.conftest import Gate, Run, get
from tests.waiting import until

pytestmark = pytest.mark.real


def close(folder: Path) -> None:
    """Make a folder read-only: a mount over it, since a disk with files that are written can't be."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)


def reopen(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB and 1,000 inodes of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = "size=64m,nr_inodes=1000"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a disk of its own needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def spoil(disk: Path, how: str) -> str:
    """Spoil the disk, and return what an update then says."""
    match how:
        case "full":
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(b"x" * 65536)
            return r"has 0\.0 MB free, and (an update needs 4|a program that starts needs 16) MB"
        case "inodes":
            (disk / "many").mkdir()
            with contextlib.suppress(OSError):
                for number in range(1000):
                    (disk / "many" / str(number)).touch()
            return r"has room for 0 more files, and (an update needs 20|a program that starts needs 200)\."
        case _:
            close(disk / "run")
            return r"can't be written: read-only file system"


@pytest.mark.parametrize("how", ["full", "inodes", "read-only"])
@pytest.mark.parametrize("alive", [True, False])
def test_an_update_is_refused_and_everything_goes_on(disk: Path, how: str, alive: bool) -> None:
    run = Run(disk / "run")
    try:
        server = run.serve("churn-v1-0", 1)
        fixed = run.serve("gateway", port=free_port())
        context, state = run.context("supervisor"), {"folder": str(run.folder)}
        pids = [run.pid(server.id), run.pid("gateway")]
        message = spoil(disk, how)
        if not alive:
            os.kill(Daemon(run.folder)._supervisor(), signal.SIGKILL)
            until(lambda: not Daemon(run.folder).alive())
        (failure,) = Supervisor().check(context, state, state).failures
        assert re.search(message, failure.reason) and str(disk) in failure.reason
        if not alive:
            with pytest.raises(ProviderError, match=message):
                Supervisor().update(context, "supervisord", state, state)
        changed = {**fixed.inputs, "files": {"a": "b"}}
        (failure,) = run.check("gateway", changed, fixed.inputs).failures
        assert re.search(message, failure.reason)
        assert not run.check("gateway", fixed.inputs, fixed.inputs).failures
        with pytest.raises(ProviderError, match=message):
            run.process.update(run.context("gateway"), fixed.id, fixed.state, changed)
        with pytest.raises(ProviderError, match=message):
            run.serve("churn-v1-0", 2)
        for kept, pid in zip((server, fixed), pids, strict=True):
            assert get(kept.port, "/")[0] == 200
            os.kill(pid, 0)
        if how == "read-only":
            reopen(run.folder)
        else:
            subprocess.run(["rm", "-rf", str(disk / "filler"), str(disk / "many")], check=True)
        Supervisor().update(context, "supervisord", state, state)
        for kept in (server, fixed):
            until(lambda kept=kept: not kept.diff().changes)
            assert get(kept.port, "/")[0] == 200
    finally:
        if run.folder.is_mount():
            reopen(run.folder)
        subprocess.run(["rm", "-rf", str(disk / "filler")], check=True)
        run.stop()


def test_a_weight_changes_on_a_disk_that_takes_no_new_program(disk: Path) -> None:
    run = Run(disk / "run")
    try:
        first, second = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
        gate = Gate(run)
        before = gate.inputs("churn", (1, 90, [first]), (2, 10, [second]))
        gate.put("churn", (1, 90, [first]), (2, 10, [second]))
        spoil(disk, "full")
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 8 * 1024 * 1024)
        state = {"folder": str(run.folder)}
        assert not Supervisor().check(run.context("supervisor"), state, state).failures
        after = gate.inputs("churn", (1, 0, [first]), (2, 100, [second]))
        run.route.update(run.context("churn"), gate.ids["churn"], before, after)
        assert gate.versions("churn", 10) == {"2": 10}
        with pytest.raises(ProviderError, match=r"has 7\.\d MB free, and a program that starts needs 16 MB"):
            run.serve("churn-v3-0", 3)
        assert gate.versions("churn", 10) == {"2": 10}
    finally:
        (disk / "filler").unlink(missing_ok=True)
        run.stop()


def test_supervisord_outlives_a_disk_that_does_not_take_its_logs(disk: Path) -> None:
    run = Run(disk / "run")
    try:
        server = run.serve("churn-v1-0", 1)
        spoil(disk, "full")
        log = run.folder / "logs" / f"{server.id}.log"
        supervisor = Daemon(run.folder)._supervisor()
        # The server logs each request: more than supervisord's buffers hold.
        for _ in range(300):
            assert get(server.port, f"/{'x' * 200}")[0] == 200
        pid = run.pid(server.id)
        os.kill(pid, signal.SIGKILL)
        until(lambda: run.pid(server.id) not in (0, pid))
        until(lambda: Daemon(run.folder).state(server.id) == "RUNNING")
        assert Daemon(run.folder)._supervisor() == supervisor
        (disk / "filler").unlink()
        size = log.stat().st_size
        until(lambda: get(server.port, "/again")[0] == 200 and log.stat().st_size >= size)
    finally:
        (disk / "filler").unlink(missing_ok=True)
        run.stop()
