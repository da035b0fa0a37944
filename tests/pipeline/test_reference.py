"""The drift reference: what is in it, that the server counts by it, and which data it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.linear_model import LinearRegression

from pipeline import reference, table, training
from pipeline.table import DataError
from serving import mlmodel, runtime
from tests.serving import folders
from tests.serving.client import serve

LINE = np.arange(11, dtype=np.float64)
TWO = pandas.DataFrame({"a": LINE, "b": LINE * 2})


@pytest.fixture
def adding(tmp_path: Path) -> Path:
    """A model of two columns, a and b, whose output is their sum."""
    return folders.sklearn(tmp_path / "adding", folders.Sum(), folders.columns("double", "double"))


def written(folder: Path, data: Any, source: str = "the data") -> dict[str, Any]:
    return json.loads(reference.write(folder, data, source).read_text())


def read(folder: Path, file: Path, *without: str) -> Any:
    return table.read(file, runtime.load(mlmodel.read(folder)).signature, without)


class TestWhatItSays:
    def test_of_features_and_a_number(self, adding: Path):
        found = written(adding, TWO)
        assert found["features"]["b"]["mean"] == 10
        assert found["features"]["b"]["std"] == pytest.approx(np.sqrt(40))
        assert found["features"]["b"]["quantiles"] == pytest.approx([2, 4, 6, 8, 10, 12, 14, 16, 18])
        assert found["predictions"]["quantiles"] == pytest.approx([3 * decile for decile in range(1, 10)])
        assert set(found["features"]) == {"a", "b"}

    def test_of_labels(self, tmp_path: Path):
        folder = folders.sklearn(tmp_path / "m", folders.Sign(), folders.columns("double"))
        found = written(folder, pandas.DataFrame({"a": [1.0, 2.0, 3.0, -1.0]}))
        assert found["predictions"] == {"classes": {"up": 0.75, "down": 0.25}}

    def test_of_text_and_of_missing_values(self, tmp_path: Path):
        signature = folders.columns("string", "double", optional=[1])
        folder = folders.sklearn(tmp_path / "m", folders.Constant(), signature)
        data = pandas.DataFrame({"a": ["x", "y", "z", "x"], "b": [1.0, None, 3.0, 3.0]})
        found = written(folder, data)
        assert found["features"]["a"] == {}
        assert found["features"]["b"]["missing"] == 0.25
        assert found["features"]["b"]["quantiles"][-1] == 3
        assert written(folder, data[["a"]])["features"]["b"] == {"missing": 1}

    def test_is_by_name_whatever_the_order(self, adding: Path):
        assert written(adding, TWO[["b", "a"]]) == written(adding, TWO)

    def test_takes_as_many_rows_of_very_many_from_all_over(
        self, adding: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(table, "_MOST_ROWS", 11)
        many = np.linspace(0, 10, 1001)
        found = written(adding, pandas.DataFrame({"a": many, "b": many}))
        assert found["features"]["a"]["quantiles"] == pytest.approx(list(range(1, 10)))


class TestTheServer:
    """A model that is sent its own training data shows no drift: each bucket has a tenth of the values."""

    def shares(self, folder: Path, rows: list[Any], metric: str) -> list[float]:
        quantiles = json.loads((folder / "reference.json").read_text())
        name = metric.partition('"')[2].rstrip('"')
        known = quantiles["features"].get(name) or quantiles["predictions"]
        with serve(folder) as client:
            assert client.predict(rows).status_code == 200
            line = f"model_{metric.replace('{', '_distribution_bucket{')}"
            return [
                client.metric(f'{line},le="{edge!r}"}}') / len(rows) for edge in sorted({*known["quantiles"]})
            ]

    @pytest.mark.parametrize(
        "metric", ['feature{feature="a"', 'feature{feature="b"', 'output{output="predictions"']
    )
    def test_counts_by_it(self, adding: Path, metric: str):
        reference.write(adding, TWO)
        shares = self.shares(adding, TWO.to_numpy().tolist(), metric)
        assert shares == pytest.approx([decile / 11 for decile in range(2, 11)])

    def test_counts_a_tensor_without_names_by_position(self, tmp_path: Path):
        folder = folders.sklearn(tmp_path / "m", folders.Sum())
        data = np.stack([LINE, -LINE, LINE * 3], axis=1)
        reference.write(folder, data)
        assert len(self.shares(folder, data.tolist(), 'feature{feature="1"')) == 9

    def test_counts_very_many_features_as_one(self, tmp_path: Path):
        wide = [{"type": "tensor", "name": "pixels", "tensor-spec": {"dtype": "float64", "shape": [-1, 501]}}]
        folder = folders.sklearn(tmp_path / "m", folders.Sum(), wide)
        found = written(folder, np.tile(LINE[:, None], 501))
        assert set(found["features"]) == {"pixels"}
        with serve(folder) as client:
            client.predict([[5.0] * 501])
            assert client.metric('model_feature_distribution_bucket{feature="pixels",le="4.0"}') == 0
            assert client.metric('model_feature_distribution_bucket{feature="pixels",le="5.0"}') == 501

    def test_counts_a_graph_in_32_bits_by_32_bits(self, tmp_path: Path):
        # 0.1 in 32 bits is above 0.1 in 64: by the double, the server would see none of the training's 0.1.
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
        graph = _onnx_regression(model)
        folder = folders.onnx(tmp_path / "m", graph, folders.columns("double"))
        data = pandas.DataFrame({"a": [0.1] * 5 + [0.7] * 5})
        reference.write(folder, data)
        shares = self.shares(folder, data.to_numpy().tolist(), 'feature{feature="a"')
        assert shares[0] == 0.5 and shares[-1] == 1


def _onnx_regression(model: Any) -> bytes:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    converted: Any = convert_sklearn(model, initial_types=[("x", FloatTensorType([None, 1]))])
    return converted.SerializeToString()


class TestDataThatDontFit:
    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (TWO[["a"]], "train.csv lacks the column 'b', which the model takes."),
            (
                TWO.rename(columns={"b": "bb"}),
                "train.csv lacks the column 'b', which the model takes. Is 'b' the one that it calls 'bb'?",
            ),
            (TWO.assign(label=1), "train.csv has the column 'label', which the model doesn't take: leave"),
            (TWO.iloc[:0], "train.csv has no rows"),
            (TWO.assign(b="x"), r"train.csv, row 1 (b): expected a number (double), got the string 'x'"),
            (TWO.assign(a=TWO.a.where(TWO.a != 3)), "train.csv, row 4 (a): expected a number (double), got"),
            (TWO.assign(a=(TWO.a + 1) / 0), "train.csv, row 1 (a): expected a number (double), got inf"),
            (TWO.set_axis(["a", "a"], axis=1), "train.csv has the column 'a' more than once"),
            (np.zeros((3, 5)), "train.csv, row 1: expected 2 values"),
            (np.zeros(3), "train.csv, row 1: expected a list"),
            (TWO.assign(a=666.0), "the model fails on train.csv: RuntimeError: this row is poison"),
        ],
    )
    def test_are_told_by_column_and_row(self, adding: Path, data: Any, says: str):
        with pytest.raises(DataError) as told:
            reference.write(adding, data, "train.csv")
        assert says in str(told.value)
        assert not (adding / "reference.json").exists()

    def test_are_told_by_row_of_a_later_block(self, adding: Path):
        bad = pandas.DataFrame({"a": np.zeros(5000), "b": np.zeros(5000)})
        bad.loc[4500, "b"] = np.nan
        with pytest.raises(DataError, match=r"train.csv, row 4501 \(b\)"):
            reference.write(adding, bad, "train.csv")


class TestAFile:
    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_says_the_same_in_either_format(self, adding: Path, tmp_path: Path, ending: str):
        file = tmp_path / f"train.{ending}"
        data = TWO.assign(label="yes")
        data.to_csv(file, index=False) if ending == "csv" else data.to_parquet(file)
        assert written(adding, read(adding, file, "label")) == written(adding, TWO)

    def test_names_the_row_of_the_one_value_that_is_no_number(self, adding: Path, tmp_path: Path):
        file = tmp_path / "train.csv"
        file.write_text("a,b\n1,2\n3,abc\n5,6\n")
        with pytest.raises(
            DataError, match=r"row 2 \(b\): expected a number \(double\), got the string 'abc'"
        ):
            reference.write(adding, read(adding, file), "train.csv")

    def test_keeps_text_that_looks_like_a_number_or_nothing(self, tmp_path: Path):
        folder = folders.sklearn(tmp_path / "m", folders.Constant(), folders.columns("string", "long"))
        file = tmp_path / "train.csv"
        file.write_text("a,b\n007,1\nNA,2\n")
        frame = read(folder, file)
        assert frame["a"].tolist() == ["007", "NA"]
        assert frame["b"].tolist() == [1, 2]
        reference.write(folder, frame)

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("none.csv", None, "there is no file"),
            ("train.csv", b"", "train.csv is empty; expected a line with the names"),
            ("train.xlsx", b"x", "train.xlsx: expected a file whose name ends in .csv or .parquet"),
            ("train.parquet", b"nothing", "train.parquet can't be read as parquet: "),
            ("train.csv", b"a,b\n1,2,3\n1,2,3,4\n", "train.csv can't be read as csv: "),
            ("train.csv", b"a,b\n\xff\xfe,1\n", "train.csv can't be read as csv: "),
        ],
    )
    def test_that_is_none_is_told(
        self, adding: Path, tmp_path: Path, name: str, content: bytes | None, says: str
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as told:
            read(adding, tmp_path / name)
        assert says in str(told.value) and "\n" not in str(told.value)

    def test_without_the_column_that_is_to_be_left_out_is_told(self, adding: Path, tmp_path: Path):
        TWO.to_csv(tmp_path / "train.csv", index=False)
        with pytest.raises(
            DataError, match="has no column 'label' to leave out; it has the columns 'a', 'b'"
        ):
            read(adding, tmp_path / "train.csv", "label")


def test_of_the_example_model_has_every_feature_and_both_classes(tmp_path: Path):
    from pipeline import data as datasets
    from pipeline import model_folder

    data = datasets.load()
    trained = training.train(training.RECIPES[0], data)
    model_folder.save(
        trained.model, "sklearn", tmp_path / "m", features=data.features, example=data.test_x[:2]
    )
    found = written(tmp_path / "m", pandas.DataFrame(data.train_x, columns=list(data.features)))
    assert set(found["features"]) == set(data.features)
    assert set(found["predictions"]["classes"]) == {"0", "1"}
    assert sum(found["predictions"]["classes"].values()) == pytest.approx(1)
