"""Quantities are declared as a cluster keeps them: another form would be a difference after each refresh."""

from __future__ import annotations

import pytest

from components.kubernetes.quantities import binary, decimal


@pytest.mark.parametrize(
    ("value", "kept"),
    [(1, "1"), (0.5, "500m"), (1.5, "1500m"), (0.001, "1m"), (10, "10"), (1000, "1k"), (1500, "1500")],
)
def test_numbers(value: float, kept: str) -> None:
    assert decimal(value) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [("512Mi", "512Mi"), ("1536Mi", "1536Mi"), ("2048Mi", "2Gi"), ("2Gi", "2Gi"), ("1024Gi", "1Ti")],
)
def test_sizes(text: str, kept: str) -> None:
    assert binary(text) == kept
