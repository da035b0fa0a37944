"""Which locks are stale: those of a process of this host that has ended, and no others."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue

import pytest

from tests.waiting import PATIENCE
from tools import locks


def _lock(state: Path, pid: int, host: str | None = None) -> Path:
    file = state / ".pulumi/locks/organization/tiny/local" / f"{pid}-{host}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "pid": pid,
        "username": "me",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-11-24T00:00:00Z",
    }
    file.write_text(json.dumps(content))
    return file


def _ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def pulumi(tmp_path: Path):
    """A running process by the name of pulumi."""
    program = tmp_path / "pulumi"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "600"])
    yield process.pid
    process.kill()
    process.wait()


def test_the_lock_of_a_process_that_has_ended_is_removed_with_its_attributes(tmp_path: Path) -> None:
    file = _lock(tmp_path, _ended())
    attributes = file.with_name(f"{file.name}.attrs")
    attributes.write_text("{}")
    assert [lock.file for lock in locks.remove_stale(tmp_path)] == [file]
    assert not file.exists()
    assert not attributes.exists()


def test_what_a_killed_pulumi_left_half_written_beside_the_state_is_removed(tmp_path: Path) -> None:
    """With an empty note, Pulumi could not read the file itself: "failed to load checkpoint: EOF"."""
    stack = tmp_path / ".pulumi" / "stacks" / "tiny"
    stack.mkdir(parents=True)
    whole, torn = stack / "local.json.bak.attrs", stack / "local.json.attrs"
    whole.write_text('{"md5": "x"}')
    torn.touch()
    locks.remove_stale(tmp_path)
    assert torn.exists(), "a Pulumi may be writing it at this moment"
    _lock(tmp_path, _ended())
    locks.remove_stale(tmp_path)
    assert (whole.exists(), torn.exists()) == (True, False)


def test_the_lock_of_a_running_pulumi_is_kept(tmp_path: Path, pulumi: int) -> None:
    file = _lock(tmp_path, pulumi)
    assert locks.remove_stale(tmp_path) == []
    assert file.exists()


def test_a_process_number_that_another_program_has_now_holds_no_lock(tmp_path: Path) -> None:
    file = _lock(tmp_path, os.getpid())
    assert [lock.file for lock in locks.remove_stale(tmp_path)] == [file]


def test_the_lock_of_another_host_is_kept(tmp_path: Path) -> None:
    file = _lock(tmp_path, _ended(), host="elsewhere.example")
    assert locks.remove_stale(tmp_path) == []
    assert file.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x", "hostname": "h"}', "\x00"])
def test_a_lock_that_cannot_be_read_is_left_alone(tmp_path: Path, text: str) -> None:
    file = _lock(tmp_path, 1)
    file.write_text(text)
    assert locks.remove_stale(tmp_path) == []
    assert file.exists()


def test_a_state_without_locks(tmp_path: Path) -> None:
    assert locks.remove_stale(tmp_path / "absent") == []


def test_who_changes_the_stack_is_waited_for_and_named(tmp_path: Path, pulumi: int) -> None:
    _lock(tmp_path, pulumi)
    notes: Queue[str] = Queue()
    waiting = threading.Thread(target=locks.await_others, args=(tmp_path, notes.put))
    waiting.start()
    assert f"kill -INT {pulumi}" in notes.get(timeout=PATIENCE)
    assert waiting.is_alive()
    os.kill(pulumi, signal.SIGKILL)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert notes.empty()


def test_nobody_waits_for_another_host_or_for_the_dead(tmp_path: Path) -> None:
    _lock(tmp_path, os.getppid(), "elsewhere")
    _lock(tmp_path, _ended())
    notes: list[str] = []
    locks.await_others(tmp_path, notes.append)
    assert notes == []
