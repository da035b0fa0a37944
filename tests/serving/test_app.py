"""What a caller of the server sees."""

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving import folders
from tests.serving.client import Client, serve

ROWS = [[1.0, 2.0, 3.0], [-4.0, 0.5, 0.0]]


def v2(
    data: Any, shape: list[int], name: str = "input", datatype: str = "FP64", **extra: Any
) -> dict[str, Any]:
    return {"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}], **extra}


def test_plain_predictions_are_the_models(summing: Path) -> None:
    with serve(summing) as client:
        response = client.predict(ROWS)
        assert response.status_code == 200
        assert response.json() == {"predictions": [6.0, -3.5], "model": "churn", "version": "3"}


def test_sagemakers_paths_are_the_same_server(summing: Path) -> None:
    with serve(summing) as client:
        assert client.get("/ping").status_code == 200
        answer = client.post("/invocations", json={"features": ROWS})
        assert (answer.status_code, answer.json()) == (200, client.predict(ROWS).json())
    with serve(summing, load=False) as client:
        assert client.get("/ping").status_code == 503


def test_onnx_and_scikit_learn_answer_the_same(onnx_folder: Path, classifier: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(50, 3))
    expected = classifier.predict(rows).tolist()
    with serve(folders.sklearn(tmp_path / "sk", classifier)) as client:
        assert client.predict(rows.tolist()).json()["predictions"] == expected
    with serve(onnx_folder) as client:
        answer = client.predict(rows.tolist()).json()
        assert answer["predictions"] == expected
        probabilities = np.array(answer["outputs"]["probabilities"])
        assert np.allclose(probabilities, classifier.predict_proba(rows), atol=1e-5)


def test_v2_inference_takes_flat_and_nested_data(summing: Path) -> None:
    with serve(summing) as client:
        for path in ("/v2/models/churn/infer", "/v2/models/churn/versions/3/infer"):
            for data in (ROWS, [value for row in ROWS for value in row]):
                response = client.post(path, json=v2(data, [2, 3], id="mine"))
                assert response.status_code == 200
                assert response.json() == {
                    "model_name": "churn",
                    "model_version": "3",
                    "id": "mine",
                    "outputs": [
                        {"name": "predictions", "shape": [2], "datatype": "FP64", "data": [6.0, -3.5]}
                    ],
                }


def test_v2_gives_the_outputs_that_are_asked_for(onnx_folder: Path) -> None:
    with serve(onnx_folder) as client:
        path = "/v2/models/churn/infer"
        both = client.post(path, json=v2(ROWS, [2, 3])).json()["outputs"]
        assert [(item["name"], item["shape"], item["datatype"]) for item in both] == [
            ("label", [2], "INT64"),
            ("probabilities", [2, 2], "FP32"),
        ]
        assert len(both[1]["data"]) == 4
        one = client.post(path, json=v2(ROWS, [2, 3], outputs=[{"name": "probabilities"}])).json()["outputs"]
        assert one == [both[1]]
        wrong = client.post(path, json=v2(ROWS, [2, 3], outputs=[{"name": "colour"}]))
        assert wrong.status_code == 400
        assert wrong.json()["error"] == "outputs[0].name: expected one of label, probabilities, got 'colour'"


def test_v2_metadata_says_what_the_model_takes_and_gives(onnx_folder: Path) -> None:
    with serve(onnx_folder) as client:
        for path in ("/v2/models/churn", "/v2/models/churn/versions/3"):
            answer = client.get(path).json()
            assert answer["name"] == "churn"
            assert answer["versions"] == ["3"]
            # The signature's type, though the graph computes in 32 bits.
            assert answer["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 3]}]
            assert answer["outputs"] == [
                {"name": "label", "datatype": "INT64", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
            ]
            assert answer["parameters"]["digest"] == client.settings.digest


def test_columns_are_taken_by_position_by_name_and_one_tensor_each(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "model", folders.Sum(), folders.columns("double", "long", "float"))
    with serve(folder) as client:
        assert client.predict([[1.5, 2, 3]]).json()["predictions"] == [6.5]
        assert client.predict([{"c": 3, "a": 1.5, "b": 2}]).json()["predictions"] == [6.5]
        tensors = [
            {"name": "c", "shape": [2, 1], "datatype": "FP32", "data": [[3], [4]]},
            {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.5, 0]},
            {"name": "b", "shape": [2, 1], "datatype": "INT64", "data": [2, 1]},
        ]
        response = client.post("/v2/models/churn/infer", json={"inputs": tensors})
        assert response.json()["outputs"][0]["data"] == [6.5, 5.0]
        metadata = client.get("/v2/models/churn").json()["inputs"]
        assert [(item["name"], item["datatype"]) for item in metadata] == [
            ("a", "FP64"),
            ("b", "INT64"),
            ("c", "FP32"),
        ]


def test_a_model_that_was_trained_on_a_frame_gets_one(tmp_path: Path) -> None:
    import pandas
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pandas.DataFrame({"a": ["x", "y", "x", "y"], "b": [1.0, 2.0, 3.0, 4.0]})
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["a"]), remainder="passthrough"
    )
    fitted = make_pipeline(encoder, LinearRegression()).fit(frame, [10.0, 2.0, 30.0, 4.0])
    folder = folders.sklearn(tmp_path / "model", fitted, folders.columns("string", "double"))
    with serve(folder) as client:
        answer = client.predict([["x", 1], ["y", 2.5]]).json()
        wanted = fitted.predict(pandas.DataFrame({"a": ["x", "y"], "b": [1.0, 2.5]}))
        assert np.allclose(answer["predictions"], wanted)
        wrong = client.predict([[3, 1]])
        assert wrong.json()["error"] == "features[0][0] (a): expected a string (string), got the number 3"


