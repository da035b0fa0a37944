"""Which environments a change concerns: those whose file it changes, all where it changes the program.

    python3 -m tools.changed --since COMMIT    since COMMIT, or since where this branch left it
    python3 -m tools.changed --from COMMIT     all that differs from COMMIT, after a push, which may go back
    python3 -m tools.changed --all
    python3 -m tools.changed --since COMMIT --suite    whether the product's tests have anything to say of it

Prints a JSON list of stacks for a workflow's matrix. Without a COMMIT that git knows, every one is concerned.
Stacks of `kind: local` are left out: they are a machine's own. A stack whose file went is nobody's from then
on, and what it has stays: the standard error says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools import errors
from tools.errors import ToolError
from tools.paths import ROOT

_PROGRAM = (
    "__main__.py",
    "Makefile",
    "Pulumi.yaml",
    "pulumiw",
    "pyproject.toml",
    "uv.lock",
    "components/",
    "policy/",
    "provider/",
    "serving/",
    "tools/",
)
"""What every environment's plan depends on."""
_OF_USERS = re.compile(r"Pulumi\.[^/]+\.yaml|policy/(?:enforcement|exemptions)\.yaml|policy/own/.*")
"""Files of the people who use a checkout, which no test of the product reads."""
_FILE = re.compile(r"Pulumi\.([A-Za-z0-9_.-]+)\.yaml")
_PLATFORM = re.compile(r"^( *)[\"']?(?:[\w-]+:)?platform[\"']?:(.*)$", re.MULTILINE)
_LOCAL = re.compile(r"(?:^|[{,])\s*[\"']?kind[\"']?: *[\"']?local\b")


def stacks(root: Path) -> list[str]:
    """Every stack with a file, but those of `kind: local`."""
    found = {match[1]: file for file in root.glob("Pulumi.*.yaml") if (match := _FILE.fullmatch(file.name))}
    return sorted(name for name, file in found.items() if not is_local(file.read_text(encoding="utf-8")))


def is_local(text: str) -> bool:
    """Whether a stack's file says `kind: local` of its platform. It runs before there is a parser of YAML."""
    if not (platform := _PLATFORM.search(text)):
        return False
    inline = platform[2].partition("#")[0].strip()
    if inline:
        return bool(_LOCAL.search(text[platform.start(2) :].partition("}")[0]))
    inner = ""
    for line in text[platform.end() :].splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        indent = line[: len(line) - len(line.lstrip())]
        if len(indent) <= len(platform[1]):
            return False
        inner = inner or indent
        if indent == inner and _LOCAL.match(words):
            return True
    return False


def concerned(paths: Iterable[str], there: Iterable[str]) -> list[str]:
    """Those of the stacks that are `there` which a change of these paths concerns."""
    changed = list(paths)
    if any(
        path == part or (part.endswith("/") and path.startswith(part))
        for path in changed
        for part in _PROGRAM
    ):
        return sorted(there)
    named = {match[1] for path in changed if (match := _FILE.fullmatch(path))}
    return sorted(named & set(there))


def concerns_the_product(paths: Sequence[str] | None) -> bool:
    """Whether a change needs the product's own tests: not one of users' files alone. None: it isn't known."""
    return not paths or not all(_OF_USERS.fullmatch(path) for path in paths)


def paths_since(commit: str, root: Path, *, branch: bool = True) -> list[str] | None:
    """What differs between a commit, or where this `branch` left it, and now; None where git doesn't know it.

    Raises ToolError where git can't be asked at all.
    """
    known = _git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    if known is None:
        return None
    listed = _git(
        root, "diff", "--name-only", "--no-renames", "-z", f"{commit}{'...' if branch else '..'}HEAD"
    )
    if listed is None:
        raise ToolError(f"git can't compare {commit} with HEAD: is the history here? (fetch-depth: 0)")
    return [path for path in listed.split("\0") if path]


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolError(f"git can't be started: {error.strerror}.") from None
    return done.stdout if done.returncode == 0 else None


def main(words: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.changed", description=__doc__)
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--since", metavar="COMMIT")
    of.add_argument("--from", metavar="COMMIT", dest="exactly")
    of.add_argument("--all", action="store_true")
    parser.add_argument(
        "--suite", action="store_true", help="print true where more than users' files changed"
    )
    arguments = parser.parse_args(words)
    there = stacks(root)
    commit: str | None = arguments.since or arguments.exactly
    paths = None if commit is None else paths_since(commit, root, branch=bool(arguments.since))
    if arguments.suite:
        sys.stdout.write(f"{json.dumps(concerns_the_product(paths))}\n")
        return 0
    found = there if paths is None else concerned(paths, there)
    for path in paths or ():
        if _FILE.fullmatch(path) and not (root / path).exists():
            mark = "::warning::" if os.environ.get("GITHUB_ACTIONS") else "warning: "
            sys.stderr.write(
                f"{mark}{path} is gone, so nobody applies that stack any more; what it has stays, and costs. "
                "Destroy it with the file of an older commit.\n"
            )
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main))
