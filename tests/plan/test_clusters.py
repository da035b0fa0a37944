"""When a change of its configuration replaces a provider of Kubernetes, and with it every object.

The same table is what Pulumi's own provider answers, where `MODEL_DELIVERY_KUBERNETES_PROVIDER` names its
executable.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from provider.resource import UNKNOWN, Properties
from provider.values import to_struct
from tests.plan.clusters import moved

EXECUTABLE = os.environ.get("MODEL_DELIVERY_KUBERNETES_PROVIDER", "")


def access(server: str = "https://10.0.0.2", authority: str = "Y2E=", **more: Any) -> Properties:
    """The configuration of a provider."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "clusters": [
            {"name": "prod", "cluster": {"server": server, "certificate-authority-data": authority}}
        ],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}],
        "users": [{"name": "prod", "user": {}}],
    }
    return {"kubeconfig": json.dumps(config), **more}


OPENED = {"server": "https://203.0.113.10"}
KNOWN = {"clusterIdentifier": "one"}
CASES: dict[str, tuple[Properties, Properties, bool]] = {
    "without an identifier another address": (access(), access(**OPENED), True),
    "an identifier is added": (access(), access(**KNOWN), False),
    "an identifier is added with another address": (access(), access(**OPENED, **KNOWN), True),
    "the same identifier, another address": (access(**KNOWN), access(**OPENED, **KNOWN), False),
    "the same identifier, other credentials": (access(**KNOWN), access(authority="Y2I=", **KNOWN), False),
    "the same identifier, an unknown address": (
        access(**KNOWN),
        {"kubeconfig": UNKNOWN, **KNOWN},
        False,
    ),
    "another identifier": (access(**KNOWN), access(**OPENED, clusterIdentifier="two"), True),
    "an unknown identifier": (
        access(**KNOWN),
        {"kubeconfig": UNKNOWN, "clusterIdentifier": UNKNOWN},
        True,
    ),
    "another name of a context": ({"context": "prod"}, {"context": "production"}, False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule(case: str) -> None:
    olds, news, replaced = CASES[case]
    assert bool(moved(olds, news)) is replaced


@pytest.fixture(scope="module")
def pulumis_own() -> Generator[provider_pb2_grpc.ResourceProviderStub]:
    """Pulumi's own provider, as the engine starts it."""
    command = [EXECUTABLE, "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield provider_pb2_grpc.ResourceProviderStub(channel)
        finally:
            process.kill()


@pytest.mark.real
@pytest.mark.skipif(not EXECUTABLE, reason="MODEL_DELIVERY_KUBERNETES_PROVIDER names no executable")
@pytest.mark.parametrize("case", CASES)
def test_the_rule_is_pulumis_own_providers(
    pulumis_own: provider_pb2_grpc.ResourceProviderStub, case: str
) -> None:
    olds, news, replaced = CASES[case]
    urn = "urn:pulumi:prod::model-delivery::pulumi:providers:kubernetes::kubernetes"
    request = provider_pb2.DiffRequest(
        id="known", urn=urn, olds=to_struct(olds), old_inputs=to_struct(olds), news=to_struct(news)
    )
    answer: Any = pulumis_own.DiffConfig(request, timeout=60)
    assert bool(list(answer.replaces)) is replaced
