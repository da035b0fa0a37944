"""What Lambda and SageMaker ask of a container, asked of the image that they would run.

The variables are those that the program declares for them.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.image.engine import ROOT, Container, Engine
from tests.image.models import NAME, REQUESTS, SERVER_PORT, Models, Released, answering, ask
from tests.image.variants import FUNCTION, MEMORY, POD, SERVES, Built
from tests.serving.store import Store
from tests.unit.aws import DEV, amazon
from tests.unit.graph import Graph
from tests.waiting import eventually

pytestmark = pytest.mark.image

# Asked from inside: a function's server listens on its own loopback alone.
_ASK = """
import json, sys, urllib.error, urllib.request
url, method, body = sys.argv[1:]
headers = {"content-type": "application/json", "x-request-id": "of-the-tests"}
request = urllib.request.Request(url, body.encode() or None, headers, method=method)
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    sys.exit(str(error))
content = answer.read()
print(json.dumps([answer.status, json.loads(content) if content else None]))
"""


def declared(runtime: str) -> Graph:
    """What the program declares on AWS of the example on a runtime."""
    return amazon({NAME: {"runtime": runtime, "stable": {"version": 1}}}, DEV)[0]


def variables(found: Mapping[str, str], release: Released, **others: str) -> dict[str, str]:
    """Those that were declared, for another release than the mocks' own."""
    return {
        **found,
        "SERVING_VERSION": str(release.version),
        "SERVING_DIGEST": release.digest,
        **others,
    }


def asked(container: Container, name: str) -> tuple[int, Any]:
    method, path, body = REQUESTS[name]
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    url = f"http://127.0.0.1:{SERVER_PORT}{path}"
    status, content = json.loads(container.run("python", "-c", _ASK, url, method, text))
    return status, content


@contextmanager
def bucket(docker: Engine, release: Released) -> Generator[tuple[str, dict[str, str]]]:
    """An artifact in S3: its URI, and what Lambda gives to a function to reach it."""
    files = {
        f"models/{file.relative_to(release.folder).as_posix()}": file.read_bytes()
        for file in sorted(release.folder.rglob("*"))
        if file.is_file()
    }
    store = Store(files, docker.gateway)
    login = {"AWS_ACCESS_KEY_ID": "of", "AWS_SECRET_ACCESS_KEY": "the", "AWS_SESSION_TOKEN": "tests"}
    try:
        yield (
            "s3://bucket/models",
            {**login, "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_S3": store.url},
        )
    finally:
        store.close()


@pytest.mark.parametrize("flavor", SERVES["lambda"])
def test_lambda_runs_it_as_a_user_of_its_own_that_writes_to_tmp_alone(
    docker: Engine, variants: Built, models: Models, flavor: str
) -> None:
    release = models.released[flavor]
    function = declared("lambda").one("aws:lambda/function:Function", f"{NAME}-v1")
    found = function.inputs["environment"]["variables"]
    path = found["AWS_LWA_READINESS_CHECK_PATH"]
    with bucket(docker, release) as (source, login):
        env = variables(found, release, SERVING_SOURCE=source, **login)
        with docker.container(variants["lambda"], env=env, options=FUNCTION) as container:
            # The adapter asks on the loopback of the function, at the port and the path that it was told.
            url = f"http://127.0.0.1:{found['AWS_LWA_PORT']}{path}"
            wanted = int(found["AWS_LWA_READINESS_CHECK_HEALTHY_STATUS"])

            def ready() -> bool:
                assert container.running, container.logs()
                said = docker.docker(
                    "exec", container.name, "python", "-c", _ASK, url, "GET", "", check=False
                )
                return said.startswith(f"[{wanted},")

            eventually("the function's server to be ready", ready)
            assert {name: asked(container, name) for name in REQUESTS} == release.answers
            adapter = "/opt/extensions/lambda-adapter"
            assert container.run("stat", "-c", "%U %a", adapter) == "root 755"


@pytest.mark.parametrize("flavor", SERVES["sagemaker"])
def test_sagemaker_runs_serve_as_root_without_a_network(
    docker: Engine, variants: Built, models: Models, flavor: str
) -> None:
    """AWS' guide, "Custom Inference Code with Hosting Services": ``docker run IMAGE serve``, port 8080,
    ``/ping`` and ``/invocations``, the artifact in ``/opt/ml/model``, SIGTERM at the end."""
    release = models.released[flavor]
    found = declared("sagemaker").one("aws:sagemaker/model:Model", f"{NAME}-v1").inputs
    assert found["enableNetworkIsolation"] is True
    env = variables(found["primaryContainer"]["environment"], release)
    options = ("--volume", f"{release.folder}:/opt/ml/model:ro", "--memory", MEMORY)
    with docker.container(
        variants["sagemaker"], "serve", env=env, options=options, network=docker.closed
    ) as container:
        url = f"http://{container.address}:{SERVER_PORT}"
        answering(container, f"{url}/ping")
        assert ask(url, "invocations")[0] == 200
        assert {name: ask(url, name) for name in REQUESTS} == release.answers
        assert container.run("id", "-u") == "0"
        assert container.stop() == 0


@pytest.mark.parametrize("variant", sorted(SERVES))
def test_a_pod_of_it_applies_definitions(docker: Engine, variants: Built, variant: str) -> None:
    """A cluster's Job runs this script with the ``python`` of the platform's image, of whichever variant."""
    script = ROOT / "components" / "kubernetes" / "crds" / "apply.py"
    options = (*POD, "--volume", f"{script}:/apply.py:ro")
    with docker.container(variants[variant], "python", "/apply.py", "--help", options=options) as container:
        code, said = container.ended()
    assert code == 0 and said.startswith("usage:"), said


def test_users_ports_and_commands_are_those_that_the_platforms_expect(
    docker: Engine, variants: Built
) -> None:
    found = {variant: docker.config(reference) for variant, reference in variants.items()}
    assert {variant: config["User"] for variant, config in found.items()} == {
        **dict.fromkeys(found, "10001:10001"),
        "sagemaker": "0:0",
    }
    for config in found.values():
        assert config["Cmd"] == ["serve"] and not config["Entrypoint"]
        assert set(config["ExposedPorts"]) == {f"{SERVER_PORT}/tcp"}