def test_text_predictions(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "model", folders.Sign())) as client:
        assert client.predict(ROWS).json()["predictions"] == ["up", "down"]
        tensor = client.post("/v2/models/churn/infer", json=v2(ROWS, [2, 3])).json()["outputs"][0]
        assert (tensor["datatype"], tensor["data"]) == ("BYTES", ["up", "down"])
        assert client.metric('model_predictions_total{output="predictions",class="up"}') == 2


BAD_PLAIN = [
    (b"", "the body is not valid JSON"),
    (b"{", "the body is not valid JSON"),
    (
        b'{"features": [[1, 2, NaN]]}',
        "features[0][2]: expected a number (float64), got NaN: only",
    ),
    (b'{"features": [[1, 2, Infinity]]}', "the body is not valid JSON"),
    (b'{"features": [[1, 2, NaN], [1, 2, Infinity]]}', "the body is not valid JSON"),
    (b"", "the body is not valid JSON, it is empty"),
    (b'{"features": [[1, 2, 1e999]]}', "the body is not valid JSON"),
    (b"[" * 5000 + b"]" * 5000, "the body is not valid JSON: depth limit exceeded"),
    (b"\xff\xfe", "the body is not valid JSON"),
    (b"[1, 2, 3]", "the body is no object; expected"),
    (b"{}", "features: is missing; expected shape [-1, 3] of type float64"),
    (b'{"features": 3}', "features: is no list of rows"),
    (b'{"features": []}', "features: is empty"),
    (b'{"features": [[]]}', "features[0]: expected 3 values, for shape [-1, 3] of type float64; got 0"),
    (
        b'{"features": [1, 2, 3]}',
        "features[0]: expected a list, for shape [-1, 3] of type float64; got the number 1",
    ),
    (b'{"features": [[1, 2]]}', "features[0]: expected 3 values, for shape [-1, 3] of type float64; got 2"),
    (b'{"features": [[1, 2, 3], [1, 2]]}', "features[1]: expected 3 values"),
    (b'{"features": [[1, 2, [3]]]}', "features[0][2]: expected a number (float64), got a list of 1"),
    (b'{"features": [[[1], [2], [3]]]}', "features[0][0]: expected a number (float64), got a list of 1"),
    (b'{"features": [[1, 2, "3"]]}', "features[0][2]: expected a number (float64), got the string '3'"),
    (b'{"features": [["1", "2", "3"]]}', "features[0][0]: expected a number (float64), got the string '1'"),
    (b'{"features": [[1, true, 3]]}', "features[0][1]: expected a number (float64), got true"),
    (b'{"features": [[true, true, false]]}', "features[0][0]: expected a number (float64), got true"),
    (b'{"features": [[1, null, 3]]}', "features[0][1]: expected a number (float64), got null"),
    (b'{"features": [[1, {}, 3]]}', "features[0][1]: expected a number (float64), got an object"),
    (
        b'{"features": [{"a": 1}]}',
        "features[0]: expected a list, for shape [-1, 3] of type float64; got an object",
    ),
    (b'{"features": ' + b"[" * 900 + b"]" * 900 + b"}", "features[0]: expected 3 values"),
]


