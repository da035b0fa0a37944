"""Versions: of the tools this checkout wants (each pinned in one place), and how two of them compare."""

from __future__ import annotations

import re
from pathlib import Path

from tools.errors import ToolError
from tools.paths import GO_MODULES

UV = "0.13.9"
"""uv, which makes the Python environment. Pinned here, and nowhere else."""

PULUMI_MODULE = "github.com/pulumi/pulumi/pkg/v3"
PROMETHEUS_MODULE = "github.com/prometheus/prometheus"
ALERTMANAGER_MODULE = "github.com/prometheus/alertmanager"
ACTIONLINT_MODULE = "github.com/rhysd/actionlint"
KUBERNETES_MODULE = "k8s.io/kubernetes"

Version = tuple[int, int, int]


def parse(text: str) -> Version:
    """The numbers of a version such as `v3.259.0` or `3.16`, found anywhere in a text.

    What follows the numbers (`-dev`, `+build`) is ignored. Raises ValueError when there is no version.
    """
    found = re.search(r"(?<![\d.])v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        raise ValueError(f"no version in {text!r}")
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)


def show(version: Version) -> str:
    """A version as people write it: `3.259.0`."""
    return ".".join(str(number) for number in version)


def accepts(pinned: Version, found: Version) -> bool:
    """Whether an installed tool serves in place of the pinned one: not older, and of the same major
    version."""
    return found[0] == pinned[0] and found >= pinned


def required(module: str, go_mod: Path) -> Version:
    """The version of a Go module that a go.mod requires: go.mod is where these tools are pinned."""
    try:
        text = go_mod.read_text()
    except OSError as error:
        raise ToolError(f"{go_mod} can't be read ({error.strerror}): the checkout is incomplete.") from error
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+v(\S+)", text, re.MULTILINE)
    if found is None:
        raise ToolError(f"{go_mod} doesn't require {module}: restore the file (`git checkout {go_mod}`).")
    return parse(found.group(1))


def pulumi() -> Version:
    """The Pulumi CLI this checkout wants."""
    return required(PULUMI_MODULE, GO_MODULES / "pulumi" / "go.mod")


def actionlint() -> Version:
    """The actionlint this checkout wants."""
    return required(ACTIONLINT_MODULE, GO_MODULES / "actionlint" / "go.mod")


def alertmanager() -> Version:
    """The Alertmanager whose tool this checkout wants."""
    return required(ALERTMANAGER_MODULE, GO_MODULES / "alertmanager" / "go.mod")


def kubernetes() -> Version:
    """The Kubernetes this checkout wants."""
    return required(KUBERNETES_MODULE, GO_MODULES / "kubernetes" / "go.mod")


def prometheus() -> Version:
    """The Prometheus this checkout wants: its Go module v0.316.0 is release 3.16.0."""
    _, minor, patch = required(PROMETHEUS_MODULE, GO_MODULES / "prometheus" / "go.mod")
    return minor // 100, minor % 100, patch
