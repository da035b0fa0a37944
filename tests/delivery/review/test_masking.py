"""What is secret, or looks like it, is in no form of the review."""

from __future__ import annotations

import base64
import json
import time
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


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"a": [{"password": FAKE}]}),
        json.dumps({"env": [{"name": "DB_PASSWORD", "value": FAKE}]}),
        json.dumps([json.dumps({"apiKey": FAKE})]),
        f"#!/bin/sh\nexport DB_PASSWORD='{FAKE}'\nrun",
        f"Server=db;User Id=app;Password={FAKE};Encrypt=true",
        f"user: app\npassword: {FAKE}\n",
        f"config = {{'password': '{FAKE}'}}",
        f"run --api-key={FAKE} --now",
        f"postgres://app:x@{FAKE}@db/app",
        f"https://{FAKE}@git.example.com/x",
        ["run", "--password", FAKE, "--now"],
        {"password": 482910577},
        {"passwords": "x", "password": [FAKE]},
        {"GITHUB_TOKEN": FAKE},
        [{"name": "JWT_SECRET", "value": FAKE}],
    ],
)
def test_a_secret_in_another_text_is_hidden(value: Any) -> None:
    shown = everything(changed({"v": "x"}, {"v": value}))
    assert FAKE not in shown and "482910577" not in shown and "[secret]" in shown


@pytest.mark.parametrize(
    "form",
    [
        base64.b64encode(FAKE.encode()).decode(),
        f"a%20b/{FAKE}",
        json.dumps({"x": FAKE}),
    ],
)
def test_a_known_secret_is_hidden_in_its_other_forms(form: str) -> None:
    preview = (
        Preview()
        .step("same", "a:b:C", "first", {"p": FAKE}, {"p": SECRET})
        .step("update", "a:b:C", "second", {"v": "x"}, {"v": f"see {form}"}, {"v": "update"})
        .says("warning", f"{form} is weak")
    )
    shown = everything(reviewed(preview))
    assert form not in shown and FAKE not in shown and "see " in shown


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    lines = ["first-line-of-it", "second-line-of-it", "}"]
    preview = (
        Preview()
        .step("same", "a:b:C", "first", {"p": "\n".join(lines)}, {"p": SECRET})
        .step("update", "a:b:C", "second", {"v": "x"}, {"v": f"{lines[1]} and {{}}"}, {"v": "update"})
        .policy("rule", " ".join(lines))
    )
    shown = everything(reviewed(preview))
    assert lines[0] not in shown and lines[1] not in shown and "and {}" in shown


def test_a_number_that_is_secret_is_hidden_elsewhere() -> None:
    preview = (
        Preview()
        .step("same", "a:b:C", "first", {"p": 482910577}, {"p": SECRET})
        .step("update", "a:b:C", "second", {"v": 1}, {"v": 482910577}, {"v": "update"})
    )
    assert "482910577" not in everything(reviewed(preview))


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("kubernetes:core/v1:Secret", {"data": {"conf.yaml": FAKE}, "stringData": {"x": FAKE}}),
        ("aws:ssm/parameter:Parameter", {"value": FAKE}),
        ("gcp:secretmanager/secretVersion:SecretVersion", {"secretData": FAKE}),
    ],
)
def test_what_is_nothing_but_a_secret_is_hidden_whatever_its_keys_are(kind: str, inputs: Any) -> None:
    preview = Preview().step("create", kind, "s", None, inputs)
    preview.step("update", "a:b:C", "r", {"v": "x"}, {"v": FAKE}, {"v": "update"})
    assert FAKE not in everything(reviewed(preview))
    becoming = Preview().step("update", kind, "s", inputs, dict.fromkeys(inputs, SECRET))
    assert FAKE not in everything(reviewed(becoming))


def test_an_api_that_asks_nobody_any_more_is_seen() -> None:
    """`authorization` may hold a header, which is hidden, or a word, which matters."""
    shown = everything(changed({"authorization": "AWS_IAM"}, {"authorization": "NONE"}))
    assert "AWS_IAM" in shown and "NONE" in shown
    assert FAKE not in everything(changed({"authorization": "x"}, {"authorization": f"Bearer {FAKE}"}))


def test_a_long_text_is_looked_through_in_little_time() -> None:
    started = time.process_time()
    for long in ("a" * 200_000, "password" * 30_000, "https://" * 30_000, '{"a":' * 5000, "x=" * 100_000):
        changed({"v": "x"}, {"v": long})
    assert time.process_time() - started < 5


@pytest.mark.parametrize("severity", ["warning", "error"])
def test_what_a_provider_prints_of_its_arguments_is_hidden(severity: str) -> None:
    said = f"exit status 1: psql --password={FAKE} failed, DB_TOKEN: {FAKE}"
    shown = everything(reviewed(Preview().says(severity, said)))
    assert FAKE not in shown and "failed" in shown


def test_the_name_of_a_secret_in_an_address_is_seen() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:1:secret:prod_secret:db_password::"
    assert arn in everything(changed({"valueFrom": "x"}, {"valueFrom": arn}))
