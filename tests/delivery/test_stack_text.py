"""A step written into a file's text: the lines that say it change, and not a character else."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.stack_text import NotEditableError, with_step
from policy.steps import Canary, Step, step
from tests.environments import environment_file


def written(text: str, model: str, to: Step) -> str:
    return with_step(text, model, to, "model-delivery")


def at(stable: int, version: int | None = None, weight: int = 0, shadow: bool = False) -> Step:
    canary = None if version is None else Canary(version=version, weight=weight, shadow=shadow)
    return Step(stable=stable, canary=canary)


def changed(before: str, after: str) -> list[str]:
    """The lines of a git diff, without its context."""
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line[0] + line[2:].rstrip("\n") for line in lines if line[0] in "+-"]


def common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


LOCAL = environment_file("local").read_text()
PROD = environment_file("prod").read_text()


@pytest.mark.parametrize(
    ("text", "model", "to", "lines"),
    [
        (LOCAL, "tumour", at(1, 2, 50), ["weight: 10} #", "weight: 50} #"]),
        (PROD, "fraud", at(4, 3, 0), ["stable: {version: 3}", "canary: {version: 4, weight: 10}"]),
    ],
)
def test_the_shipped_files_change_in_their_lines_alone(
    text: str, model: str, to: Step, lines: list[str]
) -> None:
    found = changed(text, written(text, model, to))
    assert len(found) in (2, 4)
    assert all(any(part in line for line in found) for part in lines), found


def test_a_canary_that_goes_takes_its_line() -> None:
    assert sorted(changed(PROD, written(PROD, "fraud", at(4)))) == [
        "+      stable: {version: 4}",
        "-      canary: {version: 4, weight: 10}",
        "-      stable: {version: 3}",
    ]


def test_a_canary_that_comes_is_one_line_after_stable() -> None:
    alone = written(PROD, "fraud", at(3))
    assert changed(alone, written(alone, "fraud", at(3, 4, 10))) == [
        "+      canary: {version: 4, weight: 10}"
    ]
    assert written(alone, "fraud", at(3, 4, 10)) == PROD


def test_a_shadow_that_answers_has_a_weight_in_its_place() -> None:
    assert changed(PROD, written(PROD, "vision", at(7, 8, 10))) == [
        "-      canary: {version: 8, shadow: true}",
        "+      canary: {version: 8, weight: 10}",
    ]


CASES = {
    "first of a flow map": (
        "{a: {canary: {weight: 1, version: 2}, stable: {version: 1}}}",
        at(1),
        "{a: {stable: {version: 1}}}",
    ),
    "into a flow map": (
        "{a: {stable: {version: 1}}}",
        at(1, 2, 5),
        "{a: {stable: {version: 1}, canary: {version: 2, weight: 5}}}",
    ),
    "JSON": ('{"a": {"stable": {"version": 1}}}', at(2), '{"a": {"stable": {"version": 2}}}'),
    "no line at the end": (
        "\n  a:\n   stable:\n    version: 1",
        at(1, 2, 5),
        "\n  a:\n   stable:\n    version: 1\n   canary: {version: 2, weight: 5}",
    ),
    "a block with a comment in it": (
        "\n  a:\n   canary:\n    version: 2\n    # o\n    weight: 3\n\n   # kept\n   stable: {version: 1}\n",
        at(1),
        "\n  a:\n\n   # kept\n   stable: {version: 1}\n",
    ),
    "a flow map over several lines": (
        "\n  a: {stable: {version: 1}, # one\n   canary: {version: 2, weight: 3}, # two\n   owner: me}\n",
        at(1),
        "\n  a: {stable: {version: 1}, # one\n    # two\n   owner: me}\n",
    ),
    "the last of it": (
        "\n  a: {stable: {version: 1}, # one\n   canary: {version: 2, weight: 3}}\n",
        at(1),
        "\n  a: {stable: {version: 1}, # one\n   }\n",
    ),
    "the last of it, with a comma": (
        "\n  a: {stable: {version: 1}, # one\n   canary: {version: 2, weight: 3} ,}\n",
        at(1),
        "\n  a: {stable: {version: 1}, # one\n   }\n",
    ),
    "another shadow": (
        "\n  a:\n   stable: {version: 1}\n   canary: {version: 2, shadow: true}\n",
        at(1, 3, shadow=True),
        "\n  a:\n   stable: {version: 1}\n   canary: {version: 3, shadow: true}\n",
    ),
    "a shadow of what had a weight": (
        "\n  a:\n   stable: {version: 1}\n   canary: {version: 2, weight: 9}\n",
        at(1, 2, shadow=True),
        "\n  a:\n   stable: {version: 1}\n   canary: {version: 2, shadow: true}\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_write_a_model_is_kept(case: str) -> None:
    before, to, after = CASES[case]
    assert written(f"config:\n models: {before}", "a", to) == f"config:\n models: {after}"


MODELS = "config:\n  models:\n    "
ONE = "{stable: {version: 1}}"
CANARY = "canary: {version: 4, weight: 10}"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["a last line end", "none"])
@pytest.mark.parametrize(
    ("text", "step", "change"),
    [
        # A byte order mark, a document's marks, names that are the beginning of another.
        (f"\ufeff---\n{MODELS}a-b: {ONE}\n    a: {ONE}\n    a.b: {ONE}\n...\n", at(2), (4, "1", "2")),
        # A number that others refer to stays theirs, and one in another spelling stays as it is.
        (f"{MODELS}a: {{stable: {{version: &v 3}}, {CANARY}}}\n    b: *v\n", at(3, 4, 60), (2, "10", "60")),
        (f"{MODELS}a: {{stable: {{version: !!int 3}}, {CANARY}}}\n", at(3, 4, 60), (2, "10", "60")),
        (f"{MODELS}a: {{stable: {{version: 0x3}}, {CANARY}}}\n", at(3, 4, 60), (2, "10", "60")),
        # Keys that are marked as such, and values that only Pulumi can read.
        (
            f"s: {{secure: v1:a=b}}\n{MODELS}a:\n      ? stable\n      : {{? version : 1}}\n",
            at(2),
            (5, "1", "2"),
        ),
    ],
)
def test_strange_files_change_in_one_line(
    text: str, step: Step, change: tuple[int, str, str], last: bool, end: str
) -> None:
    lines = text.removesuffix("\n").split("\n")
    number, before, after = change
    assert lines[number].count(before) == 1
    wanted = [*lines[:number], lines[number].replace(before, after), *lines[number + 1 :]]
    tail = end if last else ""
    assert with_step(end.join(lines) + tail, "a", step, "model-delivery") == end.join(wanted) + tail


@pytest.mark.parametrize(
    "text",
    [
        'config: {models: \'{"a": {"stable": {"version": 1}}}\'}',
        "config: {models: {a: {stable: [1]}}}",
        "config: {models: {a: {stable: {version: [1]}}}}",
        "config: {models: {a: {stable: {}}}}",
        "[]",
    ],
)
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(NotEditableError):
        written(text, "a", at(2))


@dataclass
class Style:
    """How a person writes a map."""

    draw: Any

    def choice(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def comment(self, indent: int) -> str:
        return self.choice("", "", f"{' ' * indent}# {{x: y}}, canary: 1\n", "\n")

    def tail(self) -> str:
        return self.choice("", "", " # {version: 7}, 'x", "  ")

    def key(self, key: str) -> str:
        return self.choice(key, key, f'"{key}"')

    def block(self, value: dict[str, Any], indent: int) -> str:
        text = ""
        for key, inner in value.items():
            text += self.comment(indent)
            text += " " * indent + self.key(key) + ":"
            if isinstance(inner, dict) and self.choice(True, False):
                text += self.tail() + "\n" + self.block(inner, indent + self.choice(1, 2, 4))
            else:
                text += " " + self.flow(inner, indent) + self.tail() + "\n"
        return text

    def flow(self, value: Any, indent: int) -> str:
        if not isinstance(value, dict):
            return str(value).lower() if isinstance(value, bool) else str(value)
        parts = [f"{self.key(k)}: {self.flow(v, indent)}" for k, v in value.items()]
        comma = self.choice(", ", ",  ", f",\n{' ' * (indent + 3)}", f", # c, d\n{' ' * (indent + 3)}")
        return "{" + self.choice("", " ") + comma.join(parts) + self.choice("", " ", ",") + "}"


def _canary(version: int, weight: int | None) -> dict[str, Any]:
    return {"version": version, **({"shadow": True} if weight is None else {"weight": weight})}


canaries = st.none() | st.builds(_canary, st.integers(100, 120), st.none() | st.integers(0, 100))


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Three models, their keys in any order."""
    found: dict[str, Any] = {}
    for name in ("a", "b", "c"):
        model: dict[str, Any] = {"stable": {"version": draw(st.integers(1, 9))}}
        canary = draw(canaries)
        model |= {"canary": canary} if canary else {}
        model |= draw(st.sampled_from([{}, {"owner": "me"}, {"autoscaling": {"min": 2, "max": 4}}]))
        found[name] = {key: model[key] for key in draw(st.permutations(list(model)))}
    return found


