"""What a property may be: its type, its range, and whether a preview may not know it yet. Pure.

A shape is asked for what is wrong with a value and answers with ``(path, what is accepted)``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from provider.resource import UNKNOWN, Properties

Wrong = tuple[str, str]
"""A property's path, and what is accepted there."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
NAME_WORDS = "at most 128 letters, digits, dots, dashes and underscores, a letter or digit first"
_LONGEST = 60


class Shape(Protocol):
    """What a value may be."""

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        """What is wrong with a value at a path."""
        ...


@dataclass(frozen=True)
class Text:
    """A text that matches a pattern as a whole; ``words`` say which."""

    pattern: str = r"[^\0]*"
    words: str = "a text without a zero byte"
    unknown: bool = False

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        if value is UNKNOWN:
            yield from _not_known(self.unknown, at)
        elif not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.DOTALL):
            yield at, f"must be {self.words}, not {shown(value)}"


@dataclass(frozen=True)
class Whole:
    """A whole number in a range."""

    least: int
    most: int
    unknown: bool = False

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        if value is UNKNOWN:
            yield from _not_known(self.unknown, at)
        elif not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            yield at, f"must be a whole number from {self.least} to {self.most}, not {shown(value)}"


@dataclass(frozen=True)
class Flag:
    """True or false."""

    unknown: bool = False

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        if value is UNKNOWN:
            yield from _not_known(self.unknown, at)
        elif not isinstance(value, bool):
            yield at, f"must be true or false, not {shown(value)}"


@dataclass(frozen=True)
class Items:
    """A list."""

    item: Shape
    least: int = 0
    unknown: bool = False

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        if value is UNKNOWN:
            yield from _not_known(self.unknown, at)
        elif not isinstance(value, list):
            yield at, f"must be a list, not {shown(value)}"
        else:
            items = cast("list[object]", value)
            if len(items) < self.least:
                yield at, f"must have at least {self.least} item"
            for index, item in enumerate(items):
                yield from self.item.wrong(item, f"{at}[{index}]")


@dataclass(frozen=True)
class Entries:
    """A map whose keys are names of one kind."""

    key: Text
    item: Shape
    unknown: bool = False

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        if value is UNKNOWN:
            yield from _not_known(self.unknown, at)
        elif not isinstance(value, dict):
            yield at, f"must be a map, not {shown(value)}"
        else:
            for key, item in cast(Properties, value).items():
                if not re.fullmatch(self.key.pattern, key, re.DOTALL):
                    yield at, f"{shown(key)} must be {self.key.words}"
                yield from self.item.wrong(item, f"{at}.{key}")


@dataclass(frozen=True)
class Anything:
    """Whatever; the resource only keeps it."""

    def wrong(self, value: object, at: str) -> Iterator[Wrong]:
        yield from ()


@dataclass(frozen=True)
class Record:
    """Named properties. ``optional`` ones may be absent or null; with ``closed``, others are refused."""

    required: Mapping[str, Shape]
    optional: Mapping[str, Shape]
    unknown: bool = False
    closed: bool = True

    def wrong(self, value: object, at: str = "") -> Iterator[Wrong]:
        if value is UNKNOWN:
            yield from _not_known(self.unknown, at)
            return
        if not isinstance(value, dict):
            yield at, f"must be a map, not {shown(value)}"
            return
        found = cast(Properties, value)
        shapes = {**self.required, **self.optional}
        for name, shape in shapes.items():
            path = f"{at}.{name}" if at else name
            if found.get(name) is not None:
                yield from shape.wrong(found[name], path)
            elif name in self.required:
                yield path, "is missing"
        for name in sorted(found.keys() - shapes.keys()) if self.closed else ():
            path = f"{at}.{name}" if at else name
            if found[name] is not None:
                near = difflib.get_close_matches(name, shapes, 1)
                known = f"did you mean {near[0]}" if near else f"there are {', '.join(sorted(shapes))}"
                yield path, f"is no property of this type; {known}"


def shown(value: object) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def has_unknown(value: object) -> bool:
    """Whether a value, or one in it, exists only after an apply."""
    if isinstance(value, dict):
        return any(map(has_unknown, cast(Properties, value).values()))
    if isinstance(value, list):
        return any(map(has_unknown, cast("list[object]", value)))
    return value is UNKNOWN


def _not_known(allowed: bool, at: str) -> Iterator[Wrong]:
    if not allowed:
        yield at, "must be known when it is planned; give a plain value instead of another resource's output"
