"""A configuration as it is found: a Pulumi.<stack>.yaml on disk, or the texts that Pulumi hands over."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from components.environment import stack_file
from components.environment.parsing import TOP_KEYS, parse
from components.environment.platforms import Environment
from components.environment.problems import ConfigError, Problem


def parse_json(config: Mapping[str, str | None], project: str) -> Environment:
    """Understand a configuration as Pulumi hands it to a program of ``project``: JSON texts by full keys.

    Keys of other namespaces are not ours. Raises ConfigError with every mistake.
    """
    own = stack_file.own_values(config, project)
    values = {key: _from_text(value) for key, value in own.items()}
    foreign = [key for key in config if stack_file.own_key(key, project) is None]
    return _parsed(values, foreign, project)


def read(path: Path, project: str | None = None) -> Environment:
    """Read the file of a stack of ``project``, by default the one of the Pulumi.yaml beside it.

    Raises ConfigError with every mistake and its line; if the file isn't YAML, with the line where that ends.
    """
    project = project or stack_file.project_of(path)
    file = stack_file.load(path, project)
    values = {key: _from_text(value) for key, value in file.config.items()}
    try:
        return _parsed(values, file.foreign, project)
    except ConfigError as error:
        located = [replace(problem, line=_line(problem, file.lines)) for problem in error.problems]
        raise ConfigError(located, source=path.name) from None


def _parsed(values: Mapping[str, object], foreign: Sequence[str], project: str) -> Environment:
    others = {key: value for key, value in values.items() if key not in TOP_KEYS}
    try:
        return parse(values.get("platform"), values.get("models"), others)
    except ConfigError as error:
        missing = [key for key in TOP_KEYS if key not in values]
        raise ConfigError(
            _hinted(p, foreign, project) if p.path in missing else p for p in error.problems
        ) from None


def _hinted(problem: Problem, foreign: Sequence[str], project: str) -> Problem:
    """Name the key of another project that a missing key stands under, as after a change of the name."""
    for key in foreign:
        namespace, _, name = key.rpartition(":")
        if name == problem.path:
            text = f"{key} is a key of the project {namespace}, and this one is {project}"
            return replace(problem, suggestion=f"{text}: write {stack_file.NAMESPACE}:{name}.")
    return problem


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
