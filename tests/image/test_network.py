"""Containers open no connection beyond those that they are told of: nothing in them phones anywhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from tests.image.engine import Engine
from tests.image.models import (
    MLFLOW_COMMAND,
    MLFLOW_OPTIONS,
    MLFLOW_PORT,
    MLFLOW_VARIABLES,
    REQUESTS,
    SERVER_PORT,
    Models,
    answering,
    ask,
)
from tests.image.variants import POD, SERVES, Built
from tests.image.watched import watched
from tests.waiting import PATIENCE

pytestmark = pytest.mark.image


@pytest.mark.parametrize("target", ["192.0.2.1", "telemetry.example.com"])
def test_a_connection_elsewhere_would_be_counted(docker: Engine, variants: Built, target: str) -> None:
    words = ("python", "-c", f"import socket; socket.create_connection(({target!r}, 443), 5)")
    with watched(docker) as seen:
        with docker.container(variants["onnx"], *words, network=seen.network) as container:
            code, _ = container.ended()
        assert code != 0 and seen.refused() > 0


@pytest.mark.parametrize("flavor", SERVES["both"])
def test_a_server_asks_mlflow_for_its_artifact_and_nobody_for_anything_else(
    docker: Engine, variants: Built, models: Models, flavor: str
) -> None:
    host = urlsplit(models.tracking).hostname or ""
    env = models.variables(flavor)
    with (
        watched(docker, host) as seen,
        docker.container(variants["both"], env=env, options=POD, network=seen.network) as container,
    ):
        url = f"http://{seen.address}:{SERVER_PORT}"
        answering(container, f"{url}/v2/health/ready")
        assert {name: ask(url, name) for name in REQUESTS} == models.released[flavor].answers
        assert container.stop() == 0
        assert seen.refused() == 0


def test_mlflow_asks_nobody(docker: Engine, mlflow: str) -> None:
    with (
        watched(docker) as seen,
        docker.container(
            mlflow, *MLFLOW_COMMAND, env=MLFLOW_VARIABLES, options=MLFLOW_OPTIONS, network=seen.network
        ) as container,
    ):
        uri = f"http://{seen.address}:{MLFLOW_PORT}"
        answering(container, f"{uri}/health")
        for path, body in (
            ("experiments/create", {"name": "one"}),
            ("registered-models/create", {"name": "one"}),
            ("runs/create", {"experiment_id": "1"}),
        ):
            answer = httpx.post(f"{uri}/api/2.0/mlflow/{path}", json=body, trust_env=False, timeout=PATIENCE)
            assert answer.status_code == 200, answer.text
        container.stop()
        assert seen.refused() == 0
