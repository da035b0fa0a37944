"""The text of a Pulumi.<stack>.yaml with one model's step changed and every other character kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import yaml

from components.environment.stack_file import own_key
from policy.steps import Canary, Step


class NotEditableError(Exception):
    """The text has its models in a way that isn't edited here. The message says what stands in the way."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Characters ``start`` to ``end`` give way to ``text``."""

    start: int
    end: int
    text: str


def with_step(text: str, model: str, step: Step, project: str) -> str:
    """The text with ``model`` at ``step``: as few lines as can be are changed, comments and order stay.

    A canary that comes is written on one line after ``stable``; one that goes takes its lines with it. Raises
    NotEditableError; whether the result says what it should is for the caller to check by reading it.
    """
    entry = _Map.of(_models(text, project).get(model), f"models.{model}")
    stable = _Map.of(entry.get("stable"), f"models.{model}.stable")
    cuts = _replaced(stable.value("version"), step.stable)
    found = entry.get("canary")
    if step.canary is None:
        cuts += [entry.removed("canary", text)] if found else []
    elif found is None:
        words = f"canary: {{version: {step.canary.version}, {_role(step.canary)}}}"
        cuts.append(entry.inserted(words, "stable", text))
    else:
        cuts += _canary(_Map.of(found, f"models.{model}.canary"), step.canary, text)
    for cut in sorted(cuts, key=lambda cut: cut.start, reverse=True):
        text = text[: cut.start] + cut.text + text[cut.end :]
    return text


def _role(canary: Canary) -> str:
    return "shadow: true" if canary.shadow else f"weight: {canary.weight}"


def _canary(found: _Map, canary: Canary, text: str) -> list[_Cut]:
    cuts = _replaced(found.value("version"), canary.version)
    weight, shadow = found.get("weight"), found.get("shadow")
    if canary.shadow:
        if weight is not None:
            cuts.append(found.renamed("weight", _role(canary)))
        elif shadow is None:
            cuts.append(found.inserted(_role(canary), "version", text))
    elif weight is not None:
        cuts += _replaced(weight, canary.weight)
    elif shadow is not None:
        # A shadow has no weight: the one line becomes the other.
        cuts.append(found.renamed("shadow", _role(canary)))
    else:
        cuts.append(found.inserted(_role(canary), "version", text))
    return cuts


class _Map:
    """A map of the text, with where its parts stand."""

    def __init__(self, node: yaml.MappingNode, path: str) -> None:
        self._node, self._path = node, path
        self._pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)

    @classmethod
    def of(cls, node: yaml.Node | None, path: str) -> _Map:
        """A node as a map. Raises NotEditableError where it is none."""
        if not isinstance(node, yaml.MappingNode):
            raise NotEditableError(f"{path} isn't written as a map of YAML")
        return cls(node, path)

    @property
    def flow(self) -> bool:
        """Whether it stands between braces."""
        return bool(self._node.flow_style)

    @property
    def keys(self) -> Sequence[str]:
        return [name.value for name, _ in self._pairs]

    def get(self, key: str) -> yaml.Node | None:
        return next((value for name, value in self._pairs if name.value == key), None)

    def value(self, key: str) -> yaml.Node:
        node = self.get(key)
        if node is None:
            raise NotEditableError(f"{self._path}.{key} isn't written there")
        return node

    def renamed(self, key: str, words: str) -> _Cut:
        """Write ``words`` in the place of a key and its value."""
        index = self._index(key)
        name, value = self._pairs[index]
        return _Cut(name.start_mark.index, _end(value), words)

    def inserted(self, words: str, after: str, text: str) -> _Cut:
        """Write ``words`` after the value of another key: on the same line, or on one of their own."""
        name, value = self._pairs[self._index(after)]
        end = _end(value)
        if self.flow:
            return _Cut(end, end, f", {words}")
        line = text.find("\n", end)
        indent = " " * name.start_mark.column
        if line < 0:
            return _Cut(len(text), len(text), f"\n{indent}{words}")
        newline = "\r\n" if text[line - 1] == "\r" else "\n"
        return _Cut(line + 1, line + 1, f"{indent}{words}{newline}")

    def removed(self, key: str, text: str) -> _Cut:
        """Take a key and its value out: its whole lines, or between braces what it takes with a comma."""
        index = self._index(key)
        name, value = self._pairs[index]
        start, end = name.start_mark.index, _end(value)
        if not self.flow:
            line = text.find("\n", end)
            return _Cut(text.rfind("\n", 0, start) + 1, len(text) if line < 0 else line + 1, "")
        if index + 1 < len(self._pairs):
            following = self._pairs[index + 1][0].start_mark.index
            return _Cut(start, _after_comma(text, end, following), "")
        before = _end(self._pairs[index - 1][1]) if index else start
        if "#" not in text[before:start]:
            return _Cut(before, end, "")
        # A comment on the way stays, and with it its comma, which YAML lets stand at the end, but not twice.
        rest = text[end : self._node.end_mark.index]
        comma = len(rest) - len(rest.lstrip()) + 1 if rest.lstrip().startswith(",") else 0
        return _Cut(start, end + comma, "")

    def _index(self, key: str) -> int:
        return next(index for index, (name, _) in enumerate(self._pairs) if name.value == key)


def _replaced(node: yaml.Node, number: int) -> list[_Cut]:
    """Nothing where the number stands there already, however it is written: others may refer to it."""
    if not isinstance(node, yaml.ScalarNode):
        raise NotEditableError("a version or a weight isn't written as a number")
    if yaml.safe_load(str(node.value)) == number:
        return []
    return [_Cut(node.start_mark.index, node.end_mark.index, str(number))]


def _after_comma(text: str, start: int, following: int) -> int:
    """Where the text goes on after an entry and its comma: at the next key if that is on its line."""
    position, comment = start, False
    while position < following and (comment or text[position] != ","):
        comment = text[position] != "\n" and (comment or text[position] == "#")
        position += 1
    position += 1
    rest = text[position:following]
    return following if not rest.strip(" \t") else position


def _end(node: yaml.Node) -> int:
    """Where a value ends: a block's own mark lies at what comes after it, behind blank lines and comments."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        return _end(pairs[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return _end(cast("list[yaml.Node]", node.value)[-1])
    return int(node.end_mark.index)


def _models(text: str, project: str) -> _Map:
    root = cast("yaml.Node | None", yaml.compose(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
    config = _Map.of(_Map.of(root, "the file").get("config"), "config")
    found = (config.get(key) for key in config.keys if own_key(key, project) == "models")
    return _Map.of(next(found, None), "models")
