"""The server as a process: starting, refusing to start, and ending without losing a request."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from serving.artifact import digest
from serving.process import _OneWrite, drain_seconds
from serving.settings import Settings
from tests.ports import free_port
from tests.serving import folders
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
ROW = [1.0, 2.0, 3.0]


class Server:
    """A started server process."""

    def __init__(self, folder: Path, log: Path, *flags: str, expected: str | None = None) -> None:
        self.port = free_port()
        self.log = log
        words = [
            *(sys.executable, "-m", "serving", "--model", "churn", "--version", "3"),
            *("--artifact", str(folder), "--digest", expected or digest(folder), "--port", str(self.port)),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*words, *flags], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=environment
            )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def status(self, path: str) -> int | None:
        """Return the status of a path, or None when nothing answers."""
        try:
            return httpx.get(self.url(path), timeout=PATIENCE).status_code
        except httpx.TransportError:
            return None

    def predict(self, rows: Any = None) -> httpx.Response:
        return httpx.post(self.url("/predict"), json={"features": rows or [ROW]}, timeout=PATIENCE)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"ended while waiting until {what}: {self.log.read_text()}"
            assert time.monotonic() < end, f"not in time: {what}: {self.log.read_text()}"
            time.sleep(0.02)

    def ready(self) -> "Server":
        self.wait(lambda: self.status("/v2/health/ready") == 200, "ready")
        return self

    def end(self) -> int:
        return self.process.wait(PATIENCE)


@contextmanager
def started(folder: Path, tmp_path: Path, *flags: str, expected: str | None = None) -> Iterator[Server]:
    server = Server(folder, tmp_path / "output", *flags, expected=expected)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


class Gated:
    """A model whose predictions of ``ROW`` wait for a file to appear, to hold a request open."""

    def __init__(self, gate: str) -> None:
        self.gate = gate

    def predict(self, rows: Any) -> Any:
        import numpy

        array = numpy.asarray(rows)
        end = time.monotonic() + 3 * PATIENCE
        if (array == ROW).all(axis=1).any():
            Path(self.gate + ".reached").touch()
            while not Path(self.gate).exists() and time.monotonic() < end:
                time.sleep(0.01)
        return array.sum(axis=1)


class SlowToLoad:
    """A model that cannot be loaded before a file appears."""

    def __init__(self, gate: str) -> None:
        self.gate = gate

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__dict__ = state
        end = time.monotonic() + 3 * PATIENCE
        while not Path(self.gate).exists() and time.monotonic() < end:
            time.sleep(0.01)

    def predict(self, rows: Any) -> Any:
        return [sum(row) for row in rows]


def test_a_model_that_mlflow_saved_is_served_end_to_end(tmp_path: Path, classifier: Any) -> None:
    """Saved by the real MLflow in both flavours, in a process of its own."""
    script = (
        "import sys, joblib, mlflow, numpy, skl2onnx\n"
        "fitted = joblib.load(sys.argv[1]); rows = numpy.eye(3)\n"
        "s = mlflow.models.infer_signature(rows, fitted.predict(rows))\n"
        "mlflow.sklearn.save_model(fitted, sys.argv[2] + '/sk', signature=s, pip_requirements=['x'])\n"
        "example, options = rows[:1].astype('float32'), {'zipmap': False}\n"
        "o = skl2onnx.to_onnx(fitted, example, target_opset=15, options=options)\n"
        "mlflow.onnx.save_model(o, sys.argv[2] + '/onnx', signature=s, pip_requirements=['x'])\n"
    )
    import joblib

    joblib.dump(classifier, tmp_path / "fitted")
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "fitted"), str(tmp_path)],
        check=True,
        capture_output=True,
        timeout=3 * PATIENCE,
        cwd=tmp_path,
    )
    rows = [[0.5, 0.1, 0.9], [-1.0, -0.2, 0.3]]
    for name in ("sk", "onnx"):
        with started(tmp_path / name, tmp_path) as server:
            answer = server.ready().predict(rows)
            assert answer.json()["predictions"] == classifier.predict(rows).tolist()
            assert answer.headers["x-model-version"] == "3"
            assert (
                b'model_requests_total{code="200"'
                in httpx.get(server.url("/metrics"), timeout=PATIENCE).content
            )


def test_it_is_live_while_it_loads_and_ready_only_after(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    folder = tmp_path / "m"
    with gate_open(gate):
        folders.sklearn(folder, SlowToLoad(str(gate)))
    with started(folder, tmp_path) as server:
        server.wait(lambda: server.status("/v2/health/live") == 200, "live")
        assert server.status("/v2/health/ready") == 503
        assert server.predict().status_code == 503
        gate.touch()
        assert server.ready().predict().json()["predictions"] == [6.0]


@contextmanager
def gate_open(gate: Path) -> Iterator[None]:
    gate.touch()
    yield
    gate.unlink()


def test_sigterm_drains_without_losing_what_is_under_way(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    folder = folders.sklearn(tmp_path / "m", SlowGate(str(gate)))
    with started(folder, tmp_path, "--drain", "0.2", "--grace", str(2 * PATIENCE)) as server:
        server.ready()
        answers: list[httpx.Response] = []
        caller = threading.Thread(target=lambda: answers.append(server.predict()))
        caller.start()
        server.wait(Path(f"{gate}.reached").exists, "the request is under way")
        server.process.send_signal(signal.SIGTERM)
        server.wait(lambda: server.status("/v2/health/ready") in (503, None), "no longer ready")
        # Then it stops listening, though a request is still under way.
        server.wait(lambda: server.status("/v2/health/live") is None, "no longer listening")
        caller.join(1.0)
        assert not answers, "cut off, though the grace period is not over"
        gate.touch()
        caller.join(PATIENCE)
        assert answers[0].status_code == 200
        assert answers[0].json()["predictions"] == [6.0]
        assert server.end() == 0


class SlowGate(Gated):
    """A gated model that takes long enough in its warm-up to run off the event loop."""

    def predict(self, rows: Any) -> Any:
        time.sleep(0.003)
        return super().predict(rows)


def test_a_drain_answers_new_requests_first_and_closes_their_connections(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with started(folder, tmp_path, "--drain", str(PATIENCE), "--grace", str(2 * PATIENCE)) as server:
        server.ready()
        server.process.send_signal(signal.SIGTERM)
        server.wait(lambda: server.status("/v2/health/ready") == 503, "draining")
        answer = server.predict()
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        # A second signal is impatient.
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("drain", "grace", "expected"),
    [
        (10, 80, (10, 20)),  # a pod's: a request that comes in the 20th second has a minute
        (10, 3620, (10, 20)),
        (1, 20, (1, 10)),
        (60, 200, (60, 60)),
        (60, 40, (20, 20)),
    ],
)
def test_a_long_grace_is_for_requests_and_not_for_traffic(
    drain: float, grace: float, expected: tuple[float, float]
) -> None:
    settings = Settings(
        model="m", version="1", artifact=Path("m"), digest="d", port=0, drain=drain, grace=grace
    )
    assert drain_seconds(settings) == expected


def test_the_grace_period_bounds_the_end(tmp_path: Path) -> None:
    gate = tmp_path / "never"
    folder = folders.sklearn(tmp_path / "m", SlowGate(str(gate)))
    with started(folder, tmp_path, "--drain", "0", "--grace", "2") as server:
        server.ready()
        answers: list[httpx.Response] = []
        caller = threading.Thread(target=lambda: answers.append(server.predict()))
        caller.start()
        server.wait(Path(f"{gate}.reached").exists, "the request is under way")
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 1
        assert time.monotonic() - begin < PATIENCE
        assert "the grace period of 2 s was over with 1 requests left" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()
        caller.join(PATIENCE)
        assert answers[0].status_code == 503


def test_no_request_fails_under_load_while_it_drains(tmp_path: Path) -> None:
    """Callers that open a new connection when theirs is closed lose nothing until the port is closed."""
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with started(folder, tmp_path, "--drain", str(PATIENCE), "--grace", str(2 * PATIENCE)) as server:
        server.ready()
        wrong: list[object] = []
        draining = threading.Event()
        counts = [0, 0]

        def call() -> None:
            with httpx.Client(timeout=PATIENCE) as client:
                closed = 0
                while closed < 100:
                    try:
                        answer = client.post(server.url("/predict"), json={"features": [ROW]})
                    except httpx.TransportError as error:
                        wrong.append(error)
                        return
                    counts[draining.is_set()] += 1
                    closed += answer.headers.get("connection") == "close"
                    if answer.status_code != 200 or answer.json()["predictions"] != [6.0]:
                        wrong.append(answer)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        server.wait(lambda: counts[0] > 50, "there is load")
        draining.set()
        server.process.send_signal(signal.SIGTERM)
        for caller in callers:
            caller.join(PATIENCE)
        assert wrong == []
        assert counts[1] >= 400
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0


def test_the_log_is_whole_after_the_end(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    log = tmp_path / "requests"
    with started(folder, tmp_path, "--drain", "0", "--access-log", str(log), "--sample", "1") as server:
        server.ready()
        for _ in range(20):
            server.predict()
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    assert [json.loads(line)["predictions"] for line in log.read_text().splitlines()] == [[6.0]] * 20


def test_without_a_log_file_records_go_to_standard_output(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with started(folder, tmp_path, "--drain", "0", "--sample", "1") as server:
        server.ready().predict()
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
        assert '"predictions":[6.0]' in server.log.read_text()


def refused(server: Server) -> str:
    """Return the message of a server that does not start."""
    assert server.end() == 1
    text = server.log.read_text()
    assert "Traceback" not in text
    return text


def test_another_artifact_than_the_pinned_one_is_not_served(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    pinned = digest(folder)
    (folder / "more").touch()
    with started(folder, tmp_path, expected=pinned) as server:
        message = refused(server)
    assert f"serving: the artifact in {folder} is not the one that was registered" in message
    assert pinned in message and digest(folder) in message


def test_a_missing_folder_and_a_corrupt_model_are_clear(tmp_path: Path) -> None:
    with started(tmp_path / "none", tmp_path, expected="sha256:" + "0" * 64) as server:
        assert f"serving: the artifact folder {tmp_path / 'none'} does not exist" in refused(server)
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    (folder / "model.joblib").write_bytes(b"\x80nonsense")
    with started(folder, tmp_path) as server:
        assert f"serving: cannot load {folder / 'model.joblib'} (joblib)" in refused(server)


def test_a_port_in_use_is_clear_and_its_owner_is_left_alone(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        with started(folder, tmp_path, "--port", str(port)) as server:
            message = refused(server)
        assert (
            f"serving: cannot listen on 127.0.0.1:{port}: Address already in use; choose another" in message
        )
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_log_that_cannot_be_written_is_clear(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    log = tmp_path / "nowhere" / "log"
    with started(folder, tmp_path, "--access-log", str(log)) as server:
        assert f"cannot write the request log {log}: No such file or directory" in refused(server)


def test_what_is_no_http_gets_a_clean_answer(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with started(folder, tmp_path) as server:
        server.ready()
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            connection.sendall(b"hello\r\n\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 400
            assert response.headers["x-model-version"] == "3"
            assert json.loads(response.read()) == {"error": "the request is not valid HTTP"}
        assert server.predict().status_code == 200
        assert "Traceback" not in server.log.read_text()


def test_an_answer_to_a_caller_who_is_gone_is_dropped() -> None:
    class Gone:
        def is_closing(self) -> bool:
            return True

        def write(self, data: bytes) -> None:
            raise RuntimeError("the handler is closed")

    async def answer() -> list[Any]:
        loop, troubles = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda loop, context: troubles.append(context))
        _OneWrite(cast(Any, Gone()), loop).write(b"HTTP/1.1 200 OK")
        await asyncio.sleep(0)
        return troubles

    assert asyncio.run(answer()) == []


def test_a_head_without_end_is_refused(summing: Path, tmp_path: Path) -> None:
    with started(summing, tmp_path) as server:
        server.ready()
        for start in (
            b"GET /v2 HTTP/1.1\r\nx: ",
            b"GET /",
            b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: ",
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                connection.sendall(start)
                with suppress(OSError):  # refused before all is sent
                    for _ in range(100):
                        connection.sendall(b"y" * 100_000)
                with suppress(ConnectionResetError):
                    answer = connection.recv(4096)
                    assert answer == b"" or (b"HTTP/1.1 4" in answer and b"x-model-version: 3" in answer)
        assert server.predict().status_code == 200


def test_a_huge_body_gets_its_413_though_it_is_still_being_sent(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with started(folder, tmp_path, "--max-body-bytes", "1000") as server:
        server.ready()
        # A client that writes everything before it reads.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("POST", "/predict", body=b"x" * 20_000_000)
        answer = connection.getresponse()
        assert answer.status == 413
        assert answer.headers["x-model-version"] == "3"
        assert b"larger than 1000 bytes" in answer.read()
        connection.close()
        assert server.predict().status_code == 200


def test_a_caller_that_goes_away_half_way_hurts_nobody(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum())
    with started(folder, tmp_path) as server:
        server.ready()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{")
        assert server.predict().json()["predictions"] == [6.0]
        text = httpx.get(server.url("/metrics"), timeout=PATIENCE).text
        assert 'model_requests_in_flight{model="churn",version="3"} 0.0' in text
        assert "Traceback" not in server.log.read_text()


def test_health_answers_while_a_slow_model_is_busy(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    folder = folders.sklearn(tmp_path / "m", SlowGate(str(gate)))
    with started(folder, tmp_path) as server:
        server.ready()
        caller = threading.Thread(target=server.predict)
        caller.start()
        server.wait(Path(f"{gate}.reached").exists, "the model is busy")
        assert server.status("/v2/health/live") == 200
        assert server.status("/v2/health/ready") == 200
        gate.touch()
        caller.join(PATIENCE)


class Holding:
    """A model that keeps the interpreter for a prediction of ``ROW`` until the pipe is opened."""

    def __init__(self, pipe: Path) -> None:
        self.pipe = str(pipe)

    def predict(self, rows: Any) -> Any:
        import ctypes

        import numpy

        array = numpy.asarray(rows)
        if (array == ROW).all(axis=1).any():
            Path(self.pipe + ".reached").touch()
            # Unlike ctypes.CDLL, PyDLL keeps the interpreter's lock during the call.
            ctypes.PyDLL(None).open(self.pipe.encode(), os.O_RDONLY)
        return array.sum(axis=1)

    @contextmanager
    def held(self, server: Server) -> Iterator[list[httpx.Response]]:
        """Have a prediction hold the server's interpreter; its response is in the list afterwards."""
        answers: list[httpx.Response] = []
        caller = threading.Thread(target=lambda: answers.append(server.predict()))
        caller.start()
        try:
            server.wait(Path(self.pipe + ".reached").exists, "the model holds the interpreter")
            yield answers
        finally:
            # Without a reader this fails: the call has ended.
            with suppress(OSError):
                until(lambda: os.close(os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK)) is None, 5)
            caller.join(PATIENCE)


