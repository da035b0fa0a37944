"""What is secret, or looks like it, is in no form of the review."""

from __future__ import annotations

from typing import Any

import pytest

from delivery.review import as_json, markdown, terminal
from delivery.review.review import Review
from tests.delivery.review.building import SECRET, Preview, reviewed

FAKE = "not-a-real-" + "value"


def everything(review: Review) -> str:
    return markdown.render(review) + terminal.render(review, colour=True) + as_json.render(review)


def changed(old: Any, new: Any) -> Review:
    return reviewed(Preview().step("update", "a:b:C", "r", old, new, dict.fromkeys(new, "update")))


@pytest.mark.parametrize(
    ("old", "new", "notes"),
    [
        ({"p": FAKE}, {"p": SECRET}, {"becomes secret"}),
        ({"p": SECRET}, {"p": FAKE}, {"is no longer secret"}),
        ({"p": {"deep": [FAKE]}}, {"p": SECRET}, {"becomes secret"}),
        ({"p": {"deep": [FAKE, "x"]}}, {"p": {"deep": [SECRET, "y"]}}, {"becomes secret"}),
    ],
)
def test_a_value_that_is_secret_on_one_side_is_hidden_on_both(old: Any, new: Any, notes: set[str]) -> None:
    review = changed(old, new)
    assert FAKE not in everything(review)
    assert {f.note for c in review.changes for f in c.fields if f.note} == notes


def test_a_secret_value_is_hidden_wherever_else_it_stands() -> None:
    preview = (
        Preview()
        .step("same", "a:b:C", "first", {"p": FAKE}, {"p": SECRET})
        .step("update", "a:b:C", "second", {"url": "x"}, {"url": f"http://{FAKE}/"}, {"url": "update"})
        .step("create", "a:b:C", "third", None, {"args": ["--key", FAKE]})
        .outputs({"o": "x"}, {"o": FAKE})
        .policy("rule", f"{FAKE} is wrong")
        .says("warning", f"{FAKE} is weak")
    )
    assert FAKE not in everything(reviewed(preview))


def test_a_resource_that_becomes_secret_without_a_change_is_told() -> None:
    review = reviewed(Preview().step("same", "a:b:C", "r", {"p": FAKE}, {"p": SECRET}))
    (change,) = review.changes
    assert (change.op, change.fields[0].note) == ("update", "becomes secret")


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "dbPassword",
        "DB_PASSWD",
        "apiKey",
        "api_key",
        "secretKey",
        "clientSecret",
        "authToken",
        "privateKey",
        "secretString",
        "connectionString",
        "secret",
        "token",
        "AWS_SECRET_ACCESS_KEY",
    ],
)
def test_values_under_keys_that_name_a_secret_are_hidden(key: str) -> None:
    assert FAKE not in everything(changed({key: "x"}, {key: FAKE}))
    variable = [{"name": key, "value": FAKE}]
    assert FAKE not in everything(changed({"env": [{"name": key, "value": "x"}]}, {"env": variable}))


@pytest.mark.parametrize(
    "key", ["secretName", "tlsSecret", "kmsKeyId", "tokenVersion", "secretArn", "keyName"]
)
def test_names_of_secrets_are_no_secrets(key: str) -> None:
    assert FAKE in everything(changed({key: "x"}, {key: FAKE}))


@pytest.mark.parametrize(
    "value",
    [
        "postgres://app:" + FAKE + "@db/app",
        "AKIA" + "A" * 16,
        "ghp_" + "a" * 36,
        "eyJhbGciOi9x.eyJzdWIiOi9x.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "https://b.s3.amazonaws.com/x?X-Amz-Signature=abcdef0123",
        "xoxb-" + "1" * 12,
        "hf_" + "a" * 34,
    ],
)
def test_values_that_look_like_a_secret_are_hidden(value: str) -> None:
    shown = everything(changed({"v": "x"}, {"v": f"see {value} there"}))
    assert value not in shown and value.replace("\n", " ") not in shown and "[secret]" in shown
    assert "see " in shown and FAKE not in shown


def test_secrets_on_both_sides_that_differ_are_a_change() -> None:
    review = reviewed(
        Preview().step("update", "a:b:C", "r", {"data": SECRET}, {"data": SECRET}, {"data.x": "update"})
    )
    assert "`data.x`: changes, and is secret" in markdown.render(review)


def test_short_values_are_not_looked_for_elsewhere() -> None:
    preview = (
        Preview()
        .step("same", "a:b:C", "first", {"p": "on"}, {"p": SECRET})
        .step("update", "a:b:C", "second", {"v": "x"}, {"v": "on and on"}, {"v": "update"})
    )
    assert "on and on" in markdown.render(reviewed(preview))
