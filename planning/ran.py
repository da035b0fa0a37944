"""How a command ended, and what it said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ran:
    code: int
    text: str
    """Without colours."""
