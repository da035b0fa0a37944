"""One comment a stack, on a server that answers as GitHub does."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from delivery.__main__ import main
from delivery.review import github
from delivery.review.errors import ReviewError
from delivery.review.markdown import marker
from tests.delivery.review.building import Preview
from tests.http_server import HttpServer

TOKEN = "t-0"


class GitHub(HttpServer):
    """A pull request's comments."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self.login: str | None = "reviewer"
        self.refuse: int | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self, code: int, body: object) -> None:
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _body(self) -> dict[str, Any]:
                return json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)))

            def do_GET(self) -> None:
                hub.requests.append(("GET", self.path))
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    return self._answer(401, {})
                if self.path == "/user":
                    return self._answer(200, {"login": hub.login}) if hub.login else self._answer(403, {})
                if hub.refuse:
                    return self._answer(hub.refuse, {})
                page = int(re.findall(r"[?&]page=(\d+)", self.path)[0])
                size = int(re.findall(r"per_page=(\d+)", self.path)[0])
                return self._answer(200, hub.comments[(page - 1) * size : page * size])

            def do_POST(self) -> None:
                hub.requests.append(("POST", self.path))
                hub.add(
                    self._body()["body"], hub.login or "github-actions[bot]", "User" if hub.login else "Bot"
                )
                self._answer(201, {"html_url": "http://new"})

            def do_PATCH(self) -> None:
                hub.requests.append(("PATCH", self.path))
                number = int(self.path.rpartition("/")[2])
                author = next(c for c in hub.comments if c["id"] == number)["user"]["login"]
                if author != (hub.login or "github-actions[bot]"):
                    return self._answer(403, {})
                next(c for c in hub.comments if c["id"] == number)["body"] = self._body()["body"]
                return self._answer(200, {"html_url": "http://old"})

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(Handler)

    def add(self, body: str, login: str, kind: str = "User") -> None:
        user = {"login": login, "type": kind}
        self.comments.append({"id": 1000 + len(self.comments), "body": body, "user": user})

    def post(self, text: str, stack: str = "prod", **options: Any) -> str:
        said = {"repository": "acme/models", "pull_request": 7, "token": TOKEN, "api": self.url, **options}
        return github.post(f"{text}\n\n{marker(stack)}\n", marker(stack), **said)

    def texts(self) -> list[str]:
        return [c["body"].partition("\n")[0] for c in self.comments]


@pytest.fixture
def hub() -> Iterator[GitHub]:
    found = GitHub()
    yield found
    found.close()


@pytest.mark.parametrize("login", ["reviewer", None], ids=["a user's token", "a workflow's token"])
def test_the_first_review_is_a_comment_and_the_next_one_changes_it(hub: GitHub, login: str | None) -> None:
    hub.login = login
    hub.add("hello", "somebody")
    assert hub.post("one") == "http://new"
    assert hub.post("two") == "http://old"
    assert hub.texts() == ["hello", "two"]


def test_each_stack_has_its_own(hub: GitHub) -> None:
    hub.post("dev 1", "dev")
    hub.post("prod 1", "prod")
    hub.post("prod 2", "prod")
    hub.post("dev 2", "dev")
    assert hub.texts() == ["dev 2", "prod 2"]


def test_the_comment_is_found_behind_hundreds_of_others(hub: GitHub) -> None:
    for number in range(150):
        hub.add(f"talk {number}", "somebody")
    hub.post("one")
    for number in range(150):
        hub.add(f"more {number}", "somebody")
    hub.post("two")
    assert hub.texts()[150] == "two" and len(hub.comments) == 301


def test_somebody_elses_comment_with_the_marker_is_not_touched(hub: GitHub) -> None:
    hub.add(f"mine\n\n{marker('prod')}", "mallory")
    hub.post("ours")
    assert hub.texts() == ["mine", "ours"]


def test_another_bot_that_was_made_to_say_the_marker_is_not_in_the_way(hub: GitHub) -> None:
    hub.login = None
    hub.add(f"as you asked\n\n{marker('prod')}", "chat[bot]", "Bot")
    assert hub.post("one") == "http://new"
    assert hub.post("two") == "http://old"
    assert hub.texts() == ["as you asked", "two"]


