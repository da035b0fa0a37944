"""One map of the configuration: typed values are taken out of it, and every problem on the way is noted."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

from components.environment.problems import MISSING, Problem, dotted, nearest, show

Name = TypeVar("Name", bound=str)

_UNSUPPORTED = "not supported by this version; accepted: "


@dataclass(slots=True, kw_only=True)
class Section:
    """A map found at `path` with the text keys it has. A getter returns None for what is absent or wrong."""

    path: tuple[object, ...]
    values: Mapping[str, object]
    problems: list[Problem]
    excused: set[str] = field(default_factory=set[str])
    """Keys whose absence a problem already explains: a misspelt key isn't reported as a missing one too."""

    def has(self, key: str) -> bool:
        """Say whether the key is there, or was probably meant by one that is."""
        return key in self.values or key in self.excused

    def problem(self, key: str, message: str, suggestion: str | None = None) -> None:
        """Note a problem with a key of this map."""
        path = dotted((*self.path, key))
        value = self.values.get(key, MISSING)
        self.problems.append(Problem(path=path, value=value, message=message, suggestion=suggestion))

    def require(self, key: str, accepted: str) -> None:
        """Note a problem if a key is absent."""
        if not self.has(key):
            self.problem(key, f"required, {accepted}")

    def section(
        self, key: str, *, accepted: Collection[str], later: Collection[str] = (), example: str
    ) -> "Section | None":
        """Take a map, whose keys are `accepted` or, `later`, known but not supported by this version."""
        if key not in self.values:
            return None
        found = open_section(self.values[key], (*self.path, key), self.problems, example)
        if found:
            found.only(accepted, later)
        return found

    def inner(self, key: str) -> "Section":
        """Open a map that has been taken before, to note a further problem with a key of it."""
        value = self.values.get(key)
        values: Mapping[str, object] = {}
        if isinstance(value, Mapping):
            values = cast(Mapping[str, object], value)
        return Section(path=(*self.path, key), values=values, problems=self.problems)

    def names(self, key: str) -> tuple[str, ...]:
        """The keys of a map whose keys are the reader's own, those that are text."""
        return tuple(name for name in self.inner(key).values if isinstance(name, str))  # pyright: ignore[reportUnnecessaryIsInstance]

    def only(self, accepted: Collection[str], later: Collection[str] = ()) -> None:
        """Note a problem for every key that isn't accepted here."""
        names = ", ".join(sorted(accepted))
        for key in self.values:
            if key in accepted:
                continue
            if key in later:
                self.problem(key, _UNSUPPORTED + names)
                continue
            near = nearest(key, sorted(set(accepted).difference(self.values)))
            if near:
                self.excused.add(near)
            self.problem(key, f"unknown key; accepted: {names}", f"Did you mean {near}?" if near else None)

    def whole(self, key: str, low: int, high: int, *, percentage: bool = False) -> int | None:
        """Take a whole number within low..high. 10.0 is one: Pulumi hands it to a program as 10."""
        if key not in self.values:
            return None
        value = self.values[key]
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and low <= value <= high
            and value == int(value)
        ):
            return int(value)
        self.problem(key, f"must be a whole number from {low} to {high}", _number_hint(value, percentage))
        return None

    def number(self, key: str, low: float, high: float) -> float | None:
        """Take a number within low..high, in steps of 0.001."""
        if key not in self.values:
            return None
        value = self.values[key]
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and low <= value <= high
            and round(value, 3) == value
        ):
            return float(value)
        message = f"must be a number from {low:g} to {high:g}, in steps of 0.001"
        self.problem(key, message, _number_hint(value, percentage=False))
        return None

    def matching(self, key: str, pattern: re.Pattern[str], accepted: str) -> str | None:
        """Take a text that a pattern matches as a whole."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self.problem(key, accepted)
        return None

    def texts(self, key: str, pattern: re.Pattern[str], accepted: str) -> tuple[str, ...] | None:
        """Take a list of different texts, each of which a pattern matches as a whole; it isn't empty."""
        if key not in self.values:
            return None
        value = self.values[key]
        items = cast(list[object], value) if isinstance(value, list) else []
        texts = [item for item in items if isinstance(item, str) and pattern.fullmatch(item)]
        if texts and len(texts) == len(items) and len(set(texts)) == len(texts):
            return tuple(texts)
        self.problem(key, accepted)
        return None

    def flag(self, key: str) -> bool | None:
        """Take true or false."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, bool):
            return value
        self.problem(key, "must be true or false")
        return None

    def line(self, key: str, longest: int) -> str | None:
        """Take one line of printable text that isn't blank."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, str) and value.isprintable() and value.strip() and len(value) <= longest:
            return value
        self.problem(key, f"must be one line of text, 1 to {longest} characters")
        return None

    def choice(self, key: str, accepted: Collection[Name], later: Collection[str] = ()) -> Name | None:
        """Take one of the accepted names."""
        if key not in self.values:
            return None
        value = self.values[key]
        for name in accepted:
            if value == name:
                return name
        names = ", ".join(accepted)
        if isinstance(value, str) and value in later:
            self.problem(key, _UNSUPPORTED + names)
        else:
            near = nearest(value, accepted)
            self.problem(key, f"must be one of: {names}", f"Did you mean {near}?" if near else None)
        return None


def open_section(
    value: object, path: tuple[object, ...], problems: list[Problem], example: str
) -> Section | None:
    """Open a value that must be a map; keys that aren't text are problems and are left out."""
    if not isinstance(value, Mapping):
        problems.append(Problem(path=dotted(path), value=value, message=f"must be a map such as {example}"))
        return None
    values: dict[str, object] = {}
    for key, inner in cast(Mapping[object, object], value).items():
        if isinstance(key, str):
            values[key] = inner
        else:
            message = f"a key must be text, this one is {show(key)}"
            problems.append(Problem(path=dotted((*path, key)), value=inner, message=message))
    return Section(path=path, values=values, problems=problems)


def _number_hint(value: object, percentage: bool) -> str | None:
    """Say how to write what a value probably means as a number."""
    if percentage and isinstance(value, float) and 0 < value < 1:
        return "It is a percentage, not a fraction."
    digits = re.fullmatch(r"\s*([0-9]{1,9})\s*(%?)\s*", value) if isinstance(value, str) else None
    if digits:
        return f"Write it without {'%' if digits[2] else 'quotes'}: {int(digits[1])}."
    return None
