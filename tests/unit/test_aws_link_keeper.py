"""The VPC link in front of Lambda stays awake: what is declared, and the function itself against a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.aws.functions import link
from tests.unit.aws import ACCOUNT, DEV, PREFIX, amazon, one_policy
from tests.unit.graph import Graph

FUNCTION = "aws:lambda/function:Function"
FAST: dict[str, Any] = {"fast": {"runtime": "lambda", "stable": {"version": 3}}}


@pytest.fixture(scope="module")
def graph() -> Graph:
    topic = f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"
    return amazon(FAST, {**DEV, "alarmTopicArn": topic})[0]


def test_a_request_goes_through_the_link_more_often_than_it_goes_to_sleep(graph: Graph) -> None:
    """After 60 days without any: apigateway/latest/developerguide/http-api-vpc-links.html, in AWS' guides."""
    schedule = graph.one("aws:scheduler/schedule:Schedule", "link-keeper").inputs
    assert schedule["scheduleExpression"] == "rate(1 day)"
    assert schedule["target"] == {"arn": "arn:of:link-keeper", "roleArn": "arn:of:link-keeper-schedule"}
    route = graph.one("aws:apigatewayv2/route:Route", "link-keeper").inputs
    assert route["routeKey"] == "GET /-/link"
    assert route["target"] == graph.one("aws:apigatewayv2/route:Route", "fast").inputs["target"]
    assert route["authorizationType"] == "AWS_IAM"


def test_the_function_asks_for_that_route_and_may_ask_for_no_model(graph: Graph) -> None:
    function = graph.one(FUNCTION, "link-keeper").inputs
    assert function["environment"] == {"variables": {"URL": "https://api.example.com/-/link"}}
    assert function["code"] == {"link.py": Path(link.__file__).read_text(encoding="utf-8")}
    assert function["handler"] == "link.handler"
    call, log = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "link-keeper")
    assert (call["Action"], call["Resource"]) == (["execute-api:Invoke"], ["arn:of:the-api/*/GET/-/link"])
    assert log["Resource"] == [f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/{PREFIX}/link-keeper:*"]
    (start,) = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "link-keeper-schedule")
    assert start["Resource"] == [f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{PREFIX}-*"]
    role = json.loads(graph.one("aws:iam/role:Role", "link-keeper-schedule").inputs["assumeRolePolicy"])
    assert role["Statement"][0]["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_a_release_that_nobody_asks_stays_awake() -> None:
    """An idle function becomes inactive, its first requests fail: lambda/latest/dg/functions-states.html."""
    models = {"fast": {**FAST["fast"], "canary": {"version": 4, "weight": 0}}}
    graph = amazon(models)[0]
    for release in ("fast-v3", "fast-v4"):
        target = graph.one("aws:scheduler/schedule:Schedule", release).inputs["target"]
        assert target["arn"] == f"arn:of:{release}"
        event = json.loads(target["input"])
        # What the Web Adapter takes for a request of a load balancer, by the path that the rule would send.
        assert event["requestContext"] == {"elb": {"targetGroupArn": ""}}
        assert (event["httpMethod"], event["path"]) == ("GET", "/fast/v2/health/ready")
        variables = graph.one(FUNCTION, release).inputs["environment"]["variables"]
        assert (
            event["path"] == variables["AWS_LWA_REMOVE_BASE_PATH"] + variables["AWS_LWA_READINESS_CHECK_PATH"]
        )


def test_the_operator_is_told_when_no_caller_gets_through(graph: Graph) -> None:
    alarm = graph.one("aws:cloudwatch/metricAlarm:MetricAlarm", "link-keeper").inputs
    assert (alarm["metricName"], alarm["threshold"]) == ("Errors", 2)
    assert alarm["dimensions"] == {"FunctionName": f"{PREFIX}-link-keeper"}
    assert alarm["alarmActions"] == [f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"]


def test_without_a_model_on_lambda_there_is_none() -> None:
    assert "link-keeper" not in amazon()[0].names(FUNCTION)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A server in the API's place: what it answers, and what it was asked with."""
    told: dict[str, Any] = {"status": 404, "text": "No such model"}

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told["headers"], told["path"] = dict(self.headers.items()), self.path
            self.send_response(told["status"])
            self.end_headers()
            self.wfile.write(told["text"].encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("URL", f"http://127.0.0.1:{server.server_port}/-/link")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-session")
    yield told
    server.shutdown()
    server.server_close()


def test_it_signs_as_the_api_asks(asked: dict[str, Any]) -> None:
    link.handler({}, None)
    assert asked["path"] == "/-/link"
    signed = asked["headers"]["Authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-central-1/execute-api/aws4_request" in signed
    assert asked["headers"]["X-Amz-Security-Token"] == "of-the-session"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (503, "Service Unavailable"),
        (403, '{"message":"Forbidden"}'),
        # The API's own, where it has no such route.
        (404, '{"message":"Not Found"}'),
        (200, "ok"),
    ],
)
def test_it_fails_where_the_load_balancer_has_not_answered(
    asked: dict[str, Any], status: int, text: str
) -> None:
    asked.update(status=status, text=text)
    with pytest.raises(RuntimeError, match="the load balancer isn't reached"):
        link.handler({}, None)


def test_the_load_balancer_answers_what_it_looks_for(graph: Graph) -> None:
    (default,) = graph.one("aws:lb/listener:Listener", "lambda").inputs["defaultActions"]
    answer = default["fixedResponse"]
    assert (int(answer["statusCode"]), answer["messageBody"]) == link.ANSWER