@pytest.mark.parametrize(("body", "message"), BAD_PLAIN)
def test_bad_plain_requests_are_400_and_name_the_field(summing: Path, body: bytes, message: str) -> None:
    with serve(summing) as client:
        response = client.post("/predict", content=body)
        assert response.status_code == 400
        assert response.json()["error"].startswith(message)
        assert response.headers["x-model-version"] == "3"
        # The server is none the worse for it.
        assert client.predict(ROWS).json()["predictions"] == [6.0, -3.5]


BAD_V2 = [
    ([], "the body is no object"),
    ({}, "inputs: expected a list with the tensor 'input': shape [-1, 3] of type float64"),
    ({"inputs": {}}, "inputs: expected a list with the tensor 'input'"),
    ({"inputs": [3]}, "inputs: expected one tensor 'input', got 1"),
    (v2(ROWS, [2, 3], name="x"), "inputs[0].name: expected 'input', got 'x'"),
    (v2(ROWS, [2, 3], datatype="BYTES"), "inputs[0].datatype: expected FP16 or FP32 or FP64"),
    (v2(ROWS, [2, 3], datatype="BOOL"), "inputs[0].datatype: expected FP16"),
    (v2(ROWS, [2, 4]), "inputs[0].shape: expected [-1, 3], got [2, 4]"),
    (v2(ROWS, [6]), "inputs[0].shape: expected [-1, 3], got [6]"),
    (v2(ROWS, [0, 3]), "inputs[0].shape: expected at least one row"),
    (v2(ROWS, ["2", 3]), "inputs[0].shape: expected a list of sizes"),
    (v2(ROWS, [3, 3]), "inputs[0].data: expected 3 rows as in its shape, got 2"),
    (v2([1.0] * 5, [2, 3]), "inputs[0].data: 5 values do not fill the shape [2, 3]"),
    (v2([1.0] * 9, [2, 3]), "inputs[0].data: expected the values of 2 rows, got those of 3"),
    (v2([], [1, 3]), "inputs[0].data: expected a list of values, got an empty one"),
    (v2(None, [1, 3]), "inputs[0].data: expected a list of values, got none"),
    (v2([[1, 2, "x"]], [1, 3]), "inputs[0].data[0][2]: expected a number (float64), got the string 'x'"),
    ({"inputs": [v2(ROWS, [2, 3])["inputs"][0]] * 2}, "inputs: expected one tensor 'input', got 2"),
]


@pytest.mark.parametrize(("body", "message"), BAD_V2)
def test_bad_v2_requests_are_400_and_name_the_field(summing: Path, body: Any, message: str) -> None:
    with serve(summing) as client:
        response = client.post("/v2/models/churn/infer", json=body)
        assert response.status_code == 400
        assert response.json()["error"].startswith(message)


