"""An event log is read whole or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from delivery.review import as_json, events, markdown, terminal
from delivery.review.errors import ReviewError
from delivery.review.review import Outcome
from tests.delivery.review.building import Preview, recorded, reviewed, urn

ROUTE = ({"weight": 1}, {"weight": 2}, {"weight": "update"})


def log() -> str:
    return Preview().step("update", "a:b:C", "r", *ROUTE).text


def test_a_whole_log_is_a_green_review() -> None:
    assert reviewed(log()).outcome is Outcome.PASSED
    assert events.read(log(), "the log").seconds == 3


@pytest.mark.parametrize("left", range(4))
def test_a_log_that_is_cut_off_at_any_line_is_an_error(left: int) -> None:
    lines = log().splitlines(keepends=True)
    assert len(lines) == 4
    with pytest.raises(ReviewError):
        events.read("".join(lines[:left]), "the log")


def test_a_log_that_is_cut_off_at_any_byte_is_an_error() -> None:
    whole = log().encode()
    # But for its last line end, which says nothing.
    for left in range(len(whole) - 1):
        with pytest.raises(ReviewError):
            events.read(whole[:left].decode(errors="replace"), "the log")
    assert events.read(whole[:-1].decode(), "the log") == events.read(whole.decode(), "the log")


@pytest.mark.parametrize("end", ["\u0085", "\u2028", "\u2029", "\x0b", "\x1c"])
def test_a_line_end_of_unicode_in_a_tag_ends_no_event(end: str) -> None:
    # The engine is written in Go, which leaves the first of them as it is.
    tags = {"tags": {"a": f"one{end}two"}}
    preview = Preview().step("update", "a:b:C", "r", {"tags": {}}, tags, {"tags.a": "add"})
    text = "".join(
        json.dumps(json.loads(line), ensure_ascii=False) + "\n" for line in preview.text.splitlines()
    )
    assert reviewed(text).outcome is Outcome.PASSED


STRANGE = (None, -1, 1.5, "x", "", [], {}, [1], {"a": 1}, True, "[secret]")


@pytest.mark.parametrize("where", ["old", "new", "op", "keys", "detailedDiff", "urn", "type"])
@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_whatever_shape_a_step_has_there_is_a_review_or_one_message(where: str, strange: object) -> None:
    model = {"stable": 3, "canary": 4, "weight": 10}
    preview = Preview().rollout("churn", {"stable": 3}, model).release("create", "churn", 4)
    lines = [json.loads(line) for line in preview.text.splitlines()]
    for line in lines:
        step = line.get("resourcePreEvent", {}).get("metadata")
        if not step:
            continue
        spoilt = [step] if where in step else []
        spoilt += [part for key in ("old", "new") if (part := step.get(key))]
        for part in spoilt:
            for key in (where, "inputs", "outputs"):
                kept = {**part}
                part[key] = strange
                try:
                    shown = reviewed("\n".join(map(json.dumps, lines)))
                    markdown.render(shown), terminal.render(shown, colour=True), as_json.render(shown)
                except ReviewError as error:
                    assert str(error)
                part.clear()
                part.update(kept)


def test_a_log_that_is_cut_off_within_a_line_is_an_error() -> None:
    with pytest.raises(ReviewError, match="cut off or damaged: line 4"):
        events.read(log()[:-8], "the log")


def test_of_a_log_that_is_cut_off_the_last_errors_are_told() -> None:
    preview = Preview().step("create", "a:b:C", "r", None, {}).says("warning", "careful")
    *before, summary, _ = preview.text.splitlines(keepends=True)
    with pytest.raises(ReviewError) as without:
        events.read("".join(before), "the log")
    assert str(without.value) == (
        "the log is cut off: it has no summary, so the preview ended before it was done and nothing can be"
        " said of the change. Run it again."
    )
    with pytest.raises(ReviewError, match="it has no end, so"):
        events.read("".join([*before, summary]), "the log")
    for number in range(6):
        preview.says("error", f"failure {number}\n")
    with pytest.raises(ReviewError) as told:
        events.read("".join(preview.text.splitlines(keepends=True)[:-2]), "the log")
    assert str(told.value).splitlines()[1:] == [f"failure {number}" for number in range(1, 6)]
    assert "The last that it said:\n" in str(told.value)


def test_a_missing_event_in_the_middle_is_an_error() -> None:
    lines = log().splitlines(keepends=True)
    with pytest.raises(ReviewError, match="event 1: its number is 2"):
        events.read("".join([lines[0], *lines[2:]]), "the log")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e["resourcePreEvent"]["metadata"].pop("urn"), "has no `urn`"),
        (lambda e: e["resourcePreEvent"]["metadata"].update(op="explode"), "`explode` is no operation"),
        (lambda e: e["resourcePreEvent"].pop("metadata"), "has no `metadata`"),
        (lambda e: e["resourcePreEvent"]["metadata"].update(old=None, new=None), "neither"),
        (lambda e: e.update(summaryEvent={}), "has 2 events"),
    ],
)
def test_a_known_event_of_a_wrong_shape_is_an_error(change: Any, says: str) -> None:
    lines = [json.loads(line) for line in log().splitlines()]
    change(lines[1])
    with pytest.raises(ReviewError, match=says):
        events.read("\n".join(map(json.dumps, lines)), "the log")


def test_an_event_of_an_unknown_kind_is_passed_over() -> None:
    lines = [json.loads(line) for line in log().splitlines()]
    lines[0] = {"sequence": 0, "novelEvent": {}}
    assert reviewed("\n".join(map(json.dumps, lines))).outcome is Outcome.PASSED


def test_the_log_of_an_update_is_no_preview() -> None:
    with pytest.raises(ReviewError, match="log of an update"):
        events.read(log().replace('"isPreview": true', '"isPreview": false'), "the log")


def test_an_error_is_never_green() -> None:
    review = reviewed(Preview().says("error", "the registry does not answer"))
    assert review.outcome is Outcome.FAILED
    assert review.title == "the preview failed"


def test_a_preview_that_failed_without_a_word_is_never_green() -> None:
    preview = Preview()
    preview.result = "failed"
    assert reviewed(preview).outcome is Outcome.FAILED


@pytest.mark.parametrize("result", ["canceled", "novel"])
def test_a_result_that_is_not_a_success_is_never_green(result: str) -> None:
    preview = Preview()
    preview.result = result
    assert reviewed(preview).outcome is Outcome.FAILED


def test_a_pack_that_was_asked_for_and_did_not_run_is_never_green() -> None:
    review = reviewed(Preview(), policy_expected=True)
    assert review.outcome is Outcome.FAILED
    assert [error.message for error in review.errors] == ["the policy pack was asked for and has not run"]


def test_a_violation_is_refused_and_an_error_beside_it_is_a_failure() -> None:
    preview = Preview().policy("rule", "no\nFix: yes").says("error", "preview failed")
    assert reviewed(preview, policy_expected=True).outcome is Outcome.REFUSED
    # What the engine says when a rule raises.
    preview.says("error", "failed to run policy: Exception calling application: boom")
    assert reviewed(preview, policy_expected=True).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("level", "outcome"),
    [("mandatory", Outcome.REFUSED), ("remediate", Outcome.REFUSED), ("advisory", Outcome.PASSED)],
)
def test_only_what_is_mandatory_stops(level: str, outcome: Outcome) -> None:
    preview = Preview().policy("rule", "no", level)
    preview.result = "failed" if outcome is Outcome.REFUSED else "succeeded"
    assert reviewed(preview).outcome is outcome


def test_a_replacement_is_one_change_and_its_parts_none() -> None:
    detailed = {"name": "update-replace"}
    preview = Preview()
    for op in ("create-replacement", "replace", "delete-replaced"):
        preview.step(op, "a:b:C", "r", {"name": "x"}, None if "delete" in op else {"name": "y"}, detailed)
    (change,) = reviewed(preview).changes
    assert (change.op, change.name) == ("replace", "r")
    assert [(f.path, f.before, f.after, f.replaces) for f in change.fields] == [("name", "x", "y", True)]


def test_the_engines_own_log_of_prod_is_read() -> None:
    review = reviewed(recorded("weight-change"))
    fields = {f.path: (f.before, f.after) for c in review.changes for f in c.fields}
    assert fields["spec.rules[0].backendRefs[1].weight"] == ("10", "50")
    assert [t.model for t in review.moved] == ["fraud"]


def test_errors_are_told_once_and_say_where() -> None:
    said = ("error", "no version 99", urn("delivery:registry:Release", "churn-v99"))
    review = reviewed(
        Preview()
        .says(*said)
        .says(*said)
        .says("error", "an unhandled error occurred: program exited with non-zero exit code: 1")
    )
    assert [(e.message, e.urn) for e in review.errors] == [said[1:]]
    assert "- `delivery:registry:Release::churn-v99`: no version 99\n" in markdown.render(review)
