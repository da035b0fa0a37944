"""Build tools from their Go modules, where no release of them can be downloaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools import progress, versions
from tools.errors import ToolError


def build(
    module: Path,
    packages: Sequence[str],
    into: Path,
    *,
    usual: str,
    flags: Sequence[str] = (),
    stamp: str = "",
) -> None:
    """Builds command packages of the module in a folder, each into a binary of its own name.

    Args:
        module: folder of a go.mod and go.sum that pin everything.
        into: folder for the binaries.
        usual: how long it usually takes, in words.
        flags: further flags of `go build`.
        stamp: `-X` setting that gives the binary its version.

    Go keeps what it has compiled: a build that was interrupted goes on where it was. Raises ToolError.
    """
    go = _go(module)
    linker = f"-s -w -X {stamp}" if stamp else "-s -w"
    command = [go, "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", *flags]
    # The linker drops debug information (-s -w), so the compiler doesn't write it: a tenth of its time.
    command += ["-gcflags=all=-dwarf=false", "-ldflags", linker, "-o", f"{into}{os.sep}", *packages]
    code, tail = progress.run(
        command,
        what=f"Building {', '.join(map(_name, packages))} from Go source",
        usual=usual,
        cwd=module,
        env={**os.environ, "CGO_ENABLED": "0"},
        detail=lambda lines: f"{lines:,} packages downloaded or compiled",
    )
    if code != 0:
        raise ToolError(_failure(module, tail))


def folder(module: Path, dependency: str) -> Path:
    """Where Go keeps the source of a module that another one, in a folder, depends on. Raises ToolError."""
    command = [_go(module), "list", "-m", "-f", "{{.Dir}}", dependency]
    answer = subprocess.run(command, cwd=module, capture_output=True, text=True, check=False)
    if answer.returncode != 0 or not answer.stdout.strip():
        raise ToolError(_failure(module, answer.stderr))
    return Path(answer.stdout.strip())


def _name(package: str) -> str:
    """What Go calls the program: the last folder that isn't a major version."""
    return re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1]


def _failure(module: Path, tail: str) -> str:
    if "no space left on device" in tail:
        return (
            "The disk is full: the Go build needs about 5 GB, most of it in Go's caches (`go env "
            "GOMODCACHE GOCACHE`). "
            "Free some space and run this again."
        )
    hint = "Run this again to go on from here."
    if re.search(r"dial tcp|no such host|i/o timeout|proxyconnect|connection refused", tail):
        hint = "Go's modules can't be downloaded: check the network and `go env GOPROXY`, and run this again."
    return f"`go build` failed in {module}. {hint} Its last words:\n{tail}"


def _go(module: Path) -> str:
    go = shutil.which("go")
    needed = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    if needed is None:
        raise ToolError(f"{module / 'go.mod'} has no line `go ...`: restore it (`git checkout {module}`).")
    if go is None:
        raise ToolError(
            f"neither a download nor Go is available to get {module.name}. Install Go {needed.group(1)} "
            "or newer "
            f"(https://go.dev/dl), or install {module.name} itself so that it is on your PATH, and run "
            "this again."
        )
    answer = subprocess.run(
        [go, "env", "GOVERSION", "GOTOOLCHAIN"], capture_output=True, text=True, check=False
    )
    words = answer.stdout.split()
    if (
        len(words) == 2
        and words[1] == "local"
        and versions.parse(words[0].removeprefix("go")) < versions.parse(needed.group(1))
    ):
        raise ToolError(
            f"{module.name} needs Go {needed.group(1)} or newer to build; {go} is {words[0]} and may "
            "not fetch a "
            "newer one (GOTOOLCHAIN=local). Install a newer Go (https://go.dev/dl), and run this again."
        )
    return go