BAD_COLUMNS = [
    ([{"a": 1, "b": 2}], "features[0]: column 'c' (double) is missing"),
    (
        [{"a": 1, "b": 2, "c": 3, "d": 4}],
        "features[0]: unknown column 'd'; the model's columns are 'a', 'b', 'c'",
    ),
    ([[1, 2.5, 3]], "features[0][1] (b): expected a whole number (long), got 2.5"),
    (
        [[1, 2**63, 3]],
        "features[0][1] (b): expected a whole number (long), got 9223372036854775808: out of range",
    ),
    ([[1, "2", 3]], "features[0][1] (b): expected a whole number (long), got the string '2'"),
    ([[1, 2, False]], "features[0][2] (c): expected a number (double), got false"),
    (
        [[1, 2]],
        "features[0]: expected 3 values, for rows of 3 columns (shape [-1, 3], type double or long); got 2",
    ),
]


@pytest.mark.parametrize(("rows", "message"), BAD_COLUMNS)
def test_bad_columns_are_named(tmp_path: Path, rows: Any, message: str) -> None:
    folder = folders.sklearn(tmp_path / "model", folders.Sum(), folders.columns("double", "long", "double"))
    with serve(folder) as client:
        response = client.predict(rows)
        assert response.status_code == 400
        assert response.json()["error"].startswith(message)


COLUMN = {"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}
SECOND = {"name": "b", "shape": [1], "datatype": "FP64", "data": [2]}
BAD_COLUMN_TENSORS = [
    ([COLUMN, COLUMN, SECOND], "inputs[1].name: 'a' is there twice"),
    ([COLUMN], "inputs: column 'b' (double) is missing"),
    (
        [COLUMN, {**SECOND, "shape": [2], "data": [2, 3]}],
        "inputs: all columns need the same number of rows, got [1, 2]",
    ),
    ([COLUMN, {**SECOND, "shape": [2]}], "inputs[1].shape: expected [1] or [1, 1] for its data, got [2]"),
    ([COLUMN, {**SECOND, "name": "c"}], "inputs[1].name: expected 'input' or a column of 'a', 'b'; got 'c'"),
    ([COLUMN, {**SECOND, "datatype": "BYTES"}], "inputs[1].datatype: expected FP16"),
    ([COLUMN, 3], "inputs[1]: expected"),
]


@pytest.mark.parametrize(("tensors", "message"), BAD_COLUMN_TENSORS)
def test_bad_column_tensors_are_named(tmp_path: Path, tensors: Any, message: str) -> None:
    folder = folders.sklearn(tmp_path / "model", folders.Sum(), folders.columns("double", "double"))
    with serve(folder) as client:
        response = client.post("/v2/models/churn/infer", json={"inputs": tensors})
        assert response.status_code == 400
        assert response.json()["error"].startswith(message)


def test_true_and_false_are_for_boolean_columns_only(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "model", folders.Sum(), folders.columns("boolean", "double"))
    with serve(folder) as client:
        assert client.predict([[True, 2], [False, 0.5]]).json()["predictions"] == [3.0, 0.5]
        for value, got in ((1, "the number 1"), ("true", "the string 'true'"), (None, "null")):
            answer = client.predict([[value, 2]])
            assert (
                answer.json()["error"] == f"features[0][0] (a): expected true or false (boolean), got {got}"
            )
        tensors = [{"name": "a", "shape": [1], "datatype": "BOOL", "data": [True]}, {**SECOND}]
        answer = client.post("/v2/models/churn/infer", json={"inputs": tensors})
        assert answer.json()["outputs"][0]["data"] == [3.0]


def test_optional_columns_may_be_null_or_left_out(tmp_path: Path) -> None:
    inputs = folders.columns("double", "double", "double", optional=[1])
    from sklearn.ensemble import HistGradientBoostingRegressor

    generator = np.random.default_rng(1)
    fitted = HistGradientBoostingRegressor(max_iter=5).fit(generator.normal(size=(60, 3)), np.arange(60.0))
    with serve(folders.sklearn(tmp_path / "model", fitted, inputs)) as client:
        expected = fitted.predict([[1.0, np.nan, 2.0]]).tolist()
        assert client.predict([[1, None, 2]]).json()["predictions"] == expected
        assert client.predict([{"a": 1, "c": 2}]).json()["predictions"] == expected
        assert client.predict([[None, 1, 2]]).status_code == 400
        assert client.metric('model_feature_missing_total{feature="b"}') == 2
        assert client.metric('model_feature_values_total{feature="b"}') == 0


def test_numbers_too_large_for_the_graph_are_refused(onnx_folder: Path) -> None:
    with serve(onnx_folder) as client:
        response = client.predict([[1, 1e39, 2]])
        assert response.status_code == 400
        assert response.json()["error"].startswith("features[0][1]: expected a number (float32), got 1e+39")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nothing", 404, "no such path: /nothing; the page docs shows what there is"),
        ("GET", "/predict", 405, "GET is not accepted at /predict"),
        ("POST", "/predict/", 404, "no such path: /predict/; the page docs shows what there is"),
        ("POST", "/v2/models/other/infer", 404, "no model 'other' here; this server has 'churn'"),
        (
            "POST",
            "/v2/models/churn/versions/9/infer",
            404,
            "no version '9' of 'churn' here; this server has '3'",
        ),
        ("GET", "/v2/models/other", 404, "no model 'other' here; this server has 'churn'"),
        ("GET", "/v2/models/churn/versions/9", 404, "no version '9' of 'churn' here; this server has '3'"),
        (
            "GET",
            "/v2/models/churn/versions/9/ready",
            404,
            "no version '9' of 'churn' here; this server has '3'",
        ),
    ],
)
def test_wrong_paths_are_clear(summing: Path, method: str, path: str, status: int, message: str) -> None:
    with serve(summing) as client:
        response = client.get(path) if method == "GET" else client.post(path, json=v2(ROWS, [2, 3]))
        assert (response.status_code, response.json()) == (status, {"error": message})
        assert response.headers["x-model-version"] == "3"


