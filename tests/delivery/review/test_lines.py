"""A model card, a text of many lines, is told by the lines that differ."""

from __future__ import annotations

from delivery.review import markdown, terminal
from tests.delivery.review.building import Preview, reviewed

CARD = """# churn, a forest

Answers for each row one label, and is no medical device at all, which is said here at some length.

**Measured** on rows held out:
- accuracy: {accuracy}

**Limits**: few rows.
"""
OLD, NEW = CARD.format(accuracy="0.9860"), CARD.format(accuracy="0.9650")


def promotion(old: str | None, new: str) -> Preview:
    preview = Preview()
    if old is not None:
        preview.release("same", "churn", 3, metrics={"auc": 0.9}, card=old)
    preview.release("create", "churn", 4, metrics={"auc": 0.9}, card=new)
    before = {"stable": 3} if old is not None else None
    return preview.rollout(
        "churn", before, {"stable": 3, "canary": 4, "weight": 10} if before else {"stable": 4}
    )


def shown(preview: Preview) -> list[str]:
    return terminal.render(reviewed(preview), colour=False).splitlines()


def test_two_cards_are_told_by_the_lines_that_differ() -> None:
    lines = shown(promotion(OLD, NEW))
    at = lines.index("  model card: 2 lines differ")
    assert lines[at + 1 : at + 3] == ["    - - accuracy: 0.9860", "    + - accuracy: 0.9650"]
    assert not any("Limits" in line or "medical" in line for line in lines)
    comment = markdown.render(reviewed(promotion(OLD, NEW)))
    assert (
        "- model card: 2 lines differ\n\n  ```diff\n  - - accuracy: 0.9860\n  + - accuracy: 0.9650\n  ```"
        in comment
    )


def test_the_card_of_a_first_version_is_told_by_its_title() -> None:
    assert "  model card: churn, a forest (and 4 more lines)" in shown(promotion(None, NEW))
    assert "model card: `churn, a forest (and 4 more lines)`" in markdown.render(
        reviewed(promotion(None, NEW))
    )


def test_the_address_of_a_card_is_told_as_it_is() -> None:
    lines = shown(promotion("https://cards.example/3", "https://cards.example/4"))
    assert "  model card: https://cards.example/3 → https://cards.example/4" in lines
    assert "  model card: https://cards.example/4" in shown(promotion(None, "https://cards.example/4"))


def test_a_card_in_the_place_of_an_address_is_told_by_its_lines() -> None:
    lines = shown(promotion("https://cards.example/3", NEW))
    at = lines.index("  model card: 6 lines differ")
    assert lines[at + 1] == "    - https://cards.example/3" and lines[at + 2] == "    + # churn, a forest"


def test_no_line_of_a_text_is_longer_than_a_terminal_and_a_long_text_is_cut() -> None:
    long = "\n".join(f"{number} {'word ' * 60}" for number in range(30))
    lines = shown(promotion(OLD, long))
    at = lines.index("  model card: 35 lines differ")
    told = lines[at + 1 : lines.index("", at)]
    assert max(map(len, told)) <= 102
    assert [line[4] for line in told if line[4] in "-+"] == ["-"] * 5 + ["+"] * 7
    assert told[-1] == "      … and 23 more"


def test_a_card_that_is_edited_is_told_in_the_same_way_and_a_terminal_is_not_driven_by_it() -> None:
    new = NEW.replace("few rows", "few\x1b[31m rows")
    release = {"model": "churn", "version": 3, "metrics": {}}
    preview = Preview().step(
        "update", "delivery:registry:Release", "churn-v3", {**release, "card": OLD}, {**release, "card": new}
    )
    lines = shown(preview)
    at = lines.index("      card: 4 lines differ")
    assert lines[at + 1 : at + 5] == [
        "        - - accuracy: 0.9860",
        "        + - accuracy: 0.9650",
        "        - **Limits**: few rows.",
        "        + **Limits**: few rows.",
    ]
    assert "`card`: 4 lines differ, see the full diff" in markdown.render(reviewed(preview))
