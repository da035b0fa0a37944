"""What a reader must not overlook: deletions, replacements, failures."""

from __future__ import annotations

import json

from delivery.review import markdown
from delivery.review.review import Outcome, Remark
from delivery.review.sections import destructive
from tests.delivery.review.building import Preview, reviewed, urn


def test_deletions_and_replacements_are_counted_and_named() -> None:
    preview = Preview().step("delete", "aws:s3/bucket:Bucket", "models", {"bucket": "a"}, None, protect=True)
    for type_, key in (("aws:rds/instance:Instance", "engine"), ("aws:sqs/queue:Queue", "name")):
        preview.step("replace", type_, "r", {key: "a"}, {key: "b"}, {key: "update-replace"})
    lines = destructive(reviewed(preview), None)
    assert lines[1] == "> **1 resource will be deleted and 2 resources will be replaced.**"
    told = "\n".join(lines)
    assert "**delete** " in told and "(the engine will refuse it: protected)" in told
    assert "`engine` can't be changed in place" in told and "`name` can't be changed in place" in told
    assert destructive(reviewed(Preview()), None) == []


def test_what_outlives_its_deletion_is_told() -> None:
    preview = Preview().step("delete", "a:b:C", "kept", {}, None, retainOnDelete=True)
    assert "(what it stands for stays (retain on delete))" in "\n".join(destructive(reviewed(preview), None))


def test_of_many_deletions_the_rest_is_counted() -> None:
    preview = Preview()
    for number in range(5):
        preview.step("delete", "aws:sqs/queue:Queue", f"q{number}", {"name": "a"}, None)
    review = reviewed(preview)
    assert sum("**delete**" in line for line in destructive(review, None)) == 5
    short = destructive(review, 2)
    assert sum("**delete**" in line for line in short) == 2
    assert short[-1] == "> and 3 more resources"
    assert destructive(review, 4)[-1] == "> and 1 more resource"


def test_without_a_detailed_difference_the_keys_say_what_replaces() -> None:
    preview = Preview().step("replace", "aws:sqs/queue:Queue", "q", {"name": "a"}, {"name": "b"})
    lines = [json.loads(line) for line in preview.text.splitlines()]
    lines[1]["resourcePreEvent"]["metadata"]["keys"] = ["name"]
    (change,) = reviewed("\n".join(map(json.dumps, lines))).changes
    assert [(field.path, field.replaces) for field in change.fields] == [("name", True)]
    lines[1]["resourcePreEvent"]["metadata"]["keys"] = []
    (change,) = reviewed("\n".join(map(json.dumps, lines))).changes
    assert [(field.path, field.replaces) for field in change.fields] == [("name", False)]


def test_an_operation_that_failed_is_an_error_of_its_resource() -> None:
    lines = [json.loads(line) for line in Preview().step("create", "a:b:C", "r", None, {}).text.splitlines()]
    failed = {"metadata": {"urn": urn("a:b:C", "r"), "op": "create", "type": "a:b:C"}, "status": 1}
    lines.insert(2, {"sequence": 2, "timestamp": 1, "resOpFailedEvent": failed})
    for number, line in enumerate(lines):
        line["sequence"] = number
    review = reviewed("\n".join(map(json.dumps, lines)))
    assert review.outcome is Outcome.FAILED
    assert review.errors == (Remark(severity="error", message="the operation failed", urn=urn("a:b:C", "r")),)


def test_a_failure_without_a_reason_is_one_all_the_same() -> None:
    preview = Preview().step("create", "a:b:C", "r", None, {})
    preview.result = "failed"
    review = reviewed(preview)
    assert review.outcome is Outcome.FAILED
    assert review.errors == (Remark(severity="error", message="the engine says only that it failed", urn=""),)
    assert "the engine says only that it failed" in markdown.render(review)