def test_an_address_of_github_enterprise_has_a_path(hub: GitHub) -> None:
    with pytest.raises(ReviewError, match="404"):
        hub.refuse = 404
        hub.post("one", api=f"{hub.url}/api/v3/")
    assert hub.requests[-1] == ("GET", "/api/v3/repos/acme/models/issues/7/comments?per_page=100&page=1")


def test_a_quoted_marker_is_not_the_comment(hub: GitHub) -> None:
    hub.add(f"> {marker('prod')}\nwhat is this?", "reviewer")
    hub.post("ours")
    assert hub.texts() == ["> " + marker("prod"), "ours"]


@pytest.mark.parametrize(("code", "says"), [(403, "pull-requests: write"), (404, "no such pull request")])
def test_a_refusal_is_one_message_and_not_a_comment(hub: GitHub, code: int, says: str) -> None:
    hub.refuse = code
    with pytest.raises(ReviewError, match=says):
        hub.post("one")
    assert hub.comments == []


def test_a_wrong_token_is_said(hub: GitHub) -> None:
    with pytest.raises(ReviewError, match="token isn't valid") as error:
        hub.post("one", token="wrong-token")
    assert "wrong-token" not in str(error.value)


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(ReviewError, match="does not answer"):
        github.post("x", "m", repository="a/b", pull_request=1, token="t", api="http://127.0.0.1:9")


def test_a_repository_that_is_none_is_refused() -> None:
    with pytest.raises(ReviewError, match="owner/name"):
        github.post("x", "m", repository="a/../b", pull_request=1, token="t")


def test_a_failure_takes_the_place_of_a_green_review(
    hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_API_URL", hub.url)
    monkeypatch.setenv("GITHUB_REF", "refs/pull/7/merge")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/models")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    log = tmp_path / "log"
    words = ["review", "--stack", "prod", "--no-policy", "--post", "--events", str(log)]
    log.write_text(Preview().rollout("churn", {"stable": 3}, {"stable": 3, "canary": 4, "weight": 10}).text)
    assert main(words) == 0
    assert hub.texts() == ["## `prod`: `churn` 3 → 4 at 10 % (was 0 %)"]
    log.write_text(log.read_text()[:-200])
    assert main(words) == 1
    assert hub.texts() == ["## ❌ `prod`: there is no review of this change"]
    assert "/repos/acme/models/issues/7/comments" in hub.requests[-2][1]


def test_a_stack_cannot_close_the_marker() -> None:
    assert "-->" not in marker("x--> <b>")[:-3]
    assert marker("a--b") != marker("a-b")


@pytest.fixture
def _target(hub: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_API_URL", hub.url)
    monkeypatch.setenv("GITHUB_REF", "refs/pull/7/merge")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/models")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def _log(tmp_path: Path) -> str:
    log = tmp_path / "log"
    log.write_text(Preview().policy("rule", "no").text)
    return str(log)


@pytest.mark.usefixtures("_target")
def test_a_mistake_in_the_review_itself_takes_the_place_of_a_green_one(
    hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.post("green")

    def broken(*_: object, **__: object) -> None:
        raise KeyError("postgres://me:pass-of-me@db")

    monkeypatch.setattr("delivery.review.command.build", broken)
    assert main(["review", "--events", _log(tmp_path), "--stack", "prod", "--post"]) == 1
    assert "there is no review" in hub.texts()[0] and len(hub.comments) == 1
    said = capsys.readouterr().err
    assert "The review itself failed (KeyError" in said and "pass-of-me" not in said


@pytest.mark.usefixtures("_target")
def test_the_comment_is_written_whoever_reads_the_output(
    hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["review", "--events", _log(tmp_path), "--stack", "prod", "--post"]
    # A file that can't be written, and a reader that has gone.
    assert main([*words, "--output", str(tmp_path / "none" / "x")]) == 2
    assert len(hub.comments) == 1
    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as here, os.fdopen(writing, "w") as closed:
        here.setattr("sys.stdout", closed)
        assert main(words) == 3, "the verdict is the same"
    assert len(hub.comments) == 1 and hub.requests[-1][0] == "PATCH"