@pytest.fixture
def holding(tmp_path: Path) -> Holding:
    os.mkfifo(tmp_path / "pipe")
    return Holding(tmp_path / "pipe")


def test_health_answers_while_the_model_holds_the_interpreter(holding: Holding, tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "model", holding)
    with started(folder, tmp_path) as server:
        server.ready()
        with holding.held(server) as answers:
            for path in ("/v2/health/live", "/v2/health/ready", "/ping", "/v2/models/churn/ready"):
                response = httpx.get(server.url(path), headers={"x-request-id": "mine"}, timeout=PATIENCE)
                assert response.status_code == 200, path
                assert response.headers["x-model-version"] == "3"
                assert response.headers["x-request-id"] == "mine"
            assert response.json() == {"ready": True, "state": "ready"}
            # A new connection for something else waits for the server, and is then served by it.
            other: list[httpx.Response] = []
            asking = threading.Thread(
                target=lambda: other.append(httpx.get(server.url("/v2"), timeout=PATIENCE))
            )
            asking.start()
            # The server is not ready from the signal on, though it can't act on it yet.
            server.process.send_signal(signal.SIGTERM)
            server.wait(lambda: server.status("/v2/health/ready") == 503, "not ready")
            assert server.status("/v2/health/live") == 200
            assert answers == []
        asking.join(PATIENCE)
        assert answers[0].status_code == 200
        assert answers[0].json()["predictions"] == [6.0]
        assert other[0].json()["name"] == "model-delivery"
        assert server.end() == 0


