"""When Pulumi's own provider takes its configuration for another cluster: as the stand-in of `planning`."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from provider.values import to_struct
from tests.plan.test_clusters import CASES
from tools import toolchain

pytestmark = pytest.mark.cluster
URN = "urn:pulumi:prod::model-delivery::pulumi:providers:kubernetes::kubernetes"


@pytest.fixture(scope="module")
def pulumi() -> Generator[provider_pb2_grpc.ResourceProviderStub]:
    """Pulumi's own provider, without an engine and without a cluster."""
    command = [str(toolchain.kubernetes_provider().executable), "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield provider_pb2_grpc.ResourceProviderStub(channel)
        finally:
            process.kill()


@pytest.mark.parametrize("case", CASES)
def test_pulumis_own_provider_replaces_what_the_stand_in_replaces(
    pulumi: provider_pb2_grpc.ResourceProviderStub, case: str
) -> None:
    olds, news, replaced = CASES[case]
    request = provider_pb2.DiffRequest(
        id="known", urn=URN, olds=to_struct(olds), old_inputs=to_struct(olds), news=to_struct(news)
    )
    answer: Any = pulumi.DiffConfig(request, timeout=60)
    assert bool(list(answer.replaces)) is replaced
