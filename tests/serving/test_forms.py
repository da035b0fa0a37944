"""The forms in which rows come: MLflow's beside ours, and nothing that is read by nothing."""

import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving import folders
from tests.serving.client import Client, serve

NAMED = folders.columns("long", "double", optional=[1])


class Columns(folders.Sum):
    """A times ten plus b: the order of the columns shows."""

    def predict(self, rows: Any) -> Any:
        return (rows["a"] * 10 + rows["b"].fillna(0)).to_numpy()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = folders.sklearn(tmp_path_factory.mktemp("named") / "m", Columns(), NAMED)
    with serve(folder) as client:
        yield client


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serve(folders.sklearn(tmp_path_factory.mktemp("matrix") / "m", folders.Sum())) as client:
        yield client


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v1/models/churn:predict"])
@pytest.mark.parametrize(
    "body",
    [
        {"features": [[1, 2], [3, None]]},
        {"features": [{"a": 1, "b": 2}, {"a": 3}]},
        {"instances": [[1, 2], [3, None]]},
        {"instances": [{"b": 2, "a": 1}, {"a": 3}]},
        {"inputs": {"b": [2, None], "a": [1, 3]}},
        {"inputs": {"a": [[1], [3]], "b": [[2], [None]]}},
        {"inputs": [[1, 2], [3, None]]},
        {"dataframe_records": [{"b": 2, "a": 1}, {"a": 3}]},
        {"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1], [None, 3]], "index": [5, 6]}},
        {"dataframe_split": {"data": [[1, 2], [3, None]]}},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, None]]}, "params": {}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_every_form_is_the_same_rows(named: Client, path: str, body: dict[str, Any]) -> None:
    answer = named.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == [12.0, 30.0]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[1, 2, 3]]},
        {"inputs": [[1, 2, 3]]},
        {"inputs": {"input": [[1, 2, 3]]}},
        {"dataframe_split": {"columns": ["x", "y", "z"], "data": [[1, 2, 3]]}},
        {"dataframe_records": [{"x": 1, "y": 2, "z": 3}]},
    ],
    ids=lambda body: next(iter(body)),
)
def test_a_matrix_takes_them_too(matrix: Client, body: dict[str, Any]) -> None:
    assert matrix.post("/invocations", json=body).json()["predictions"] == [6.0]


def test_one_row_may_be_an_object_of_values(named: Client) -> None:
    assert named.post("/invocations", json={"inputs": {"a": 4, "b": 0.5}}).json()["predictions"] == [40.5]


def test_nan_is_a_missing_value_as_pandas_writes_it(named: Client) -> None:
    body = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[3, NaN], [1, 2.0]]}}'
    assert named.post("/invocations", content=body).json()["predictions"] == [30.0, 12.0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"features": [[1, 2]], "proba": True}, "'proba': no such key; rows come under one of features"),
        (
            {"features": [[1, 2]], "params": {"n": 1}},
            "params: this model takes no parameters; leave them out",
        ),
        ({"features": [[1, 2]], "instances": [[1, 2]]}, "instances: rows are given under features already"),
        (
            {"instances": [{"a": 1, "c": 2}]},
            "instances[0]: unknown column 'c'; the model's columns are 'a', 'b'",
        ),
        ({"inputs": {"b": [1]}}, "inputs: column 'a' (long) is missing"),
        ({"inputs": {"a": [1], "b": [1, 2]}}, "inputs: all columns need the same number of rows, got [1, 2]"),
        ({"inputs": {"a": []}}, "inputs.a: is empty; expected"),
        ({"dataframe_split": [[1, 2]]}, 'dataframe_split: expected {"columns": […], "data": [[…]]}'),
        ({"dataframe_split": {"rows": []}}, "dataframe_split: 'rows': no such key; accepted: columns, data"),
        (
            {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
            "dataframe_split.columns: column 'a' is there twice",
        ),
        (
            {"dataframe_split": {"columns": ["b", "a"], "data": [[1]]}},
            "dataframe_split.data[0]: expected 2 values, one a column",
        ),
        ({"dataframe_records": []}, "dataframe_records: is empty; expected rows of 2 columns"),
    ],
)
def test_what_the_model_would_not_get_is_refused_by_name(named: Client, body: Any, error: str) -> None:
    answer = named.post("/invocations", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error), answer.json()["error"]


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/churn/infer"])
def test_a_query_parameter_is_refused_by_name(named: Client, path: str) -> None:
    answer = named.post(f"{path}?proba=1", json={"features": [[1, 2]]})
    assert answer.status_code == 400
    assert answer.json()["error"] == "the query parameter 'proba' is not known; this server takes none"


