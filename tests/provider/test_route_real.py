"""Traffic through a real Envoy, as the route resource sets it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from provider.resource import ProviderError
from tests.provider.conftest import Gate, Run, get
from tests.waiting import until

pytestmark = pytest.mark.real


def test_weights_are_in_force_when_the_update_returns(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    gate.put("churn", (1, 100, [one]), (2, 0, [two]))
    assert gate.versions("churn") == {"1": 40}
    gate.put("churn", (1, 0, [one]), (2, 100, [two]))
    assert gate.versions("churn") == {"2": 40}
    gate.put("churn", (1, 50, [one]), (2, 50, [two]))
    found = gate.versions("churn", 400)
    assert found.keys() == {"1", "2"}
    assert 130 < found["1"] < 270


def test_a_weight_costs_the_gateway_no_second_look_at_its_clusters(run: Run, gate: Gate) -> None:
    # With a hundred models that look took longer than the change of the weight itself.
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    gate.put("churn", (1, 100, [one]), (2, 0, [two]))
    before = gate.attempts("cluster_manager.cds"), gate.attempts("http.gateway.rds.models")
    gate.put("churn", (1, 0, [one]), (2, 100, [two]))
    assert gate.versions("churn") == {"2": 40}
    assert gate.attempts("cluster_manager.cds") == before[0]
    assert gate.attempts("http.gateway.rds.models") == before[1] + 1


def test_a_release_gets_no_traffic_before_the_gateway_knows_that_it_is_ready(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2, "--lag", "0.7")
    gate.put("churn", (1, 100, [one]))
    with Load(gate.port, "/churn/predict", 2) as load:
        gate.put("churn", (2, 100, [two]))
        assert gate.versions("churn") == {"2": 40}
    assert load.failed() == []


def test_paths_lose_the_models_prefix_and_a_named_version_wins_over_weights(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v12-0", 12)
    gate.put("churn", (1, 100, [one]), (12, 0, [two]))
    assert get(gate.port, "/churn/predict?a=1")[1] == {"version": "1", "path": "/predict?a=1"}
    assert get(gate.port, "/churn/v2/health/ready") == (200, {})
    assert get(gate.port, "/churn/v2/models/churn")[1]["version"] == "1"
    for tail in ("", "/infer", "/ready?x=%20y"):
        path = f"/v2/models/churn/versions/12{tail}"
        assert get(gate.port, f"/churn{path}")[1] == {"version": "12", "path": path}
    # Version 1 is not a prefix of version 12, and an unknown version is the model server's to refuse.
    assert get(gate.port, "/churn/v2/models/churn/versions/1/infer")[1]["version"] == "1"
    assert get(gate.port, "/churn/v2/models/churn/versions/120/infer")[1]["version"] == "1"


def test_a_request_gets_the_time_that_its_model_has_and_no_more(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0", 1)
    gate.put("churn", (1, 100, [server]), timeout=1)
    gate.put("patient", (1, 100, [server]), timeout=30)
    for path in ("/churn/wait/10", "/churn/v2/models/churn/versions/1/infer"):
        start = time.monotonic()
        status, _ = get(gate.port, path, "POST", b"{}")
        assert (status, time.monotonic() - start < 10) == ((504, True) if "wait" in path else (200, True))
    # Its replica has done nothing wrong: the next request is answered.
    assert get(gate.port, "/churn/predict", "POST", b"{}")[0] == 200
    assert get(gate.port, "/patient/wait/1.5", "POST", b"{}")[0] == 200


def test_a_route_of_a_former_version_has_a_minute_and_stays_as_it_is(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0", 1)
    state = gate.put("churn", (1, 100, [server]))
    former = {key: value for key, value in state.items() if key in ("folder", "model", "backends", "inForce")}
    # What a former version has written, and reads.
    assert json.loads((gate.folder / "routes/churn.json").read_text()).keys() == {"model", "backends", "id"}
    new = run.route.check(run.context("churn"), former, gate.inputs("churn", (1, 100, [server]))).inputs
    found = run.route.diff(run.context("churn"), gate.ids["churn"], former, new)
    assert not found.changes and not found.remark


def test_what_is_no_model_is_404(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0")
    state = gate.put("churn", (1, 100, [server]))
    for path in ("/-/no", "/churners/predict", "/fraud/predict", "/-/stats", "/-/quitquitquit"):
        status, content = get(gate.port, path)
        assert status == 404, path
        assert content["error"].startswith("nothing is at this path; the models are churn: requests go to")
    run.route.delete(run.context("churn"), gate.ids["churn"], state)
    assert get(gate.port, "/churn/predict")[0] == 404
    assert get(gate.port, "/-/ready")[0] == 200
    assert json.loads((gate.folder / "clusters.json").read_text())["resources"] == []


def test_the_gateway_says_which_models_there_are_and_how_they_are_asked(run: Run, gate: Gate) -> None:
    server, other = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    gate.put("churn", (1, 90, [server]), (2, 10, [other]))
    traffic = "v1 90 %, v2 10 %"
    assert get(gate.port, "/") == (200, {"models": [{"name": "churn", "url": "/churn", "traffic": traffic}]})
    url, browser = f"http://127.0.0.1:{gate.port}", {"accept": "text/html,*/*"}
    page = httpx.get(f"{url}/", headers=browser)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert traffic in page.text and 'href="/churn"' in page.text
    for path in ("/churn", "/churn/"):
        assert httpx.get(url + path, headers=browser).headers["location"] == f"{url}/churn/docs"
        assert httpx.get(url + path).headers["location"] == f"{url}/churn/v2/models/churn"
    # A prediction that went astray must not look like one that was answered.
    wrong = httpx.post(f"{url}/churn", json={"features": [[1]]})
    assert wrong.status_code == 404 and "requests go to /MODEL/predict" in wrong.json()["error"]


def test_a_request_keeps_the_id_that_its_caller_gave_it(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0", 1)
    gate.put("churn", (1, 100, [server]))
    url = f"http://127.0.0.1:{gate.port}/churn/predict"
    assert httpx.get(url, headers={"x-request-id": "mine-7"}).headers["x-request-id"] == "mine-7"
    new = {httpx.get(url).headers["x-request-id"] for _ in range(2)}
    assert len(new) == 2


def test_a_shadow_gets_a_copy_and_its_trouble_hurts_nobody(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    gate.put("churn", (1, 100, [one]), (2, 0, [two]), shadow=2)
    assert gate.versions("churn") == {"1": 40}
    until(lambda: get(two.port, "/seen")[1]["seen"] == 40)
    big = b"x" * 3_000_000
    assert get(gate.port, "/churn/predict", "POST", big)[1]["size"] == len(big)
    until(lambda: get(two.port, "/seen")[1]["seen"] == 41)
    two.delete()
    assert gate.versions("churn") == {"1": 40}


def test_models_put_side_by_side_are_all_in_force(run: Run, gate: Gate) -> None:
    server = run.serve("shared-v1-0")
    names = [f"model-{n}" for n in range(8)]
    failures: list[Exception] = []

    def put(name: str) -> None:
        try:
            gate.put(name, (1, 100, [server]))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=put, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [get(gate.port, f"/{name}/predict")[0] for name in names] == [200] * 8


def test_a_refused_configuration_names_the_file_and_leaves_traffic_as_it_was(run: Run, gate: Gate) -> None:
    one = run.serve("churn-v1-0", 1)
    state = gate.put("churn", (1, 100, [one]))
    bad = gate.inputs("churn", (1, 100, [one]))
    # Envoy takes no host names in a static cluster.
    bad["backends"][0]["addresses"] = ["no-address:1"]
    with pytest.raises(ProviderError, match=r"gateway refuses .*clusters\.json"):
        run.route.update(run.context("churn"), gate.ids["churn"], state, bad)
    assert gate.versions("churn") == {"1": 40}
    assert not run.route.diff(
        run.context("churn"), gate.ids["churn"], state, gate.inputs("churn", (1, 100, [one]))
    ).changes
    gate.put("fraud", (1, 100, [one]))
    assert get(gate.port, "/fraud/predict")[0] == 200


def test_files_changed_by_hand_are_noticed_and_written_again(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    state = gate.put("churn", (1, 90, [one]), (2, 10, [two]))
    inputs = gate.inputs("churn", (1, 90, [one]), (2, 10, [two]))
    context = run.context("churn")
    assert run.route.read(context, "churn", state) == state
    for name in ("routes.json", "clusters.json", "routes/churn.json"):
        file = gate.folder / name
        file.write_text(file.read_text().replace("90", "80").replace("churn-v1", "churn-v7"))
        diff = run.route.diff(context, "churn", state, inputs)
        assert diff.changes == {"inForce": False}
        assert "changed by hand" in diff.remark
        found = run.route.read(context, "churn", state)
        assert found is not None and found["inForce"] is False
        state = run.route.update(context, "churn", state, inputs)
        assert not run.route.diff(context, "churn", state, inputs).changes
        assert gate.versions("churn", 5).keys() <= {"1", "2"}
    (gate.folder / "routes/churn.json").unlink()
    assert run.route.read(context, "churn", state) is None
    assert run.route.diff(context, "churn", state, inputs).changes


def test_a_gateway_that_missed_a_change_is_noticed_and_told_again(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    state = gate.put("churn", (1, 100, [one]), (2, 0, [two]))
    inputs = gate.inputs("churn", (1, 100, [one]), (2, 0, [two]))
    table = gate.folder / "routes.json"
    right = table.read_text()
    gate.put("churn", (1, 0, [one]), (2, 100, [two]))
    # Envoy looks when a file is renamed into the folder, not when one is written in place.
    table.write_text(right)
    (gate.folder / "routes/churn.json").write_text(
        json.dumps({"model": "churn", "backends": inputs["backends"]})
    )
    diff = run.route.diff(run.context("churn"), gate.ids["churn"], state, inputs)
    assert "the gateway does not follow its files" in diff.remark
    run.route.update(run.context("churn"), gate.ids["churn"], state, inputs)
    assert gate.versions("churn") == {"1": 40}


def test_a_damaged_route_of_another_model_keeps_that_models_traffic(run: Run, gate: Gate) -> None:
    one = run.serve("churn-v1-0", 1)
    gate.put("churn", (1, 100, [one]))
    (gate.folder / "routes/churn.json").write_text("{")
    with pytest.raises(ProviderError, match=r"routes/churn\.json is no route any more"):
        gate.put("fraud", (1, 100, [one]))
    assert gate.versions("churn") == {"1": 40}
    assert get(gate.port, "/fraud/predict")[0] == 404
    assert not (gate.folder / "routes/fraud.json").exists()


def test_a_gateway_that_comes_back_during_the_wait_takes_the_route(run: Run, gate: Gate) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    gate.put("churn", (1, 100, [one]))
    os.kill(run.pid("gateway-envoy"), signal.SIGKILL)
    gate.put("churn", (1, 0, [one]), (2, 100, [two]))
    # The gateway says what is in force a moment before it listens again.
    until(lambda: _answers(gate.port, "/-/ready"))
    assert gate.versions("churn") == {"2": 40}


def test_a_dead_gateway_is_told_and_the_former_route_is_back(
    run: Run, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = run.serve("churn-v1-0", 1), run.serve("churn-v2-0", 2)
    state = gate.put("churn", (1, 100, [one]))
    monkeypatch.setattr("provider.gateway._IN_FORCE_SECONDS", 0.5)
    from provider.daemon import Daemon

    Daemon(run.folder).halt("gateway-envoy", 5)
    with pytest.raises(ProviderError, match="the gateway does not answer"):
        gate.put("churn", (1, 0, [one]), (2, 100, [two]))
    assert json.loads((gate.folder / "routes/churn.json").read_text())["backends"] == state["backends"]
    # What is removed meanwhile is gone when it comes back.
    run.route.delete(run.context("churn"), gate.ids["churn"], state)
    assert gate.process.diff().changes
    gate.process.update()
    assert get(gate.port, "/churn/predict")[0] == 404


class Load:
    """Requests, one after another on each of some connections, until it is left."""

    def __init__(self, port: int, path: str, connections: int = 8) -> None:
        self.answers: list[int] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port, path)) for _ in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, port: int, path: str) -> None:
        while not self._stop.is_set():
            try:
                status = get(port, path, "POST", b"{}")[0]
            except OSError:
                status = 0
            self.answers.append(status)

    def failed(self) -> list[int]:
        return [status for status in self.answers if status != 200]


def test_a_killed_replica_of_two_loses_nothing(run: Run, gate: Gate) -> None:
    replicas = [run.serve(f"churn-v1-{n}", 1, "--slow", "0.5") for n in range(2)]
    gate.put("churn", (1, 100, replicas))
    with Load(gate.port, "/churn/predict") as load:
        for replica in (*replicas, *replicas):
            count = len(load.answers)
            until(lambda count=count: len(load.answers) > count + 100)
            pid = run.pid(replica.id)
            os.kill(pid, signal.SIGKILL)
            until(lambda replica=replica, pid=pid: run.pid(replica.id) not in (0, pid))
            until(lambda replica=replica: not replica.diff().changes)
            # Back in the rotation before the other one goes.
            seen = _seen(replica.port)
            until(lambda replica=replica, seen=seen: _seen(replica.port) > seen)
    assert len(load.answers) > 400
    assert load.failed() == []


def test_a_killed_sole_server_answers_again_once_it_is_ready(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0", 1, "--slow", "0.5")
    gate.put("churn", (1, 100, [server]))
    with Load(gate.port, "/churn/predict", 4) as load:
        until(lambda: len(load.answers) > 50)
        os.kill(run.pid(server.id), signal.SIGKILL)
        until(lambda: bool(load.failed()))
        until(lambda: _answers(server.port, "/v2/health/ready"))
        until(lambda: all(status == 200 for status in load.answers[-100:]))


def test_a_failing_model_is_not_taken_for_a_broken_server(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0", 1)
    other = run.serve("churn-v1-1", 1)
    gate.put("churn", (1, 100, [server, other]))
    assert {get(gate.port, "/churn/fail", "POST", b"{}")[0] for _ in range(30)} == {500}
    assert _seen(server.port) + _seen(other.port) == 30, "an error of the model was asked for again"
    before = _seen(server.port), _seen(other.port)
    gate.versions("churn")
    assert _seen(server.port) > before[0] and _seen(other.port) > before[1]


def test_a_large_request_is_asked_again_of_another_replica(run: Run, gate: Gate) -> None:
    broken, sound = run.serve("churn-v1-0", 1, "--reset"), run.serve("churn-v1-1", 1)
    gate.put("churn", (1, 100, [broken, sound]))
    big = b"x" * 3_000_000
    assert {get(gate.port, "/churn/predict", "POST", big)[0] for _ in range(20)} == {200}
    assert _seen(broken.port) > 0, "no request met the broken replica"


def test_the_last_replica_is_asked_also_when_it_says_that_it_is_not_ready(run: Run, gate: Gate) -> None:
    server = run.serve("churn-v1-0", 1)
    gate.put("churn", (1, 100, [server]))
    get(server.port, "/unready")
    unhealthy = 'envoy_cluster_membership_healthy{envoy_cluster_name="churn-v1"} 0\n'
    until(lambda: unhealthy in get(gate.port, "/-/metrics")[1])
    assert gate.versions("churn", 10) == {"1": 10}


def _seen(port: int) -> int:
    try:
        return get(port, "/seen")[1]["seen"]
    except OSError:
        return 0


def _answers(port: int, path: str) -> bool:
    try:
        return get(port, path)[0] == 200
    except OSError:
        return False


def test_nothing_is_written_to_a_folder_that_is_full(run: Run, gate: Gate, small_disk: Path) -> None:
    one = run.serve("churn-v1-0", 1)
    state = gate.put("churn", (1, 100, [one]))
    with pytest.raises(ProviderError, match="no space left on device"):
        run.route.create(run.context("churn"), {**state, "folder": str(small_disk)})
    assert not list(small_disk.rglob("churn.json"))
