"""Everything that a large GCP environment declares, input by input, against what was agreed.

A renamed resource, a changed default or a lost input shows here as a changed line. Where the change is meant:

    GOLDEN=write .venv/bin/pytest tests/unit/test_gcp_golden.py

and the diff of the file is part of the review. A renamed resource needs an alias as well.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.unit.gcp import PROD, google, only_gcp
from tests.unit.test_aws_golden import line

GOLDEN = Path(__file__).with_name("gcp.golden")
MODELS: dict[str, Any] = {
    "fast": {
        "runtime": "cloud-run",
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 10},
        "autoscaling": {"min": 2, "max": 20},
        "owner": "Risk Team",
        "riskClass": "high",
    },
    "vision": {
        "runtime": "cloud-run",
        "stable": {"version": 7},
        "resources": {"cpu": 3, "memory": "12Gi", "gpu": 1},
    },
    "pods": {"stable": {"version": 3}},
}


def test_nothing_changes_unseen() -> None:
    graph, _, _ = google(MODELS, PROD)
    found = "\n".join(sorted(line(resource) for resource in only_gcp(graph))) + "\n"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(found, encoding="utf-8")
    assert found.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_everything_has_its_place_in_the_tree() -> None:
    """Who reads a preview finds a resource below what it is for; only the places stand at the top."""
    graph, _, _ = google(MODELS, PROD)
    top = {f"{r.type}::{r.name}" for r in graph.resources if ":gcp" in r.type and not r.parent}
    assert top == {"delivery:gcp:Platform::gcp", "pulumi:providers:gcp::gcp"}