@settings(deadline=None)  # the machine may be busy
@given(models(), canaries, st.integers(1, 9), st.sampled_from("abc"), st.data())
def test_in_every_style_the_file_says_the_step_and_else_what_it_said(
    declared: dict[str, Any], canary: dict[str, Any] | None, stable: int, name: str, data: st.DataObject
) -> None:
    style = Style(data.draw)
    whole = {"secretsprovider": "kms", "config": {"model-delivery:platform": {"kind": "local"}}}
    whole["config"] |= {style.choice("model-delivery:models", "models"): declared, "other:key": 1}  # type: ignore[operator]
    text = style.block(whole, 0)
    if style.choice(True, False):
        text = text.replace("\n", "\r\n")
    if style.choice(True, False):
        text = text.rstrip()
    assert yaml.safe_load(text) == whole
    to = step({"stable": {"version": stable}, "canary": canary})
    after = written(text, name, to)
    wanted = {key: value for key, value in declared[name].items() if key != "canary"}
    wanted |= {"stable": {"version": stable}} | ({"canary": canary} if canary else {})
    found = yaml.safe_load(after)
    (key,) = (key for key in found["config"] if key.endswith("models"))
    assert found == {**whole, "config": {**whole["config"], key: {**declared, name: wanted}}}
    assert after.count("\n") == after.count("\r\n") or "\r" not in text
    start = common(text, after)
    touched = text[start : len(text) - common(text[start:][::-1], after[start:][::-1])]
    assert not [key for key in set("abc") - {name} if f"{key}:" in touched or f'"{key}":' in touched]
    assert len(changed(text, after)) <= 12, "lines of one model, not of all"
    same = step({"stable": declared[name]["stable"], "canary": declared[name].get("canary")})
    assert written(text, name, same) == text