TENSOR = {"name": "input", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"inputs": [TENSOR], "model": 1}, "model: no such key; accepted: id, inputs, outputs, parameters"),
        (
            {"inputs": [TENSOR], "parameters": {"proba": 1}},
            "parameters.proba: this model takes no such parameter",
        ),
        (
            {"inputs": [{**TENSOR, "dtype": "x"}]},
            "inputs[0].dtype: no such key; accepted: name, shape, datatype",
        ),
        (
            {"inputs": [{**TENSOR, "parameters": {"x": 1}}]},
            "inputs[0].parameters.x: this model takes no such",
        ),
        (
            {"inputs": [TENSOR], "outputs": [{"name": "predictions", "parameters": {"classification": 3}}]},
            "outputs[0].parameters.classification: this model takes no such parameter; accepted: binary_data",
        ),
    ],
)
def test_v2_refuses_what_nothing_reads(matrix: Client, body: Any, error: str) -> None:
    answer = matrix.post("/v2/models/churn/infer", json=body)
    assert answer.status_code == 400 and answer.json()["error"].startswith(error), answer.text


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/churn/infer"])
@pytest.mark.parametrize("kind", ["named", "matrix"])
def test_an_error_about_input_comes_with_a_request_that_fits(
    request: pytest.FixtureRequest, kind: str, path: str
) -> None:
    client: Client = request.getfixturevalue(kind)
    refused = client.post(path, json={"rows": []})
    assert refused.status_code == 400
    assert client.post(path, json=refused.json()["example"]).status_code == 200


def test_an_example_of_very_many_values_is_left_out(tmp_path: Path) -> None:
    tensor = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 65]}}]
    with serve(folders.sklearn(tmp_path / "m", folders.Sum(), tensor)) as client:
        assert "example" not in client.post("/predict", json={}).json()


# How a body is packed

BODY = b'{"features": [[1.0, 2.0, 3.0]]}'


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_a_packed_body_is_read(matrix: Client, encoding: str, pack: Any) -> None:
    answer = matrix.post("/predict", content=pack(BODY), headers={"content-encoding": encoding})
    assert answer.status_code == 200 and answer.json()["predictions"] == [6.0]


def test_another_packing_is_refused_by_name(matrix: Client) -> None:
    answer = matrix.post("/predict", content=b"x", headers={"content-encoding": "br"})
    assert answer.status_code == 415
    assert answer.json()["error"] == "content-encoding 'br': accepted are gzip, deflate, identity"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (gzip.compress(BODY)[:-12], 400, "the body's gzip ends in the middle; send it whole"),
        (gzip.compress(BODY) + b"tail", 400, "the body has 4 bytes after its gzip"),
        (BODY, 400, "the body is no gzip"),
        (gzip.compress(b" " * 10_000_000), 413, "the body unpacks to more than"),
    ],
    # Packed, a body has the time in it, and names of tests must be the same in every process.
    ids=["cut", "tail", "unpacked", "bomb"],
)
def test_a_badly_packed_body_is_told(matrix: Client, body: bytes, status: int, error: str) -> None:
    answer = matrix.post("/predict", content=body, headers={"content-encoding": "gzip"})
    assert answer.status_code == status and answer.json()["error"].startswith(error), answer.text


@pytest.mark.parametrize("kind", ["text/csv", "application/x-npy", "application/octet-stream", "image/png"])
def test_another_type_is_refused_by_name(matrix: Client, kind: str) -> None:
    answer = matrix.post("/invocations", content=b"1,2,3", headers={"content-type": kind})
    assert answer.status_code == 415 and answer.json()["error"].startswith(f"content-type '{kind}'")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/x-www-form-urlencoded", "application/vnd.x+json"]
)
def test_json_may_be_sent_as_what_clients_send_it(matrix: Client, kind: str) -> None:
    answer = matrix.post("/predict", content=BODY, headers={"content-type": kind})
    assert answer.status_code == 200


# Binary tensors


