"""What a model shows before it is ready: on its example or on made-up rows, alone and in a batch."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from serving import warmup
from serving.artifact import ArtifactError
from serving.mlmodel import refusals
from serving.model import Model
from tests.serving import folders
from tests.serving.client import serve
from tests.serving.test_model import load

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows share a call must not depend on how busy the machine is."""
    monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: 0.0))


class Centred:
    """Takes from each row the mean of the rows of its call: nothing is left of a row alone, or of copies."""

    def predict(self, rows: Any) -> Any:
        array = np.asarray(rows, dtype=np.float64)
        return (array - array.mean(axis=0)).sum(axis=1)


class Ranked:
    """Answers by how a row compares with the others of its call, and a row alone like the first of many."""

    def predict(self, rows: Any) -> Any:
        sums = np.asarray(rows, dtype=np.float64).sum(axis=1)
        return sums * (1 + 1e-6 * (np.argsort(np.argsort(sums)) > 0))


class Offset:
    """Looks at its batch in the last digits of large answers in 32 bits."""

    def predict(self, rows: Any) -> Any:
        array = np.asarray(rows, dtype=np.float64)
        return (1e5 + array[:, 0] + (array - array.mean(axis=0))[:, 1]).astype(np.float32)


def batch_rows(folder: Path, **options: Any) -> int:
    return load(folder, **options).batch_rows


def test_rows_that_differ_share_calls_only_where_they_do_not_depend_on_each_other(tmp_path: Path) -> None:
    assert batch_rows(folders.sklearn(tmp_path / "sum", folders.Sum())) == 64
    for model in (Centred(), Ranked(), Offset()):
        loaded = load(folders.sklearn(tmp_path / type(model).__name__, model))
        assert loaded.batch_rows == 1
        assert any(note.startswith("requests don't share calls") for note in loaded.notes)


def test_callers_of_a_model_that_looks_at_its_whole_call_get_one_answer_each(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Centred())) as client:
        answers = client.predict_together([[[10.0 * caller, 0, 0]] for caller in range(16)])
        assert {answer.json()["predictions"][0] for answer in answers} == {0.0}


def test_a_batch_normalization_left_in_training_mode_is_found(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    def constant(name: str, value: float) -> Any:
        return helper.make_tensor(name, TensorProto.FLOAT, [3], [value] * 3)

    node = helper.make_node(
        "BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "m2", "v2"], training_mode=1, momentum=0.9
    )
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3])] for name in ("x", "y")
    )
    constants = [constant("s", 1), constant("b", 0), constant("m", 0), constant("v", 1)]
    graph = helper.make_graph([node], "g", inputs, outputs, constants)
    model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    assert batch_rows(folders.onnx(tmp_path / "m", model.SerializeToString(), None)) == 1


class Constant:
    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


class Labelled:
    """Says only whether a row is above the mean of its call; what it decides by tells more."""

    def predict(self, rows: Any) -> Any:
        return (self.decision_function(rows) > 1e9).astype(int)

    def decision_function(self, rows: Any) -> Any:
        array = np.asarray(rows, dtype=np.float64)
        return (array - array.mean(axis=0)).sum(axis=1)


def test_in_doubt_nothing_shares_a_call(tmp_path: Path) -> None:
    loaded = load(folders.sklearn(tmp_path / "constant", Constant()))
    assert loaded.batch_rows == 1 and "have the same answer" in loaded.notes[0]
    assert batch_rows(folders.sklearn(tmp_path / "labelled", Labelled())) == 1


def test_batching_can_be_decided_without_a_trial(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "constant", Constant())
    assert batch_rows(folder, batching="on") == 64
    assert batch_rows(folders.sklearn(tmp_path / "sum", folders.Sum()), batching="off") == 1


def test_a_classifier_whose_classes_are_the_same_is_judged_by_its_probabilities(
    tmp_path: Path, classifier: Any
) -> None:
    assert batch_rows(folders.sklearn(tmp_path / "m", classifier)) > 1


# Input examples, in every form in which MLflow keeps them

ROW = {"city": "Oslo", "age": 50.0, "visits": 1}
MIXED = [
    {"type": "string", "name": "city", "required": False},
    {"type": "double", "name": "age", "required": False},
    {"type": "long", "name": "visits", "required": True},
]


