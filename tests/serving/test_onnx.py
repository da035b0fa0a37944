"""What goes into a graph is what the caller sent, or an error: no number becomes another one on its way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.artifact import ArtifactError
from tests.serving import folders
from tests.serving.client import serve


def identity(*inputs: tuple[str, str, list[Any]]) -> bytes:
    """Return a graph that gives back each of its inputs, of an element type and a shape."""
    import onnx

    def value(name: str, kind: str, shape: Sequence[Any]) -> Any:
        return onnx.helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), shape)

    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in inputs],
        "identity",
        [value(*item) for item in inputs],
        [value(f"{name}_out", kind, shape) for name, kind, shape in inputs],
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    proto.ir_version = 8
    return proto.SerializeToString()


TWO = ["n", 2]


@pytest.mark.parametrize(
    ("kind", "types", "good", "bad"),
    [
        ("FLOAT", ("long", "long"), 16777216, 16777217),
        ("DOUBLE", ("long", "double"), 2**53, 2**53 + 1),
        ("FLOAT", ("long", "float"), 2**40, 2**40 + 1),
        ("INT32", ("long", "long"), 2**31 - 1, 2**31),
        ("UINT8", ("integer", "integer"), 255, -1),
    ],
)
def test_a_whole_number_that_the_graph_would_change_is_refused(
    tmp_path: Path, kind: str, types: tuple[str, str], good: int, bad: int
) -> None:
    with serve(folders.onnx(tmp_path / "m", identity(("x", kind, TWO)), folders.columns(*types))) as client:
        assert client.predict([[good, 3]]).json()["predictions"] == [[good, 3]]
        for rows in ([[bad, 3]], [[1, 2], [bad, 3]]):
            answer = client.predict(rows)
            assert answer.status_code == 400
            assert str(bad) in answer.json()["error"]
        # A request that it shares a call with is none the worse for it.
        both = client.predict_together([[[good, 3]], [[bad, 3]]])
        assert [answer.status_code for answer in both] == [200, 400]


@pytest.mark.parametrize(
    ("graph", "types"),
    [
        (identity(("x", "INT64", TWO)), ("double", "double")),
        (identity(("x", "BOOL", TWO)), ("double", "double")),
        (identity(("x", "STRING", TWO)), ("long", "long")),
        (identity(("a", "INT64", ["n", 1]), ("b", "INT64", ["n", 1])), ("double", "long")),
        (identity(("a", "DOUBLE", ["n", 1]), ("b", "STRING", ["n", 1])), ("double", "double")),
    ],
    ids=range(5),
)
def test_a_graph_that_can_not_take_what_the_signature_says_is_not_served(
    tmp_path: Path, graph: bytes, types: tuple[str, str]
) -> None:
    folder = folders.onnx(tmp_path / "m", graph, folders.columns(*types))
    with (
        pytest.raises(ArtifactError, match=r"the signature says \w+, but the ONNX input \w is \w+; log"),
        serve(folder),
    ):
        pass


@pytest.mark.parametrize("shape", [["n"], ["n", 1]])
def test_a_column_goes_into_a_graph_flat_or_upright(tmp_path: Path, shape: list[Any]) -> None:
    graph = identity(("a", "INT64", shape), ("b", "DOUBLE", shape))
    with serve(folders.onnx(tmp_path / "m", graph, folders.columns("long", "double"))) as client:
        answer = client.predict([{"b": 0.5, "a": 2**53 + 1}]).json()
        first = [2**53 + 1] if len(shape) == 1 else [[2**53 + 1]]
        assert (answer["predictions"][:1], answer["outputs"]["b_out"]) == (
            first,
            [0.5] if len(shape) == 1 else [[0.5]],
        )


def test_a_graph_of_unsigned_numbers_takes_the_largest(tmp_path: Path) -> None:
    tensor = [{"type": "tensor", "tensor-spec": {"dtype": "uint64", "shape": [-1, 2]}}]
    with serve(folders.onnx(tmp_path / "m", identity(("x", "UINT64", TWO)), tensor)) as client:
        assert client.predict([[2**64 - 1, 1]]).json()["predictions"] == [[2**64 - 1, 1]]


def test_a_model_for_a_gpu_alone_does_not_fall_back_to_the_cpu(tmp_path: Path, onnx_folder: Path) -> None:
    del tmp_path
    document = yaml.safe_load((onnx_folder / "MLmodel").read_text())
    document["flavors"]["onnx"]["providers"] = ["CUDAExecutionProvider"]
    (onnx_folder / "MLmodel").write_text(yaml.safe_dump(document))
    with (
        pytest.raises(ArtifactError, match="has only CUDAExecutionProvider, and this server uses the CPU"),
        serve(onnx_folder),
    ):
        pass


class Named:
    """Answers one column, which it takes by its name."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def predict(self, rows: Any) -> Any:
        return rows[self.name].to_numpy().astype("float64")


def test_a_number_too_large_for_its_column_is_refused_beside_a_wider_one(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Named("b"), folders.columns("double", "float"))) as client:
        assert client.predict([[1.5, 0.25]]).json()["predictions"] == [0.25]
        answer = client.predict([[1.5, 1e39]])
        assert answer.status_code == 400
        assert "too large for float32" in answer.json()["error"]


def test_columns_without_names_have_places(tmp_path: Path) -> None:
    inputs = [{"type": "double", "required": True}, {"type": "long", "required": True}]
    with serve(folders.sklearn(tmp_path / "m", Named(1), inputs)) as client:
        assert client.predict([[1.5, 2]]).json()["predictions"] == [2.0]
