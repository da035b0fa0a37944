"""docs/components/aws.md has read what AWS says of every type that the platform declares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.unit.aws import PROD, amazon, only_aws

PAGE = Path(__file__).resolve().parents[2] / "docs" / "components" / "aws.md"
MODELS: dict[str, Any] = {
    "fast": {"runtime": "lambda", "stable": {"version": 3}, "autoscaling": {"min": 1, "max": 20}},
    "split": {
        "runtime": "sagemaker",
        "stable": {"version": 3},
        "autoscaling": {"min": 1, "max": 4},
    },
    "pods": {"stable": {"version": 3}},
}


def listed(page: Path, heading: str) -> set[tuple[str, str]]:
    """The types in the first column of the table below a page's heading, each with its service."""
    table = page.read_text(encoding="utf-8").partition(heading)[2]
    found: set[tuple[str, str]] = set()
    for column in re.findall(r"^\| (`[a-z0-9]+` [^|]+) \|", table, re.MULTILINE):
        for part in column.split("; "):
            service, names = re.fullmatch(r"`([a-z0-9]+)` (.+)", part.strip()).groups()  # type: ignore[union-attr]
            found |= {(service, name) for name in names.split(", ")}
    return found


def test_every_type_that_is_declared_was_read_about_and_no_other() -> None:
    graph, _, _ = amazon(MODELS, PROD)
    declared = {
        (resource.type.split(":")[1].split("/")[0], resource.type.split(":")[2])
        for resource in only_aws(graph)
    }
    assert listed(PAGE, "## What AWS says of each type") == declared
