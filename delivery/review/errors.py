"""How a review fails: one message, and never a green review."""

from __future__ import annotations


class ReviewError(Exception):
    """No review can be given. The text says what is wrong and what to do next."""
