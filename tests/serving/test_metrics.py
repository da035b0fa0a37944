"""What Prometheus is told, and what drift detection can do with it."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from serving.signature import Signature
from serving.statistics import OTHER, Moments, Statistics
from tests.serving import folders
from tests.serving.client import serve

FLOATS = st.floats(-1e6, 1e6)


def test_requests_errors_and_latency(summing: Path) -> None:
    with serve(summing) as client:
        start = time.perf_counter()
        for rows in ([[1, 2, 3]], [[4, 5, 6]], [[1, 2]], []):
            client.predict(rows)
        elapsed = time.perf_counter() - start
        client.post("/v2/models/other/infer", content=b"{}")
        client.get("/v2/health/ready")
        assert client.metric('model_requests_total{code="200"}') == 2
        assert client.metric('model_requests_total{code="400"}') == 2
        assert client.metric('model_requests_total{code="404"}') == 1
        assert client.metric('model_errors_total{reason="invalid_input"}') == 2
        assert client.metric('model_errors_total{reason="not_found"}') == 1
        assert client.metric("model_request_duration_seconds_count") == 4
        assert 0 < client.metric("model_request_duration_seconds_sum") < elapsed
        assert client.metric('model_request_duration_seconds_bucket{le="+Inf"}') == 4
        assert client.metric("model_requests_in_flight") == 0
        assert client.metric(f'model_info{{digest="{client.settings.digest}",flavour="sklearn"}}') == 1


def test_the_text_is_what_prometheus_reads(summing: Path) -> None:
    with serve(summing) as client:
        client.predict([[1, 2, 3]])
        response = client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        families = {family.name: family.type for family in text_string_to_metric_families(response.text)}
        assert families["model_requests"] == "counter"
        assert families["model_request_duration_seconds"] == "histogram"
        assert families["model_feature_sum"] == "gauge"
        assert "process_resident_memory_bytes" in families


def test_features_and_predictions_are_summed_up(summing: Path) -> None:
    with serve(summing) as client:
        client.predict([[1, -2, 3], [2, -4, 0]])
        client.predict([[3, 0, 0]])
        client.predict([[9, 9]])  # refused: not seen by the model
        for feature, values in {"0": (1, 2, 3), "1": (-2, -4, 0), "2": (3, 0, 0)}.items():
            assert client.metric(f'model_feature_values_total{{feature="{feature}"}}') == 3
            assert client.metric(f'model_feature_sum{{feature="{feature}"}}') == sum(values)
            squares = sum(value * value for value in values)
            assert client.metric(f'model_feature_squares_total{{feature="{feature}"}}') == squares
            assert client.metric(f'model_feature_missing_total{{feature="{feature}"}}') == 0
        assert client.metric('model_output_sum{output="predictions"}') == 2 - 2 + 3
        assert client.metric('model_output_squares_total{output="predictions"}') == 4 + 4 + 9


def test_values_are_counted_by_the_training_quantiles(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", folders.Sum(), folders.columns("double", "double"))
    reference = {
        "features": {"a": {"mean": 0, "quantiles": [0.0, 1.0, 1.0, 2.0]}, "b": {}},
        "predictions": {"quantiles": [10.0]},
    }
    (folder / "reference.json").write_text(json.dumps(reference))
    with serve(folder) as client:
        client.predict([[0, 5], [0.5, 5], [1, 5], [2.5, 20]])
        bounds = {"0.0": 1, "1.0": 3, "2.0": 3, "+Inf": 4}
        for bound, count in bounds.items():
            line = f'model_feature_distribution_bucket{{feature="a",le="{bound}"}}'
            assert client.metric(line) == count
        assert client.metric('model_output_distribution_bucket{output="predictions",le="10.0"}') == 3
        assert 'feature="b",le=' not in client.get("/metrics").text


def test_classes_are_counted(onnx_folder: Path) -> None:
    with serve(onnx_folder) as client:
        client.predict([[9, 9, 9], [-9, -9, -9], [8, 8, 8]])
        assert client.metric('model_predictions_total{output="label",class="1"}') == 2
        assert client.metric('model_predictions_total{output="label",class="0"}') == 1
        total = client.metric('model_output_sum{output="probabilities[1]"}')
        assert total == pytest.approx(2, abs=0.1)


@given(
    st.lists(st.lists(FLOATS, min_size=2, max_size=2), min_size=1, max_size=40), st.lists(FLOATS, max_size=5)
)
def test_moments_are_those_of_the_values(rows: list[list[float]], edges: list[float]) -> None:
    moments = Moments(["a", "b"], {"b": sorted(set(edges))})
    array = np.array(rows)
    for part in np.array_split(array, 3):
        moments.add(part)
    assert moments.count.tolist() == [len(rows)] * 2
    assert np.allclose(moments.sum, array.sum(axis=0))
    assert np.allclose(moments.squares, (array**2).sum(axis=0))
    if edges:
        cumulative = np.cumsum(moments.buckets["b"])
        wanted = [(array[:, 1] <= edge).sum() for edge in sorted(set(edges))]
        assert cumulative.tolist() == [*wanted, len(rows)]


def test_labels_are_bounded_whatever_a_model_answers() -> None:
    signature = Signature("input", np.dtype(float), (-1, 1))
    statistics = Statistics(signature, ["label"], {}, ())
    labels = np.arange(1000)
    statistics.add(np.zeros((1000, 1)), [labels])
    statistics.settle()
    assert len(statistics.classes["label"]) == 101
    assert statistics.classes["label"][OTHER] == 900
    assert sum(statistics.classes["label"].values()) == 1000


def test_what_waits_to_be_summed_up_is_bounded() -> None:
    statistics = Statistics(Signature("input", np.dtype(float), (-1, 1)), ["out"], {}, ())
    for _ in range(100):
        statistics.add(np.ones((10, 1)), [np.zeros(10)])
    # Most of it is there before anybody asks.
    assert statistics.features.count.tolist() >= [400]


def test_a_wide_input_is_summed_up_as_one() -> None:
    signature = Signature("pixels", np.dtype(float), (-1, 8, 100))
    statistics = Statistics(signature, ["out"], {}, ())
    statistics.add(np.ones((2, 8, 100)), [np.zeros(2)])
    statistics.settle()
    assert statistics.features.names == ("pixels",)
    assert statistics.features.count.tolist() == [1600]
