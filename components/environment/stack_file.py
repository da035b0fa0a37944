"""The `config` of a Pulumi.<stack>.yaml, resolved the way the Pulumi CLI does, and the line of each value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import yaml

from components.environment.problems import ConfigError, Problem, dotted

NAMESPACE: Final = "model-delivery"
"""Keys are written with it (``model-delivery:models``), or with the project's own name, whatever that is, or
without either, which Pulumi takes for the project's name.
"""
_DEEPEST = 5  # models.churn.canary.weight, below `config`
_TWICE: Final = f"stands twice: with and without {NAMESPACE}:, or with {{project}}:; keep one"
_PREFIX: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """What a file has under `config`, for one project: keys without the project's namespace."""

    config: Mapping[str, object]
    foreign: tuple[str, ...] = ()
    """Keys of other namespaces, as they are written."""
    lines: Mapping[str, int]
    """The line of each value by its dotted path; through `<<`, the line where it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole YAML file: its value, None where the file is empty, and the line of each value by its path."""

    value: object
    lines: Mapping[str, int]


def document(path: Path) -> Document:
    """Load any YAML file by the same rules. Raises ConfigError if it can't be read or isn't YAML."""
    node, value = _loaded(path)
    return Document(value=value, lines={dotted(keys): line for keys, line in _lines(node)} if node else {})


def _failed(path: Path, message: str, line: int | None = None) -> ConfigError:
    where = f"{path.name}:{line}" if line else path.name
    return ConfigError([Problem(path=where, message=message)], source=path.name)


def _loaded(path: Path) -> tuple[yaml.Node | None, object]:
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        return node, cast(object, loader.construct_document(node) if node else None)
    except FileNotFoundError:
        raise _failed(path, f"there is no such file in {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _failed(path, f"can't be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _failed(
            path, f"broken YAML: {error.problem or error.context}", mark.line + 1 if mark else None
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _failed(path, f"broken YAML: {' '.join(str(error).split())}") from None


def load(path: Path, project: str) -> StackFile:
    """Load a file of a project. Raises ConfigError if it can't be read, or isn't YAML that Pulumi takes."""
    node, whole = _loaded(path)
    if not isinstance(node, yaml.MappingNode):
        if node is None:
            return StackFile(config={}, lines={})
        raise _failed(path, "must be a map with the key config", 1)
    config = cast(dict[str, object], whole).get("config")
    if config is None:
        return StackFile(config={}, lines={})
    found = _child(node, "config")
    if not isinstance(config, dict):
        raise _failed(path, "config must be a map", found.start_mark.line + 1)
    values: dict[str, object] = {}
    for key, value in cast(dict[str, object], config).items():
        own = own_key(key, project)
        if own in values:
            # Pulumi takes either of the two, not always the same.
            line = next(line for keys, line in _lines(found) if keys == (key,))
            raise _failed(path, f"the key {own} {_TWICE.format(project=project)}", line)
        if own:
            values[own] = value
    lines = {dotted(_own_path(keys, project)): line for keys, line in _lines(found)}
    foreign = tuple(key for key in cast(dict[str, object], config) if own_key(key, project) is None)
    return StackFile(config=values, foreign=foreign, lines=lines)


def own_key(key: str, project: str = NAMESPACE) -> str | None:
    """Take the namespace off a key of ours (see ``NAMESPACE``); None for a key of another namespace."""
    namespace, colon, name = key.rpartition(":")
    return name if not colon or namespace in (NAMESPACE, project) else None


def own_values(config: Mapping[str, str | None], project: str) -> dict[str, str | None]:
    """Return what Pulumi hands over to a program of ``project`` under our keys, without their namespaces.

    Raises ConfigError for a key that stands there under both namespaces.
    """
    values: dict[str, str | None] = {}
    problems: list[Problem] = []
    for key, value in config.items():
        own = own_key(key, project)
        if own in values:
            problems.append(Problem(path=own, message=_TWICE.format(project=project)))
        elif own is not None:
            values[own] = value
    if problems:
        raise ConfigError(problems)
    return values


def project_of(path: Path) -> str:
    """Return the name of the project that a stack's file belongs to: the Pulumi.yaml beside it says so.

    Where there is none, or none that can be read, it is ``NAMESPACE``.
    """
    try:
        node, value = _loaded(path.with_name("Pulumi.yaml"))
    except ConfigError:
        return NAMESPACE
    name = cast(dict[str, object], value).get("name") if isinstance(node, yaml.MappingNode) else None
    return name if isinstance(name, str) and name else NAMESPACE


def _own_path(keys: tuple[str, ...], project: str) -> tuple[str, ...]:
    return (own_key(keys[0], project) or keys[0], *keys[1:])


def _child(node: yaml.MappingNode, name: str) -> yaml.Node:
    return next(value for key, value in _pairs(node) if key.value == name)


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return cast(list[tuple[yaml.Node, yaml.Node]], node.value)


def _lines(node: yaml.Node, above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], int]]:
    """List the keys that lead to each value below a node, with the line of the last of them."""
    found: list[tuple[tuple[str, ...], int]] = []
    if isinstance(node, yaml.MappingNode) and len(above) < _DEEPEST:
        for key, value in _pairs(node):
            keys = (*above, str(key.value))
            found.append((keys, key.start_mark.line + 1))
            found.extend(_lines(value, keys))
    return found


class _Loader(yaml.SafeLoader):
    """YAML as the CLI's parser (Go's yaml.v3) resolves it.

    Only true and false are booleans (`on`, `yes` and `n` are text), dates are text, 1:30 isn't a number, keys
    are text, and a key that stands twice in one map is an error.
    """


# The patterns of plain scalars, and the characters that each can begin with.
_SCALARS: Final[tuple[tuple[str, str, str], ...]] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
)
_Loader.yaml_implicit_resolvers = {
    first: [
        (_PREFIX + tag, re.compile(rf"(?:{pattern})\Z"))
        for tag, pattern, firsts in _SCALARS
        if first in firsts  # an empty scalar is in every one of them, and only null's pattern takes it
    ]
    for first in ["", *"~nNtTfF-+.0123456789<"]
}


def _construct_map(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
    lines: dict[str, int] = {}
    for key, _ in _pairs(node):
        if key.tag == f"{_PREFIX}merge" or not isinstance(key, yaml.ScalarNode):
            continue
        key.tag = f"{_PREFIX}str"
        text = str(key.value)
        if text in lines:
            problem = f"the key {text} stands twice in one map, first in line {lines[text]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        lines[text] = key.start_mark.line + 1
    return cast(dict[object, object], loader.construct_mapping(node, deep=True))


_Loader.add_constructor(f"{_PREFIX}map", _construct_map)
