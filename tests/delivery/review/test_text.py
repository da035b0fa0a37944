"""What isn't ours comes out as text, whatever is in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.review import as_json, markdown, terminal, text
from tests.delivery.review.building import Preview, reviewed, urn

HOSTILE = (
    "@everyone",
    "`@team` ```x",
    "<img src=x onerror=alert(1)>",
    "<!-- model-delivery review prod -->",
    "a | b | c",
    "](https://evil.example) [x",
    "**bold** _it_ ~~s~~ #1 GH-12",
    "\x1b[31mred\x1b[0m\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "line\n## heading\n\n- item\r\n> quote",
    "\u202eright to left\u2066 \u200b",
    "\u061cAL\u206aM \u3164\U000e0100\ufe0f\u034f",
    "$x^2$ www.evil.example https://evil.example",
    "```\n</details>",
    "",
)

APART = "&#8203;"


def outside_code(markdown_text: str) -> str:
    """Markdown without its code spans and blocks, which GitHub takes for text."""
    # A fence closes at a line with as many backticks: none in it has, or the rest would be outside.
    kept = re.sub(r"^(`{3,})diff\n.*?^\1$", "", markdown_text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", kept)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_values_and_messages_are_text(hostile: str) -> None:
    preview = (
        Preview()
        .rollout(hostile, {"stable": 1}, {"stable": 1, "canary": 2, "weight": 10}, owner=hostile)
        .release("same", hostile, 1, metrics={hostile: 0.5}, card=hostile)
        .release("create", hostile, 2, metrics={hostile: 0.6}, card=hostile + "2", owner=hostile)
        .step(
            "update",
            "a:b:C",
            hostile,
            {"tags": {hostile: "old"}},
            {"tags": {hostile: hostile + "new"}},
            {"tags": "update"},
        )
        .step("delete", "a:b:C", hostile + "gone", {"tags": {hostile: hostile}}, None)
        .policy("rule", f"{hostile}\nWhy: {hostile}\nFix: {hostile}", at=urn("a:b:C", hostile))
        .says("warning", hostile, urn("a:b:C", hostile))
        .outputs({hostile: hostile}, {hostile: "x"})
    )
    review = reviewed(preview)
    comment = markdown.render(review)
    ours = outside_code(comment).removesuffix(markdown.marker("prod") + "\n").replace(APART, "\u200b")
    assert not re.search(r"@\w", ours), "no mention"
    assert not re.search(r"#\d|(?<!\\)<img|<!--|https?://|www\.\w", ours)
    assert not re.search("[\x1b\u202e\u2066\u200b\r\u061c\u206a\u3164\U000e0100\u034f]", comment)
    assert comment.rstrip().endswith(markdown.marker("prod"))
    (heading,) = re.findall(r"^## .*", ours, re.MULTILINE)
    assert heading.startswith("## ⛔")
    rows = [line for line in comment.splitlines() if line.startswith(("| `", "| –"))]
    assert rows and {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {6}, "tables keep their columns"
    shown = terminal.render(review, colour=False)
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "\x1b" not in as_json.render(review)


@given(st.text())
def test_a_code_span_holds_any_text(value: str) -> None:
    span = text.code(value)
    fence = re.match(r"`*", span)
    assert "\n" not in span
    if span == "–":
        return
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert span.endswith(fence[0]) and fence[0]
    assert fence[0] not in re.findall(r"`+", inner)


@given(st.text(alphabet="@#`*_<>[]()|!~&$\\:/.aw1GH-\n \x1b"))
def test_prose_has_nothing_that_means_something(value: str) -> None:
    shown = text.prose(value).replace(APART, "\u200b")
    assert not re.search(r"(?<!\\)[`*_<>\[\]|~$!]", shown.replace("\\\\", ""))
    assert not re.search(r"@[a-zA-Z0-9]|#\d|://|\n", shown)


def test_long_texts_are_cut_and_say_so() -> None:
    assert text.code("x" * 1000) == f"`{'x' * 299}…`"


def test_numbers_do_not_start_a_list() -> None:
    assert not re.match(r"\d+[.)]\s", text.prose("1. first"))