def test_every_response_names_its_version_and_request(summing: Path) -> None:
    with serve(summing) as client:
        responses = [
            client.get(path) for path in ("/v2/health/live", "/metrics", "/docs", "/openapi.json", "/no")
        ]
        responses += [client.predict(ROWS), client.predict([]), client.predict(ROWS)]
        assert [response.headers["x-model-version"] for response in responses] == ["3"] * 8
        identifiers = [response.headers["x-request-id"] for response in responses]
        assert len(set(identifiers)) == 8
        assert all(re.fullmatch("[0-9a-f]{20}", identifier) for identifier in identifiers)


def test_a_callers_request_id_comes_back(summing: Path) -> None:
    with serve(summing) as client:
        for path in ("/predict", "/nothing"):
            given = client.post(path, content=b"{}", headers={"x-request-id": "abc-123"})
            assert given.headers["x-request-id"] == "abc-123"
        assert client.predict([], headers={"x-request-id": "abc-123"}).json()["request_id"] == "abc-123"
        for bad in ("x" * 129, "a b", "ü".encode()):
            answer = client.predict(ROWS, headers={"x-request-id": bad})
            assert re.fullmatch("[0-9a-f]{20}", answer.headers["x-request-id"])


def test_a_model_that_is_still_loading_is_live_but_not_ready(summing: Path) -> None:
    with serve(summing, load=False) as client:
        assert client.get("/v2/health/live").status_code == 200
        for path in ("/v2/health/ready", "/v2/models/churn/ready", "/v2/models/churn/versions/3/ready"):
            assert client.get(path).status_code == 503
        assert client.get("/v2/models/churn").status_code == 503
        refused = client.predict(ROWS)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert client.metric("model_ready") == 0
        client.load()
        assert client.get("/v2/health/ready").json() == {"ready": True, "state": "ready"}
        assert client.get("/v2/models/churn/ready").status_code == 200
        assert client.predict(ROWS).status_code == 200
        assert client.metric("model_ready") == 1