def test_a_server_that_is_stuck_is_not_live(holding: Holding, tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "model", holding)
    with started(folder, tmp_path, "--stuck", "1") as server:
        server.ready()
        with holding.held(server):
            server.wait(lambda: server.status("/v2/health/live") == 503, "not live")
            answer = httpx.get(server.url("/v2/health/ready"), timeout=PATIENCE)
            assert (answer.status_code, answer.json()["state"]) == (503, "stuck")
            assert "a call of the model does not return" in answer.json()["error"]
        # The call has returned after all.
        server.wait(lambda: server.status("/v2/health/live") == 200, "live again")
        assert server.status("/v2/health/ready") == 200


def test_a_model_whose_thread_does_not_return_is_not_live(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    folder = folders.sklearn(tmp_path / "model", SlowGate(str(gate)))
    with started(folder, tmp_path, "--stuck", "1") as server:
        gate.touch()
        server.ready()
        gate.unlink()
        Path(f"{gate}.reached").unlink(missing_ok=True)
        caller = threading.Thread(target=server.predict)
        caller.start()
        server.wait(Path(f"{gate}.reached").exists, "the model is called")
        server.wait(lambda: server.status("/v2/health/live") == 503, "not live")
        assert server.status("/v2/health/ready") == 503
        gate.touch()
        caller.join(PATIENCE)
        assert server.status("/v2/health/live") == 200


def children(server: Server) -> str:
    return Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()


def test_the_health_process_ends_with_its_server(summing: Path, tmp_path: Path) -> None:
    with started(summing, tmp_path) as server:
        server.ready()
        pid = int(children(server))
        server.process.kill()
        server.process.wait()
        until(lambda: not Path(f"/proc/{pid}").exists())


def test_without_its_health_process_the_server_answers_health(summing: Path, tmp_path: Path) -> None:
    with started(summing, tmp_path) as server:
        server.ready()
        os.kill(int(children(server)), signal.SIGKILL)
        server.wait(lambda: "health process has ended" in server.log.read_text(), "noticed")
        assert server.status("/v2/health/ready") == 200
        assert server.predict().status_code == 200
        server.process.terminate()
        assert server.end() == 0


def test_a_response_is_one_piece_on_the_wire(summing: Path, tmp_path: Path) -> None:
    """A server that dies between a head and its body leaves a response that a gateway can't ask for again."""
    body = json.dumps({"features": [ROW]}).encode()
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with started(summing, tmp_path) as server:
        server.ready()
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            for _ in range(300):
                connection.sendall(request)
                head, _, content = connection.recv(65536).partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                assert head.startswith(b"HTTP/1.1 200") and len(content) == length
