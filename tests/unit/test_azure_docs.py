"""docs/components/azure.md has read what Azure says of every type that is declared there."""

from __future__ import annotations

from pathlib import Path

from tests.unit.azure import azure, needs_sdk
from tests.unit.test_aws_docs import listed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "components" / "azure.md"


@needs_sdk
def test_every_type_that_is_declared_was_read_about_and_no_other() -> None:
    graph, _ = azure({"churn": {"stable": {"version": 3}}})
    declared = {
        (resource.type.split(":")[1], resource.type.split(":")[2])
        for resource in graph.resources
        if resource.type.startswith("azure-native:")
    }
    assert listed(PAGE, "## What Azure says of each type") == declared