def test_draining_is_not_ready_but_still_answers_and_closes_connections(summing: Path) -> None:
    with serve(summing) as client:
        assert "connection" not in client.predict(ROWS).headers
        client.service.drain()
        assert client.get("/v2/health/ready").json() == {"ready": False, "state": "draining"}
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/v2/health/live").headers["connection"] == "close"
        answer = client.predict(ROWS)
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("declared", [True, False])
def test_bodies_over_the_limit_are_413(summing: Path, declared: bool) -> None:
    body = b'{"features": [[1.0, 2.0, 3.0]]' + b" " * 1000 + b"}"

    async def pieces() -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    def send(client: Client) -> Any:
        return client.post("/predict", content=body if declared else pieces())

    with serve(summing, max_body_bytes=len(body) - 1) as client:
        answer = send(client)
        assert answer.status_code == 413
        assert answer.json()["error"].startswith(f"the body is larger than {len(body) - 1} bytes")
        assert answer.headers["x-model-version"] == "3"
        assert client.metric('model_errors_total{reason="too_large"}') == 1
    with serve(summing, max_body_bytes=len(body)) as client:
        assert send(client).json()["predictions"] == [6.0]


def test_a_body_that_is_declared_too_large_is_refused_before_it_is_read(summing: Path) -> None:
    with serve(summing, max_body_bytes=10) as client:
        events: list[str] = []

        async def receive() -> dict[str, Any]:
            events.append("read")
            return {"type": "http.request", "body": b"x" * 11, "more_body": False}

        async def send(message: Any) -> None:
            events.append(str(message.get("status", message["type"])))

        headers = [(b"content-length", b"11")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
        client.run(client.app(scope, receive, send))
        # The whole answer goes out before the rest of the body is read: it must not be cut off.
        assert events == ["413", "http.response.body", "read", "http.response.body"]


def test_large_bodies_have_room_for_so_many_at_once(summing: Path) -> None:
    body = b'{"features": [[1.0, 2.0, 3.0]]' + b" " * 900 + b"}"
    limit = 1000

    async def all_at_once(client: Client) -> list[int]:
        halves, whole = asyncio.Event(), asyncio.Event()
        started = 0

        async def answer() -> int:
            state, statuses = 0, list[int]()

            async def receive() -> dict[str, Any]:
                nonlocal started, state
                state += 1
                if state == 1:
                    return {"type": "http.request", "body": body[:900], "more_body": True}
                started += 1
                halves.set()
                await whole.wait()
                return {"type": "http.request", "body": body[900:], "more_body": False}

            async def send(message: Any) -> None:
                if "status" in message:
                    statuses.append(message["status"])
                    assert (b"x-model-version", b"3") in message["headers"]

            await client.app(
                {"type": "http", "method": "POST", "path": "/predict", "headers": []}, receive, send
            )
            return statuses[0]

        tasks = [asyncio.ensure_future(answer()) for _ in range(30)]
        while started < 30:
            halves.clear()
            await halves.wait()
        whole.set()
        return await asyncio.gather(*tasks)

    with serve(summing, max_body_bytes=limit) as client:
        # 16 bodies of 1000 bytes have room, so 17 pieces of 900 bytes have, and the 18th hasn't.
        statuses = client.run(all_at_once(client))
        assert (statuses.count(200), statuses.count(503)) == (17, 13)
        assert client.metric('model_errors_total{reason="busy"}') == 13
        # They have let go of their room.
        assert client.run(all_at_once(client)).count(200) == 17
        assert client.predict(ROWS).status_code == 200


def test_a_server_that_is_told_to_end_while_it_loads_does_not_become_ready(summing: Path) -> None:
    with serve(summing, load=False) as client:
        client.service.drain()
        client.load()
        assert client.get("/v2/health/ready").json() == {"ready": False, "state": "draining"}


def test_the_api_is_documented(summing: Path) -> None:
    with serve(summing) as client:
        paths = client.get("/openapi.json").json()["paths"]
        assert {"/predict", "/v2/models/{name}/infer", "/v2/health/ready", "/metrics"} <= paths.keys()
        body = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body["required"] == ["features"]
