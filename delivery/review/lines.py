"""Texts of several lines, such as model cards, told by the lines that differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

MOST = 12
"""Lines shown of one text."""


def changed(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """Return what two texts don't share, by line: ``-`` or ``+``, and the line.

    Empty where both are of one line: those are told side by side.
    """
    old, new = before.splitlines(), after.splitlines()
    if len(old) < 2 and len(new) < 2:
        return ()
    found: list[tuple[str, str]] = []
    for same, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if same != "equal":
            found += _marked("-", old[first:last])
            found += _marked("+", new[start:end])
    return tuple(found)


def _marked(mark: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(mark, line) for line in lines if line.strip()]


def counted(differ: Sequence[tuple[str, str]]) -> str:
    """How many lines differ, in words."""
    return f"{len(differ)} line{'' if len(differ) == 1 else 's'} differ{'s' if len(differ) == 1 else ''}"


def shortest(differ: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first lines, and how many more there are."""
    left = len(differ) - MOST
    return [*differ[:MOST], *([(" ", f"… and {left} more")] if left > 0 else [])]


def title(text: str) -> str:
    """A text of several lines by its first, without the mark of a heading; one of one line as it is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return text
    return f"{lines[0].lstrip('# ')} (and {len(lines) - 1} more lines)"
