"""A Pulumi.<stack>.yaml from disk, understood the way Pulumi itself reads it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import yaml

from components.environment.parsing import TOP_KEYS, parse
from components.environment.problems import ConfigError, Problem
from components.environment.values import Environment

PROJECT: Final = "model-delivery"


def parse_json(platform: str | None, models: str | None, other_keys: tuple[str, ...] = ()) -> Environment:
    """Understand the two values as Pulumi hands them to a program: JSON texts, None if absent.

    Raises ConfigError with every mistake.
    """
    return parse(_from_text(platform), _from_text(models), other_keys)


def read(path: Path, project: str = PROJECT) -> Environment:
    """Read the file of a stack.

    Raises ConfigError with every mistake; where the file isn't YAML, with the name of the file and the line.
    """
    config = _config(path)
    prefix = f"{project}:"
    own = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    others = [key for key in own if key not in TOP_KEYS]
    values = [_from_text(value) if isinstance(value, str) else value for value in map(own.get, TOP_KEYS)]
    try:
        return parse(values[0], values[1], others)
    except ConfigError as error:
        raise ConfigError(error.problems, source=path.name) from None


def _from_text(text: str | None) -> object:
    """Take the JSON out of a text. Any other text stays what it is: the parser says what is due instead."""
    if text is None:
        return None
    try:
        return cast(object, json.loads(text))
    except (ValueError, RecursionError):
        return text


def _config(path: Path) -> Mapping[str, object]:
    """Load the file's `config` map."""

    def failed(message: str, line: int | None = None, value: object = None) -> ConfigError:
        where = f"{path.name}:{line}" if line else path.name
        return ConfigError([Problem(path=where, value=value, message=message)], source=path.name)

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise failed(f"there is no such file in {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise failed(f"can't be read: {error}") from None
    try:
        whole: object = yaml.load(text, Loader=_Loader)  # noqa: S506  (it is a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise failed(
            f"isn't YAML: {error.problem or error.context}", mark.line + 1 if mark else None
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise failed(f"isn't YAML: {error}") from None
    if whole is None:
        return {}
    config = cast(Mapping[object, object], whole).get("config") if isinstance(whole, Mapping) else whole
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise failed("config must be a map", value=config)
    return {str(key): value for key, value in cast(Mapping[object, object], config).items()}


class _Loader(yaml.SafeLoader):
    """YAML as Pulumi's own parser (Go's yaml.v3) resolves it.

    Only true and false are booleans (`on`, `yes` and `n` are text), dates are text, 1:30 isn't a number, and a
    key that stands twice in one map is an error.
    """


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    patterns = {
        "null": (r"~|null|Null|NULL|", "~nN"),
        "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
        "int": (r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
        "float": (
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
            "-+.0123456789",
        ),
        "merge": (r"<<", "<"),
    }
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, (pattern, firsts) in patterns.items():
        for first in [*firsts, ""] if tag == "null" else firsts:
            table.setdefault(first, []).append((f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})\\Z")))
    return table


_Loader.yaml_implicit_resolvers = _resolvers()


def _construct_map(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
    first_lines: dict[object, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = cast(object, loader.construct_object(key_node))
        line = key_node.start_mark.line + 1
        if isinstance(key, str | int | float | bool) and key in first_lines:
            problem = f"the key {key} stands twice in one map, first in line {first_lines[key]}"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        if isinstance(key, str | int | float | bool):
            first_lines[key] = line
    return cast(dict[object, object], yaml.SafeLoader.construct_mapping(loader, node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_map)
