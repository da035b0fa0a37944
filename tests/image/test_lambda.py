"""The image on AWS' own emulator of Lambda, with AWS' own adapter in it, asked as a load balancer asks."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from typing import Any

import httpx
import pytest

from tests.image.engine import Container, Engine
from tests.image.machine import lambda_adapter
from tests.image.models import NAME, REQUESTS, Models
from tests.image.test_contracts import bucket, declared, variables
from tests.image.variants import FUNCTION, SERVES, Built
from tests.waiting import PATIENCE, eventually
from tools import images

pytestmark = pytest.mark.image

_EMULATOR, _PORT = "/aws-lambda-rie", 9000
_INVOKE = "/2015-03-31/functions/function/invocations"


def event(method: str, path: str, body: Any) -> dict[str, Any]:
    """What a load balancer sends: AWS' guide, "Process Application Load Balancer requests with Lambda"."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:of:the:tests"}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": {"content-type": "application/json", "x-request-id": "of-the-tests"},
        "body": body if isinstance(body, str) else "" if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def content(answer: dict[str, Any]) -> Any:
    text = answer["body"]
    return json.loads(base64.b64decode(text) if answer["isBase64Encoded"] else text)


def listens(container: Container) -> bool:
    assert container.running, container.logs()
    with contextlib.suppress(OSError):
        socket.create_connection((container.address, _PORT), PATIENCE).close()
        return True
    return False


@pytest.mark.parametrize("flavor", SERVES["lambda"])
def test_a_load_balancers_events_are_answered_like_requests(
    docker: Engine, variants: Built, models: Models, flavor: str
) -> None:
    if lambda_adapter() is None:
        pytest.skip("AWS' Lambda Web Adapter can't be built here: cargo is missing, or failed")
    release = models.released[flavor]
    function = declared("lambda").one("aws:lambda/function:Function", f"{NAME}-v1")
    emulator = images.emulator().executable
    with bucket(docker, release) as (source, login):
        env = variables(function.inputs["environment"]["variables"], release, SERVING_SOURCE=source, **login)
        options = (*FUNCTION, "--volume", f"{emulator}:{_EMULATOR}:ro", "--entrypoint", _EMULATOR)
        words = ("--runtime-interface-emulator-address", f"0.0.0.0:{_PORT}", "serve")
        with docker.container(variants["lambda"], *words, env=env, options=options) as container:
            url = f"http://{container.address}:{_PORT}{_INVOKE}"

            def asked(name: str) -> tuple[int, Any]:
                method, path, body = REQUESTS[name]
                said = httpx.post(
                    url, json=event(method, f"/{NAME}{path}", body), trust_env=False, timeout=PATIENCE
                ).json()
                assert "statusCode" in said, f"{said}\n{container.logs()}"
                return said["statusCode"], content(said)

            eventually("the emulator to listen", lambda: listens(container))
            assert {name: asked(name) for name in REQUESTS} == release.answers