def binary(tensors: list[tuple[dict[str, Any], bytes]], **more: Any) -> dict[str, Any]:
    inputs = [{**tensor, "parameters": {"binary_data_size": len(part)}} for tensor, part in tensors]
    head = json.dumps({"inputs": inputs, **more}).encode()
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(head)),
    }
    return {"content": head + b"".join(part for _, part in tensors), "headers": headers}


INPUT = {"name": "input", "shape": [2, 3], "datatype": "FP32"}
NUMBERS = np.arange(6, dtype="<f4")


def test_binary_tensors_are_read_and_answered(matrix: Client) -> None:
    request = binary([(INPUT, NUMBERS.tobytes())], parameters={"binary_data_output": True})
    answer = matrix.post("/v2/models/churn/infer", **request)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    head = json.loads(answer.content[:length])
    assert head["outputs"] == [
        {"name": "predictions", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
    ]
    assert np.frombuffer(answer.content[length:], "<f8").tolist() == [3.0, 12.0]


def test_an_output_may_be_asked_for_as_json_beside_binary_ones(matrix: Client) -> None:
    outputs = [{"name": "predictions", "parameters": {"binary_data": False}}]
    request = binary([(INPUT, NUMBERS.tobytes())], parameters={"binary_data_output": True}, outputs=outputs)
    answer = matrix.post("/v2/models/churn/infer", **request).json()
    assert answer["outputs"][0]["data"] == [3.0, 12.0]


class Joined:
    def predict(self, frame: Any) -> Any:
        return (frame["a"] + frame["b"].map({True: "!", False: "?"})).to_numpy(dtype=object)


def test_texts_and_booleans_are_read_as_bytes(tmp_path: Path) -> None:
    words = ["ja", "né"]
    texts = b"".join(struct.pack("<I", len(word.encode())) + word.encode() for word in words)
    columns = folders.columns("string", "boolean")
    with serve(folders.sklearn(tmp_path / "m", Joined(), columns)) as client:
        tensors = [
            ({"name": "a", "shape": [2], "datatype": "BYTES"}, texts),
            ({"name": "b", "shape": [2], "datatype": "BOOL"}, b"\x01\x00"),
        ]
        request = binary(tensors, parameters={"binary_data_output": True})
        answer = client.post("/v2/models/churn/infer", **request)
        length = int(answer.headers["inference-header-content-length"])
        assert (
            answer.content[length:] == struct.pack("<I", 3) + b"ja!" + struct.pack("<I", 4) + "né?".encode()
        )


@pytest.mark.parametrize(
    ("tensor", "part", "length", "error"),
    [
        (INPUT, NUMBERS.tobytes()[:-1], None, "inputs[0]: 23 bytes are no whole number of values of FP32"),
        (
            {**INPUT, "datatype": "BF16"},
            b"12",
            None,
            "inputs[0].datatype: 'BF16' can't be binary; accepted: BOOL",
        ),
        (
            {**INPUT, "data": [1]},
            b"1234",
            None,
            "inputs[0]: has both data and binary_data_size; send it once",
        ),
        (
            {**INPUT, "datatype": "BYTES"},
            b"\x09\0\0\0a",
            None,
            "inputs[0]: its BYTES end in the middle of a text",
        ),
        (INPUT, b"", 10**6, "Inference-Header-Content-Length is 1000000, and the body has"),
        (INPUT, b"", -1, "Inference-Header-Content-Length is -1"),
    ],
)
def test_wrong_binary_tensors_are_told(
    matrix: Client, tensor: Any, part: bytes, length: int | None, error: str
) -> None:
    request = binary([(tensor, part)])
    if length is not None:
        request["headers"]["inference-header-content-length"] = str(length)
    answer = matrix.post("/v2/models/churn/infer", **request)
    assert answer.status_code == 400 and answer.json()["error"].startswith(error), answer.text


def test_bytes_that_no_tensor_tells_of_are_told(matrix: Client) -> None:
    request = binary([(INPUT, NUMBERS.tobytes())])
    request["content"] += b"12"
    answer = matrix.post("/v2/models/churn/infer", **request)
    assert answer.json()["error"] == "the body has 2 bytes that no tensor tells of"


def test_binary_tensors_are_no_plain_request(matrix: Client) -> None:
    answer = matrix.post("/predict", **binary([(INPUT, NUMBERS.tobytes())]))
    assert (
        answer.status_code == 415 and "binary tensors are taken by the v2 protocol" in answer.json()["error"]
    )
