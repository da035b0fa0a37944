"""Fails a run of tests that leaves anything in the checkout: a file that git doesn't know, or a change to one
that it does. What was there before the run may stay.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

_BUILT = re.compile(
    # What tests may leave: what .gitignore has as built or cached, nothing else that it has.
    r"(?:.*/)?(?:__pycache__/|[^/]*\.pyc)|\.(?:venv|delivery|pytest_cache|ruff_cache|hypothesis)/"
)
_SECONDS = 60


def state(checkout: Path) -> dict[str, str] | None:
    """What is not as it was committed, by path: git's two letters for it, and a digest of a new or
    changed file. None: this is no checkout of git."""
    changed = _git(checkout, "status", "--porcelain", "--untracked-files=all", "--no-renames", "-z")
    ignored = _git(checkout, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    if changed is None or ignored is None:
        return None
    letters = {entry[3:]: entry[:2] for entry in changed}
    files = [path for path in letters if (checkout / path).is_file()]
    # By git: a file of the people who use the checkout is refused to this process (tests/conftest.py).
    digests = _git(checkout, "hash-object", "--no-filters", "--stdin-paths", given="\n".join(files)) or []
    found = {path: "!!" for path in ignored if not _BUILT.fullmatch(path)}
    return (
        found
        | letters
        | {path: f"{letters[path]} {digest}" for path, digest in zip(files, digests, strict=False)}
    )


def _git(checkout: Path, *words: str, given: str = "") -> list[str] | None:
    command = ["git", "--no-optional-locks", "-C", str(checkout), *words]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return [entry for entry in re.split("[\0\n]", done.stdout) if entry]


class Clean:
    """A plugin of pytest that compares the checkout before and after all tests of a run."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._before: dict[str, str] | None = None
        self._left: list[str] = []

    def pytest_sessionstart(self) -> None:
        self._before = state(self._checkout)

    # After xdist, which ends its workers in its own: the last tests may still run before.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        after = state(self._checkout)
        if self._before is None or after is None:
            return
        paths = self._before.keys() | after.keys()
        self._left = sorted(path for path in paths if self._before.get(path) != after.get(path))
        if self._left and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left:
            terminalreporter.section("the tests changed the checkout", red=True)
            for path in self._left:
                terminalreporter.line(path)
            terminalreporter.line(
                "A test writes to tmp_path. If you changed these yourself meanwhile, run again."
            )
