"""Delivery by configuration alone, on the real engine, Envoy, MLflow and Prometheus."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.stack import Stack
from tests.processes import family
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.real

CANARY_10 = {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 10}}}


def churn(stable: int, **canary: Any) -> dict[str, Any]:
    model: dict[str, Any] = {"stable": {"version": stable}}
    if canary:
        model["canary"] = canary
    return {"churn": model}


@contextmanager
def constant_load(stack: Stack, model: str = "churn") -> Iterator[list[str]]:
    """Requests from four threads for as long as the block runs; what failed is listed."""
    stop = threading.Event()
    failures: list[str] = []
    served = Counter[str]()

    def send() -> None:
        with httpx.Client(trust_env=False) as client:
            while not stop.is_set():
                try:
                    response = stack.predict(client, model)
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                    continue
                if response.status_code != 200:
                    failures.append(f"{response.status_code} {response.text[:100]}")
                served[response.headers.get("x-model-version", "none")] += 1

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        assert served.total() > 0


def test_exports_say_where_everything_is(stack: Stack) -> None:
    stack.up(CANARY_10)
    outputs = stack.outputs()
    assert outputs["gatewayUrl"] == stack.gateway
    endpoint = outputs["endpoints"]["churn"]
    assert endpoint["url"] == f"{stack.gateway}/churn"
    assert [(r["version"], r["weight"], r["shadow"]) for r in endpoint["releases"]] == [
        (1, 90, False),
        (2, 10, False),
    ]
    assert all(r["digest"].startswith("sha256:") for r in endpoint["releases"])
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        assert client.get(f"{outputs['trackingUrl']}/health").text == "OK"
        assert client.get(f"{outputs['prometheusUrl']}/-/ready").status_code == 200
        found = client.get(f"{outputs['trackingUrl']}/api/2.0/mlflow/registered-models/search")
        assert {m["name"] for m in found.json()["registered_models"]} >= {"churn", "fraud"}


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    stack.up(CANARY_10)
    before = stack.pids()
    assert stack.plan() == []
    assert "unchanged" in stack.up().text
    assert stack.pids() == before


def test_a_weight_is_one_changed_route_and_restarts_nothing(stack: Stack) -> None:
    stack.up(CANARY_10)
    before = stack.pids()
    planned = sorted(stack.plan(churn(1, version=2, weight=50)), key=lambda step: step.type)
    route, rollout, wish = planned
    assert (route.op, route.type, route.name) == ("update", "local:Route", "churn")
    assert route.paths == {"backends[0].weight", "backends[1].weight"}
    assert (rollout.op, rollout.type, rollout.name) == ("update", "registry:Rollout", "churn")
    assert rollout.paths >= {"canary.weight", "since"}
    assert (wish.op, wish.type, wish.paths) == ("update", "registry:Step", {"canary.weight"})
    shown = stack.preview().text
    assert "weight : 10 => 50" in " ".join(shown.replace("\n", " ").split()) or "10 => 50" in shown
    assert "churn: v1 90 %, v2 10 % → v1 50 %, v2 50 %" in shown
    stack.up()
    answered = stack.split(600)
    assert abs(answered["2"] - 300) < 75  # 6 standard deviations of a fair coin
    assert stack.pids() == before


def test_blue_green_switches_all_of_it_at_once(stack: Stack) -> None:
    stack.up(churn(1, version=2, weight=0))
    assert stack.split(100) == {"1": 100}
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        # The release that nobody meets yet can be tried by its version.
        url = f"{stack.gateway}/churn/v2/models/churn/versions/2"
        assert client.get(url).headers["x-model-version"] == "2"
    with constant_load(stack) as failures:
        stack.up(churn(1, version=2, weight=100))
    assert failures == []
    assert stack.split(100) == {"2": 100}


def test_a_shadow_gets_a_copy_and_answers_nobody(stack: Stack) -> None:
    stack.up(churn(1, version=3, shadow=True))
    before = served_by(stack, "3")
    assert stack.split(50) == {"1": 50}
    until(lambda: served_by(stack, "3") == before + 50)


def test_a_dead_shadow_hurts_nobody(stack: Stack) -> None:
    stack.up(churn(1, version=3, shadow=True))
    with constant_load(stack) as failures:
        for _ in range(3):
            pid = stack.pids().get("churn-v3-0")
            if pid:
                os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: stack.pids().get("churn-v3-0") not in (None, pid))
    assert failures == []


def test_promotion_and_rollback_under_load_lose_nothing(stack: Stack) -> None:
    stack.up(churn(1))
    with constant_load(stack) as failures:
        stack.up(churn(1, version=2, weight=10))
        canary = stack.pids()["churn-v2-0"]
        stack.up(churn(1, version=2, weight=50))
        stack.up(churn(2))
        assert stack.pids()["churn-v2-0"] == canary
        assert "churn-v1-0" not in stack.pids()
        stack.up(churn(1))
    assert failures == []
    assert stack.split(50) == {"1": 50}
    assert set(stack.pids()) == {"tracking-server", "gateway-envoy", "monitoring-prometheus", "churn-v1-0"}


def test_a_second_model_comes_and_goes_beside_the_first(stack: Stack) -> None:
    stack.up(churn(1))
    before = stack.pids()
    with constant_load(stack) as failures:
        stack.up({**churn(1), "fraud": {"stable": {"version": 1}, "autoscaling": {"min": 2}}})
        assert stack.split(20, "fraud") == {"1": 20}
        assert {"fraud-v1-0", "fraud-v1-1"} <= set(stack.pids())
        stack.up(churn(1))
    assert failures == []
    assert stack.pids() == before
    with httpx.Client(trust_env=False) as client:
        assert stack.predict(client, "fraud").status_code == 404


def test_prometheus_sees_servers_and_gateway(stack: Stack) -> None:
    stack.up(CANARY_10)
    stack.split(100)
    url = f"http://127.0.0.1:{stack.ports['prometheus']}/api/v1"

    def targets() -> dict[str, str]:
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            active = client.get(f"{url}/targets").json()["data"]["activeTargets"]
        return {f"{t['labels']['job']} {t['labels'].get('version', '')}".strip(): t["health"] for t in active}

    until(lambda: targets() == {"models 1": "up", "models 2": "up", "gateway": "up"})


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    stack.up(CANARY_10)
    pids = {*stack.pids().values(), int((stack.run / "supervisord.pid").read_text())}
    listening = [address for pid in family(pids) for address in listeners(pid)]
    # Two servers, gateway, MLflow, Prometheus.
    assert len(listening) >= 5
    assert set(listening) == {"127.0.0.1"}


def served_by(stack: Stack, version: str) -> int:
    """How many predictions a release has made, by its own count."""
    total = 0
    for file in (stack.run / "targets").glob(f"churn-v{version}-*.json"):
        (address,) = json.loads(file.read_text())[0]["targets"]
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            text = client.get(f"http://{address}/metrics").text
        for line in text.splitlines():
            if line.startswith("model_requests_total") and 'code="200"' in line:
                total += int(float(line.rsplit(" ", 1)[1]))
    return total


def listeners(pid: int) -> list[str]:
    """Addresses on which a process has listening TCP sockets."""
    try:
        links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found: list[str] = []
    for table, width in (("tcp", 8), ("tcp6", 32)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address = fields[1].split(":")[0]
                assert len(address) == width
                found.append(
                    ".".join(str(b) for b in reversed(bytes.fromhex(address))) if width == 8 else address
                )
    return found
