"""A configuration as it is found: a Pulumi.<stack>.yaml on disk, or the texts that Pulumi hands over."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from components.environment import stack_file
from components.environment.parsing import TOP_KEYS, parse
from components.environment.platforms import Environment
from components.environment.problems import ConfigError, Problem

PROJECT: Final = "model-delivery"


def parse_json(
    platform: str | None, models: str | None, others: Mapping[str, str | None] | None = None
) -> Environment:
    """Understand the two values as Pulumi hands them to a program: JSON texts, None if absent.

    `others` are the further keys of the project's namespace, each of which is a mistake. Raises ConfigError
    with every mistake.
    """
    further = {key: _from_text(value) for key, value in (others or {}).items()}
    return parse(_from_text(platform), _from_text(models), further)


def read(path: Path, project: str = PROJECT) -> Environment:
    """Read the file of a stack.

    Raises ConfigError with every mistake and its line; if the file isn't YAML, with the line where that ends.
    """
    file = stack_file.load(path, project)
    values = {key: _from_text(value) for key, value in file.config.items()}
    others = {key: value for key, value in values.items() if key not in TOP_KEYS}
    try:
        return parse(values.get("platform"), values.get("models"), others)
    except ConfigError as error:
        located = [replace(problem, line=_line(problem, file.lines)) for problem in error.problems]
        raise ConfigError(located, source=path.name) from None


def _from_text(value: object) -> object:
    """Take the JSON out of a text, as Pulumi does. What isn't JSON stays: the parser says what is due."""
    if not isinstance(value, str):
        return value
    if not value:
        return None  # Pulumi hands a key without a value over as an empty text
    try:
        return cast(object, json.loads(value))
    except (ValueError, RecursionError):
        return value


def _line(problem: Problem, lines: Mapping[str, int]) -> int | None:
    """Find the line of a problem: of the value itself or, if it is missing, of the nearest map around it."""
    path = problem.path
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path)
