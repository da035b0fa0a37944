"""Everything that a large AWS environment declares, input by input, against what was agreed.

A renamed resource, a changed default or a lost input shows here as a changed line. Where the change is meant:

    GOLDEN=write .venv/bin/pytest tests/unit/test_aws_golden.py

and the diff of the file is part of the review. A renamed resource needs an alias as well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.unit.aws import PROD, amazon, only_aws
from tests.unit.graph import Declared

GOLDEN = Path(__file__).with_name("aws.golden")
MODELS: dict[str, Any] = {
    "fast": {
        "runtime": "lambda",
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 10},
        "autoscaling": {"min": 2, "max": 20},
        "owner": "risk-team",
        "riskClass": "high",
    },
    "split": {
        "runtime": "sagemaker",
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 20},
        "autoscaling": {"min": 1, "max": 4, "requestsPerSecond": 50},
    },
    "mirrored": {
        "runtime": "sagemaker",
        "stable": {"version": 3},
        "canary": {"version": 4, "shadow": True},
    },
    "pods": {"stable": {"version": 3}},
}


def line(resource: Declared) -> str:
    flags = [
        *(["protected"] if resource.protect else []),
        *(["retained"] if resource.retained else []),
        *(f"ignores {name}" for name in sorted(resource.ignores)),
        *(f"secret {name}" for name in sorted(resource.secrets)),
    ]
    inputs = {key: value for key, value in resource.inputs.items() if key not in resource.secrets}
    for key, value in inputs.items():
        if isinstance(value, str) and value.startswith("{"):
            inputs[key] = json.loads(value)
    about = f"{resource.type} {resource.name} in {resource.parent} [{', '.join(flags)}]"
    lines = [f"  {key}: {json.dumps(value, sort_keys=True)}" for key, value in sorted(inputs.items())]
    waits = sorted(" ".join(urn.split("::")[-2:]).rpartition("$")[2] for urn in resource.needs)
    return "\n".join([about, *lines, *(f"  after {name}" for name in waits)])


def test_nothing_changes_unseen() -> None:
    graph, _, _ = amazon(MODELS, PROD)
    found = "\n".join(sorted(line(resource) for resource in only_aws(graph))) + "\n"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(found, encoding="utf-8")
    assert found.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()
