"""Requests that are there together share a call, and nothing else."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving import model, warmup
from tests.serving import folders
from tests.serving.client import Client, serve

ROW = [1.0, 2.0, 3.0]


def calls(client: Client) -> list[int]:
    """Return the sizes of the calls that the model got."""
    assert client.service.model is not None
    # The bound method of the loaded estimator is what the runtime calls.
    return STARTED[-1].calls


STARTED: list[Any] = []


class Noted(folders.Sum):
    """A sum that can be found again after it went through a file."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__ = state
        STARTED.append(self)


def test_requests_of_the_same_moment_share_one_call_and_get_their_own_answers(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Noted())) as client:
        calls(client).clear()
        requests = [[[float(index), 0.0, 0.0]] * (index % 3 + 1) for index in range(12)]
        answers = client.predict_together(requests)
        assert [answer.json()["predictions"] for answer in answers] == [
            [float(index)] * (index % 3 + 1) for index in range(12)
        ]
        assert calls(client) == [24]
        assert client.metric('model_batch_rows_bucket{le="16.0"}') == 0
        assert client.metric('model_batch_rows_bucket{le="32.0"}') == 1
        assert client.metric("model_batch_rows_sum") == 24


def test_no_call_is_larger_than_allowed(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Noted()), max_batch=8) as client:
        calls(client).clear()
        answers = client.predict_together([[ROW]] * 20)
        assert [answer.json()["predictions"] for answer in answers] == [[6.0]] * 20
        assert sum(calls(client)) == 20
        assert max(calls(client)) == 8


def test_batching_can_be_turned_off(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Noted()), max_batch=1) as client:
        calls(client).clear()
        client.predict_together([[ROW]] * 5)
        assert calls(client) == [1] * 5


def test_a_bad_request_does_not_hurt_its_neighbours(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Noted())) as client:
        answers = client.predict_together([[ROW], [[1.0, 2.0]], [ROW], [[True, 1, 2]], [["x", 1, 2]], [ROW]])
        assert [answer.status_code for answer in answers] == [200, 400, 200, 400, 400, 200]
        assert [answer.json().get("predictions") for answer in answers[::2]] == [[6.0], [6.0], None]
        assert answers[3].json()["error"].startswith("features[0][0]: expected a number (float64), got true")


def test_a_request_that_the_model_fails_on_does_not_hurt_its_neighbours(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Noted())) as client:
        answers = client.predict_together([[ROW], [[666.0, 0.0, 0.0]], [ROW]])
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert answers[1].json()["error"] == "the model failed on this input: RuntimeError"
        assert client.metric('model_errors_total{reason="model_failed"}') == 1
        assert client.metric('model_requests_total{code="500"}') == 1


class WholeBatch:
    """Looks at its batch as a whole: rows of different callers must not meet."""

    def predict(self, rows: Any) -> Any:
        array = np.asarray(rows)
        return array.sum(axis=1) + len(array)


def test_a_model_that_mixes_its_rows_is_not_batched(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", WholeBatch())) as client:
        answers = client.predict_together([[ROW]] * 4)
        assert [answer.json()["predictions"] for answer in answers] == [[7.0]] * 4


class Short:
    """Returns fewer answers than it gets rows, beyond its warm-up."""

    def predict(self, rows: Any) -> Any:
        array = np.asarray(rows)
        return np.zeros(1 if len(array) > 100 else len(array))


def test_answers_that_do_not_match_the_rows_are_an_error(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Short())) as client:
        answer = client.predict([ROW] * 101)
        assert answer.status_code == 500
        assert answer.json()["error"] == "the model failed on this input: ModelError"


THREADS: list[str] = []


class Slow(folders.Sum):
    """Slow enough to be kept off the event loop."""

    def predict(self, rows: Any) -> Any:
        THREADS.append(threading.current_thread().name)
        threading.Event().wait(0.004)
        return super().predict(rows)


def test_a_slow_model_runs_in_its_thread_and_gathers_what_comes_meanwhile(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Slow())) as client:
        assert client.service.model is not None
        assert client.service.model.row_seconds >= 0.004
        THREADS.clear()
        answers = client.predict_together([[ROW]] * 12)
        assert [answer.json()["predictions"] for answer in answers] == [[6.0]] * 12
        assert set(THREADS) == {"model_0"}
        assert len(THREADS) < 12


def test_a_fast_model_runs_on_the_loop(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", folders.Sum())) as client:
        before = threading.active_count()
        client.predict_together([[ROW]] * 4)
        assert threading.active_count() == before


def test_a_request_with_very_many_rows(summing: Path) -> None:
    with serve(summing) as client:
        rows = np.arange(0.5, 60_000).reshape(-1, 3)
        assert client.predict(rows.tolist()).json()["predictions"] == rows.sum(axis=1).tolist()


def test_a_graph_with_a_fixed_number_of_rows_takes_any_number(tmp_path: Path) -> None:
    folder = folders.onnx(tmp_path / "m", fixed_graph(rows=2))
    with serve(folder) as client:
        assert client.predict([ROW]).json()["predictions"] == [[-1.0, -2.0, -3.0]]
        answers = client.predict_together([[ROW] * count for count in (1, 2, 3)])
        assert [len(answer.json()["predictions"]) for answer in answers] == [1, 2, 3]


def fixed_graph(rows: int) -> bytes:
    """Return a graph that negates a matrix of exactly ``rows`` × 3."""
    import onnx

    shape = [rows, 3]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        "negate",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, shape)],
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])
    proto.ir_version = 8
    return proto.SerializeToString()


def test_the_size_of_a_call_is_bounded_by_the_time_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that only the model moves: how busy the machine is doesn't count.
    monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: Costly.clock))
    with serve(folders.sklearn(tmp_path / "m", Costly())) as client:
        loaded = client.service.model
        assert isinstance(loaded, model.Model)
        # One row takes 1.5 ms, two 3 ms, four 6 ms: beyond both 5 ms and twice one row.
        assert loaded.batch_rows == 2


def test_a_disturbed_call_is_not_taken_for_the_speed_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of each four calls three meet a busy machine, for longer than a measurement should take.
    monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: Disturbed.clock))
    with serve(folders.sklearn(tmp_path / "m", Disturbed())) as client:
        loaded = client.service.model
        assert isinstance(loaded, model.Model)
        assert loaded.row_seconds == pytest.approx(0.001)
        assert loaded.batch_rows == 64


class Disturbed(folders.Sum):
    """Takes a millisecond, and now and then the time that others take as well."""

    clock = 0.0

    def predict(self, rows: Any) -> Any:
        found = super().predict(rows)
        Disturbed.clock += 0.001 if len(self.calls) % 4 == 0 else 0.06
        return found


class Costly(folders.Sum):
    """Each row costs the same: batching wins nothing and only adds latency."""

    clock = 0.0

    def predict(self, rows: Any) -> Any:
        Costly.clock += 0.0015 * len(rows)
        return super().predict(rows)
