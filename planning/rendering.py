"""A plan as text: what changes down to the nested property, and a whole graph with every input.

The same plan gives the same text on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from planning.stack import Step
from provider.resource import value_at

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes a value that isn't known yet."""
_MARKS = {"create": "+", "update": "~", "delete": "-", "replace": "+-", "read": ">", "refresh": "~"}
_PARTS = ("create-replacement", "delete-replaced", "discard-replaced", "read-replacement")
"""Steps of a replacement, which `replace` stands for."""
_LONGEST = 100


def changes(steps: Iterable[Step], hide: Mapping[str, str]) -> str:
    """What an apply would do, sorted by type and name. Texts in ``hide`` are shown as it says."""
    lines: list[str] = []
    count: Counter[str] = Counter()
    for step in sorted(steps, key=lambda step: (_plain(step.type), step.name, step.op)):
        count[step.op] += 1
        if step.op == "same" or step.op in _PARTS:
            continue
        lines.append(f"{_MARKS.get(step.op, step.op):<2} {_plain(step.type)} {step.name}")
        if step.op in ("update", "replace"):
            for path in sorted(step.paths):
                old, new = value_at(step.old_inputs, path), value_at(step.inputs, path)
                lines.append(f"     {path}: {_shown(old, hide)} => {_shown(new, hide)}")
    words = [f"{count[op]} {op}" for op in ("create", "update", "replace", "delete", "same") if count[op]]
    return "\n".join([*lines, ", ".join(words), ""])


def graph(steps: Iterable[Step], hide: Mapping[str, str]) -> str:
    """Every resource with its inputs, one a line, sorted."""
    lines: list[str] = []
    for step in sorted(steps, key=lambda step: (step.type, step.name)):
        options = "".join(f" [{word}]" for word in ("protect", "retainOnDelete") if word in step.options)
        lines.append(f"{step.type} {step.name}{options}")
        if not step.type.endswith("pulumi:pulumi:Stack"):
            lines += [f"    {line}" for line in _leaves(step.inputs, "", hide)]
    return "\n".join([*lines, ""])


def _plain(type_: str) -> str:
    return type_.rpartition("$")[2]


def _leaves(value: Any, at: str, hide: Mapping[str, str]) -> Iterator[str]:
    leaf: object = value
    if isinstance(value, dict) and value:
        entries = cast("dict[str, Any]", value)
        for key in sorted(entries):
            yield from _leaves(entries[key], f"{at}.{key}" if at else key, hide)
    elif isinstance(value, list) and value:
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(item, f"{at}[{index}]", hide)
    elif not (at == "version" and re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", str(leaf))):
        # The version of a provider's SDK is in uv.lock.
        yield f"{at}: {_shown(leaf, hide)}"


def _shown(value: object, hide: Mapping[str, str]) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text)
    # MLflow's id of a run.
    text = re.sub(r'"[0-9a-f]{32}"', '"<run>"', text)
    for found, instead in hide.items():
        text = text.replace(found, instead)
    text = text.replace(f'"{UNKNOWN}"', "<known after apply>").replace(UNKNOWN, "<known after apply>")
    if len(text) <= _LONGEST:
        return text
    return (
        f"{text[: _LONGEST - 30]}… ({len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()[:12]})"
    )
