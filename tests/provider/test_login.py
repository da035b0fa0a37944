"""The token with which a job asks MLflow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from provider.contents import UnreachableError
from provider.login import LoginError, log_in
from provider.registry import resolve
from tests.http_server import HttpServer


class Issuer(HttpServer):
    """GitHub's address for tokens, as a job has it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer: Any = None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append((self.path, self.headers["Authorization"]))
                body = json.dumps(owner.answer or {"value": f"token-{len(owner.asked)}"}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_: object) -> None:
                pass

        super().__init__(Handler)
        self.url += "/token?version=2"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    found = Issuer()
    monkeypatch.setenv("MODEL_DELIVERY_AUDIENCE", "ml flow")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", found.url)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of the job")
    # What log_in sets goes with the test.
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "")
    yield found
    found.close()


def test_a_job_has_a_fresh_token_each_time_that_it_asks(issuer: Issuer) -> None:
    for number in (1, 2):
        log_in()
        assert os.environ["MLFLOW_TRACKING_TOKEN"] == f"token-{number}"
    assert issuer.asked[0] == ("/token?version=2&audience=ml+flow", "bearer of the job")


def test_without_an_audience_mlflows_own_variables_stay(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "mine")
    # As a workflow has it whose variable isn't set.
    monkeypatch.setenv("MODEL_DELIVERY_AUDIENCE", "")
    log_in()
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "mine" and not issuer.asked


def test_a_job_that_gets_no_token_is_told_why(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.answer = ["no"]
    with pytest.raises(
        LoginError, match="GitHub gives no token for the audience ml flow: it did not say one"
    ):
        log_in()
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:9/?")
    with pytest.raises(LoginError, match="refused"):
        log_in()
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")
    with pytest.raises(LoginError, match="the right id-token: write"):
        log_in()


def test_a_registry_that_it_can_not_log_in_to_does_not_answer(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """So what is pinned goes on."""
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")
    with pytest.raises(UnreachableError, match="the right id-token: write"):
        resolve("https://mlflow.example.com", "churn", 1, tmp_path)
    assert not issuer.asked
