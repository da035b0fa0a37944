"""Mistakes in a configuration: where each is, what stands there, what is accepted, what was meant."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Final, cast


class Missing(Enum):
    """The value of a key that isn't there, which null is not."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake.

    `path` is written as `pulumi config set --path` takes it (`models.churn.canary.weight`), or is `file:line`
    where the file isn't YAML. `value` is what stands there, `MISSING` if nothing does. `message` says what is
    accepted; `suggestion`, if any, what was probably meant. `line` is known where a file was read.
    """

    path: str
    message: str
    value: object = MISSING
    suggestion: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        line = f"line {self.line}, " if self.line else ""
        value = "" if self.value is MISSING else f" is {show(self.value)}"
        suggestion = f" {self.suggestion}" if self.suggestion else ""
        return f"{line}{self.path}{value}: {self.message}.{suggestion}"


class ConfigError(ValueError):
    """A configuration that can't be used. `problems` has every mistake, sorted by path; str() lists them."""

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem], source: str = "the configuration") -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.path, problem.message)))
        count = len(self.problems)
        title = f"{source} has {count} mistake{'s' if count > 1 else ''}:"
        super().__init__("\n".join([title, *(f"  {problem}" for problem in self.problems)]))


def dotted(keys: Sequence[object]) -> str:
    """Write the path of a value, given the keys that lead to it, as Pulumi's `--path` takes it."""
    path = ""
    for key in keys:
        if not isinstance(key, str):
            path += f"[{show(key)}]"
        elif re.fullmatch(r"[\w-]+", key):
            path += f".{key}" if path else key
        else:
            path += f"[{show(key)}]"
    return path


_LONGEST_SHOWN = 60


def show(value: object) -> str:
    """Write a value in one short line the way it stands in YAML; a map or a list only by its size."""
    if isinstance(value, str):
        short = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"
        return json.dumps(short, ensure_ascii=not short.isprintable())
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() > 64:
        return "a very large number"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        if set(cast(dict[object, object], value)) == {"secure"}:
            return "an encrypted value"
        size = len(cast(dict[object, object], value))
        return f"a map of {size} key{'' if size == 1 else 's'}"
    if isinstance(value, list):
        size = len(cast(list[object], value))
        return f"a list of {size} item{'' if size == 1 else 's'}"
    return f"a value of type {type(value).__name__}"


def nearest(word: object, names: Iterable[str]) -> str | None:
    """Find the name that was probably meant by a word; None if no name is near it."""
    if not isinstance(word, str):
        return None
    folded = {name.casefold(): name for name in names}
    found = get_close_matches(word[:_LONGEST_SHOWN].casefold(), folded, n=1)
    return folded[found[0]] if found else None