@pytest.fixture(scope="module")
def encoder() -> Any:
    """An ordinary pipeline with a column of text, which refuses a text that it hasn't seen."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": random.choice(["Rome", "Oslo", "Bonn"], 300),
            "age": random.normal(40, 10, 300),
            "visits": random.integers(0, 9, 300),
        }
    )
    target = ((frame.city == "Oslo") | (frame.age > 50)).astype(int)
    frame.loc[::7, "age"] = np.nan
    frame.loc[::11, "city"] = np.nan
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    steps = ColumnTransformer([("n", numbers, ["age", "visits"]), ("s", texts, ["city"])])
    return Pipeline([("p", steps), ("m", LogisticRegression())]).fit(frame, target)


def logged(folder: Path, model: Any, example: Any, **serving: Any) -> Path:
    info = {"artifact_path": "input_example.json", "type": "dataframe"}
    if serving:
        info["serving_input_path"] = "serving_input_example.json"
    made = folders.sklearn(folder, model, MIXED, saved_input_example_info=info)
    (made / "input_example.json").write_text(json.dumps(example))
    if serving:
        (made / "serving_input_example.json").write_text(json.dumps(serving))
    return made


@pytest.mark.parametrize(
    "example",
    [
        {"columns": ["city", "age", "visits"], "data": [["Oslo", 50.0, 1]]},
        {"columns": ["visits", "age", "city"], "data": [[1, 50.0, "Oslo"]], "index": [7]},
        ROW,
        [ROW],
        {"city": ["Oslo", "Rome"], "age": [50.0, None], "visits": [1, 2]},
    ],
    ids=["split", "other-order", "dict", "records", "columns"],
)
def test_an_input_example_is_used_in_every_form(tmp_path: Path, encoder: Any, example: Any) -> None:
    loaded = load(logged(tmp_path / "m", encoder, example), max_batch=2)
    assert loaded.sample[0].tolist() == [1] and loaded.notes == ()
    assert loaded.batch_rows > 1


def test_the_example_for_mlflows_server_comes_first(tmp_path: Path, encoder: Any) -> None:
    folder = logged(tmp_path / "m", encoder, "what?", dataframe_records=[ROW], params={"a": 1})
    assert load(folder, max_batch=2).sample[0].tolist() == [1]


def test_an_example_that_the_model_fails_on_is_refused_by_name(tmp_path: Path, encoder: Any) -> None:
    folder = logged(tmp_path / "m", encoder, {**ROW, "city": "Atlantis"})
    with pytest.raises(ArtifactError, match=r"fails on its own input example: ValueError: Found unknown cat"):
        load(folder)


def test_an_example_that_does_not_fit_is_said_and_not_used(tmp_path: Path, encoder: Any) -> None:
    loaded = load(logged(tmp_path / "m", encoder, {"town": "Oslo"}), max_batch=2)
    assert any("example does not fit the signature" in note and "'town'" in note for note in loaded.notes)
    assert loaded.sample


def test_without_an_example_made_up_rows_have_known_texts(tmp_path: Path, encoder: Any) -> None:
    loaded = load(folders.sklearn(tmp_path / "m", encoder, MIXED), max_batch=2)
    assert loaded.sample and loaded.batch_rows > 1


class Lookup:
    """Knows two words, and tells nobody which."""

    def predict(self, frame: Any) -> Any:
        return frame["a"].map(lambda word: {"yes": 1.0, "no": 0.0}[word]).to_numpy()


def test_a_made_up_text_refuses_no_healthy_model(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", Lookup(), folders.columns("string"))
    with serve(folder) as client:
        loaded = client.service.model
        assert isinstance(loaded, Model) and loaded.batch_rows == 1
        assert "log it with an input example" in loaded.notes[0]
        assert client.get("/v2/models/churn").json()["outputs"] == []
        assert client.predict([["yes"]]).json()["predictions"] == [1.0]
        outputs = client.get("/v2/models/churn").json()["outputs"]
        assert outputs == [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]


class Adults:
    """Takes whole rows of ones and more only."""

    def predict(self, rows: Any) -> Any:
        array = np.asarray(rows, dtype=np.float64)
        if (array < 1e6).any():
            raise ValueError("too small")
        return array.sum(axis=1)


def test_a_made_up_number_refuses_no_healthy_model(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Adults())) as client:
        loaded = client.service.model
        assert isinstance(loaded, Model) and loaded.batch_rows == 1
        assert "it takes no made-up row (ValueError: too small)" in loaded.notes[0]
        assert client.predict([[1e6, 1e6, 1e6]]).json()["predictions"] == [3e6]


def test_made_up_rows_have_the_numbers_that_an_encoder_knows(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    years = pd.DataFrame({"a": np.array([2016, 2017, 2018] * 4)})
    fitted = make_pipeline(OneHotEncoder(), LinearRegression()).fit(years, np.tile([1.0, 2.0, 3.0], 4))
    loaded = load(folders.sklearn(tmp_path / "m", fitted, folders.columns("long")), max_batch=2)
    assert loaded.sample and loaded.batch_rows > 1


class Broken:
    def predict(self, rows: Any) -> Any:
        return rows.nowhere


class Transposed:
    def predict(self, rows: Any) -> Any:
        return np.zeros((1, len(rows)))


@pytest.mark.parametrize(
    ("model", "problem"),
    [(Broken(), "AttributeError"), (Transposed(), r"16 rows gave an output of shape \[1, 16\]; a row needs")],
)
def test_what_no_row_can_be_the_reason_for_is_not_ready(tmp_path: Path, model: Any, problem: str) -> None:
    with pytest.raises(ArtifactError, match=f"fails on its warm-up input: {problem}"):
        load(folders.sklearn(tmp_path / "m", model))


def test_a_model_that_was_fitted_on_other_columns_is_refused_by_name(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [2.0, 1.0]})
    fitted = LinearRegression().fit(frame, [1.0, 2.0])
    with pytest.raises(ArtifactError, match="signature says 3 columns, but the model was fitted on 2"):
        load(folders.sklearn(tmp_path / "m", fitted))
    with pytest.raises(ArtifactError, match="signature says column 'a' where the model was fitted on 'b'"):
        load(folders.sklearn(tmp_path / "n", fitted, folders.columns("double", "double")))


def test_a_missing_text_is_the_same_alone_and_beside_others(tmp_path: Path, encoder: Any) -> None:
    with serve(folders.sklearn(tmp_path / "m", encoder, MIXED), max_batch=2) as client:
        alone = client.predict([[None, 50.0, 1]])
        beside = client.predict([[None, 50.0, 1], ["Oslo", 50.0, 1]])
        assert (alone.status_code, beside.status_code) == (200, 200)
        assert alone.json()["predictions"] == beside.json()["predictions"][:1]


# What reaches the model

IDS = [2**53 + 1, 2**53 + 2, 2**53 + 3, 7]


class Place:
    """Which of the known identifiers a row has; -1 for none."""

    def predict(self, frame: Any) -> Any:
        assert str(frame["a"].dtype) == "int64" and str(frame["b"].dtype) == "float64"
        return np.array([IDS.index(int(value)) if value in IDS else -1 for value in frame["a"]])


def test_a_whole_number_beside_a_double_stays_what_it_is(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Place(), folders.columns("long", "double"))) as client:
        rows = [[value, 0.5] for value in IDS]
        assert client.predict(rows).json()["predictions"] == [0, 1, 2, 3]
        assert [client.predict([row]).json()["predictions"] for row in rows] == [[0], [1], [2], [3]]
        answers = client.predict_together([[row] for row in rows])
        assert [answer.json()["predictions"] for answer in answers] == [[0], [1], [2], [3]]
        tensors = [
            {"name": "a", "shape": [4], "datatype": "INT64", "data": IDS},
            {"name": "b", "shape": [4], "datatype": "FP64", "data": [0.5, 1, 2, 3]},
        ]
        answer = client.post("/v2/models/churn/infer", json={"inputs": tensors}).json()
        assert answer["outputs"][0]["data"] == [0, 1, 2, 3]


def test_a_whole_number_that_pandas_would_change_beside_a_missing_one_is_refused(tmp_path: Path) -> None:
    inputs = folders.columns("long", "double", optional=[0])
    with serve(folders.sklearn(tmp_path / "m", folders.Sum(), inputs)) as client:
        assert client.predict([[2**53 - 1, 0], [None, 1]]).status_code == 200
        answer = client.predict([[2**53 + 1, 0]])
        assert (
            answer.status_code == 400
            and "too large for a column that may be missing" in answer.json()["error"]
        )


class Assigns:
    """A first step that uses columns by their names, and notes none of them."""

    def predict(self, frame: Any) -> Any:
        return frame.assign(ratio=frame["a"] / frame["b"])["ratio"].to_numpy()


def test_a_model_that_uses_columns_by_name_gets_a_frame(tmp_path: Path) -> None:
    with serve(folders.sklearn(tmp_path / "m", Assigns(), folders.columns("double", "double"))) as client:
        assert client.predict([[6, 3]]).json()["predictions"] == [2.0]
        assert client.predict([{"b": 3, "a": 6}]).json()["predictions"] == [2.0]


# What is answered


class Answers:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, rows: Any) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (np.zeros((2, 1)), r"1 rows gave an output of shape \[2, 1\]"),
        (5.0, r"1 rows gave an output of shape \[\]"),
        (np.array(["2026-01-01"], "datetime64[D]"), "type datetime64.*can't be sent"),
        (np.array([{1, 2}], dtype=object), "holds a set, which can't be sent"),
        (np.array([1 + 2j]), "type complex128, which can't be sent"),
    ],
    ids=["rows", "scalar", "dates", "objects", "complex"],
)
def test_an_answer_that_can_not_be_sent_is_no_ready_model(tmp_path: Path, answer: Any, problem: str) -> None:
    with pytest.raises(ArtifactError, match=problem):
        load(folders.sklearn(tmp_path / "m", Answers(answer)))


# What mlflow.pyfunc would do


def general(folder: Path, model: Any, **python_function: Any) -> Path:
    made = folders.sklearn(folder, model)
    flavour = {"pickled_model": "model.joblib", "serialization_format": "joblib"}
    return folders.mlmodel(made, {"sklearn": flavour, "python_function": python_function}, folders.TENSOR)


def test_the_function_that_the_model_was_logged_with_is_called(tmp_path: Path, classifier: Any) -> None:
    with serve(general(tmp_path / "m", classifier, predict_fn="predict_proba")) as client:
        found = client.predict([[1, 2, 3]]).json()["predictions"]
        assert found == classifier.predict_proba([[1.0, 2.0, 3.0]]).tolist()
        outputs = client.get("/v2/models/churn").json()["outputs"]
        assert outputs == [{"name": "predictions", "datatype": "FP64", "shape": [-1, 2]}]


@pytest.mark.parametrize("name", ["score", "decision_function", "transform"])
def test_a_function_that_is_not_served_is_refused(tmp_path: Path, classifier: Any, name: str) -> None:
    with pytest.raises(ArtifactError, match=f"predict_fn is {name}, which can't be served"):
        load(general(tmp_path / "m", classifier, predict_fn=name))


def test_what_pyfunc_would_do_otherwise_is_told_at_once(tmp_path: Path) -> None:
    options = {"predict_fn": "score", "config": {"a": 1}, "model_path": "other", "streamable": True}
    folder = general(tmp_path / "m", folders.Sum(), model_code_path="model.py", **options)
    document = (folder / "MLmodel").read_text()
    more = {"env_vars": ["API_KEY"], "metadata": {"mlflow.model.isExternal": True}}
    (folder / "MLmodel").write_text(document + yaml.safe_dump(more))
    reasons = refusals(folder)
    parts = ("predict_fn", "config", "streamable", "'other'", "model_code_path", "API_KEY", "isExternal")
    assert len(reasons) == len(parts)
    assert all(any(part in reason for reason in reasons) for part in parts)
    with pytest.raises(ArtifactError, match="API_KEY"):
        load(folder)


def test_another_loader_is_refused(tmp_path: Path, classifier: Any) -> None:
    with pytest.raises(ArtifactError, match=r"would load the model by mlflow\.pyfunc\.model"):
        load(general(tmp_path / "m", classifier, loader_module="mlflow.pyfunc.model"))


def test_code_that_was_logged_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    source = tmp_path / "src"
    source.mkdir()
    (source / "team_steps.py").write_text(
        "class Twice:\n    def predict(self, rows):\n        return rows.sum(axis=1) * 2\n"
    )
    sys.path.insert(0, str(source))
    import team_steps  # type: ignore[import-not-found]

    folder = general(tmp_path / "m", team_steps.Twice(), code="code")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    sys.path.remove(str(source))
    monkeypatch.delitem(sys.modules, "team_steps")
    with pytest.raises(ArtifactError, match="code is 'code', which is no folder in the artifact"):
        load(folder)
    (folder / "code").mkdir()
    (source / "team_steps.py").rename(folder / "code" / "team_steps.py")
    assert load(folder).runtime.predict(np.ones((1, 3)))[0].tolist() == [6.0]
    monkeypatch.delitem(sys.modules, "team_steps")


# A GPU that is asked for


def test_a_model_that_would_not_run_on_the_gpu_is_not_ready(tmp_path: Path, onnx_folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"this onnxruntime has no CUDAExecutionProvider, only .*CPU"):
        load(onnx_folder, device="gpu")
    with pytest.raises(ArtifactError, match="scikit-learn never uses one"):
        load(folders.sklearn(tmp_path / "m", folders.Sum()), device="gpu")
