"""The server beside ``mlflow.pyfunc.load_model``: the same folder, the same rows, the same answers or none.

Models are trained, saved by MLflow itself and drawn by hypothesis: flavour, signature, columns and their
types, missing values, the function that was logged, the input example. Each is asked in every form of
request, with many rows and with one. `pytest --hypothesis-profile explore` draws ten times as many.
"""

import json
import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.serving.client import Client, serve

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("a", "b", "c")
TEXTS = ("Rome", "Oslo", "Bonn")
TYPES = ("double", "long", "integer", "float", "boolean", "string")
FUNCTIONS = ("predict", "predict_proba", "predict_log_proba")


@dataclass(frozen=True)
class Kind:
    """What a model is made of."""

    flavour: str
    columns: tuple[str, ...]
    """A type a column; empty: one unnamed tensor of doubles."""
    missing: bool
    """Whether doubles and texts may be missing."""
    function: str
    example: str
    first: str
    """The first step: a scaler, or one of the user's own that uses columns by name."""

    @property
    def optional(self) -> tuple[bool, ...]:
        return tuple(self.missing and kind in ("double", "string") for kind in self.columns)


def kinds() -> st.SearchStrategy[Kind]:
    tensors = st.builds(
        Kind,
        flavour=st.sampled_from(("sklearn", "onnx")),
        columns=st.just(()),
        missing=st.just(False),
        function=st.sampled_from(FUNCTIONS),
        example=st.sampled_from(("none", "array")),
        first=st.just("scaler"),
    )
    frames = st.builds(
        Kind,
        flavour=st.just("sklearn"),
        columns=st.tuples(
            *[st.sampled_from(("double", "long", "integer", "float", "boolean", "string"))] * 3
        ),
        missing=st.booleans(),
        function=st.sampled_from(FUNCTIONS),
        example=st.sampled_from(("none", "frame", "dict", "records")),
        first=st.sampled_from(("scaler", "by-name")),
    )
    numbers = st.builds(
        Kind,
        flavour=st.just("onnx"),
        columns=st.tuples(*[st.sampled_from(("double", "float"))] * 3),
        missing=st.just(False),
        function=st.just("predict"),
        example=st.sampled_from(("none", "frame")),
        first=st.just("scaler"),
    )
    return st.one_of(frames, frames, tensors, numbers)


class ByName:
    """A step of the user's own, which is fitted on nothing and uses columns by their names."""

    def fit(self, frame: Any, target: Any = None) -> Any:
        return self

    def transform(self, frame: Any) -> Any:
        return frame.assign(a=frame["a"])

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}


def frame_of(kind: Kind, rows: int, seed: int) -> Any:
    random = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for name, column in zip(NAMES, kind.columns or ("double",) * 3, strict=True):
        if column == "string":
            made[name] = pd.Series(random.choice(TEXTS, rows), dtype="str")
        elif column == "boolean":
            made[name] = random.random(rows) < 0.5
        elif column in ("long", "integer"):
            made[name] = random.integers(-9, 9, rows).astype("int64" if column == "long" else "int32")
        else:
            made[name] = random.normal(size=rows).astype("float64" if column == "double" else "float32")
    frame = pd.DataFrame(made)
    for name, optional in zip(NAMES, kind.optional, strict=False):
        if optional:
            frame.loc[random.random(rows) < 0.2, name] = np.nan
    return frame


def fitted(kind: Kind, frame: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    target = np.arange(len(frame)) % 3
    if not kind.columns:
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame.to_numpy(), target)
    texts = [name for name, column in zip(NAMES, kind.columns, strict=True) if column == "string"]
    others = [name for name in NAMES if name not in texts]
    encoder = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    steps: list[Any] = [("n", make_pipeline(SimpleImputer(), StandardScaler()), others)] if others else []
    steps += [("s", encoder, texts)] if texts else []
    first: list[Any] = [ByName()] if kind.first == "by-name" else []
    return make_pipeline(*first, ColumnTransformer(steps), LogisticRegression()).fit(frame, target)


def saved(kind: Kind, folder: Path, frame: Any) -> Any:
    """Save a model by MLflow; returns what mlflow.pyfunc loads."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    if kind.columns:
        specs = [
            ColSpec(column, name, required=not optional)
            for name, column, optional in zip(NAMES, kind.columns, kind.optional, strict=True)
        ]
        signature = ModelSignature(inputs=Schema(specs))
    else:
        signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 3))]))
    some = frame.dropna()[:2]
    example = {
        "none": None,
        "array": some.to_numpy(),
        "frame": some,
        "dict": some.to_dict("records")[0],
        "records": some.to_dict("records")[:1],
    }[kind.example]
    options: dict[str, Any] = {"signature": signature, "input_example": example, "pip_requirements": []}
    model = fitted(kind, frame)
    if kind.flavour == "onnx":
        import skl2onnx

        proto = skl2onnx.to_onnx(
            model[-2:] if not kind.columns else _plain(frame),
            np.zeros((1, 3), np.float32),
            options={"zipmap": False},
            target_opset=15,
        )
        if kind.columns:
            # Given a DataFrame, mlflow.onnx can't answer with outputs of several shapes.
            del proto.graph.output[1:]
        mlflow.onnx.save_model(proto, folder, **options)
    else:
        mlflow.sklearn.save_model(
            model, folder, serialization_format="cloudpickle", pyfunc_predict_fn=kind.function, **options
        )
    return mlflow.pyfunc.load_model(str(folder))


def _plain(frame: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(
        frame.to_numpy(), np.arange(len(frame)) % 3
    )


def bodies(kind: Kind, frame: Any) -> list[dict[str, Any]]:
    """The rows in every form that MLflow's server takes for them, and in ours."""
    rows = json.loads(frame.to_json(orient="values", double_precision=15))
    found: list[dict[str, Any]] = [{"features": rows}, {"instances": rows}]
    if kind.columns:
        records = [dict(zip(NAMES, row, strict=True)) for row in rows]
        turned = [dict(reversed(record.items())) for record in records]
        found += [
            {"dataframe_split": {"columns": list(NAMES), "data": rows}},
            {"dataframe_records": turned},
            {"instances": records},
            {"inputs": {name: [record[name] for record in records] for name in NAMES}},
        ]
    else:
        found += [{"inputs": rows}]
    return found


def of_pyfunc(model: Any, kind: Kind, frame: Any) -> Any:
    found = model.predict(frame if kind.columns else frame.to_numpy())
    if isinstance(found, dict):
        return found["label"]
    if isinstance(found, pd.DataFrame):
        return found["label"].to_numpy()
    return found


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other or math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)


counts = {"models": 0, "answers": 0}
"""What was compared, for a person to look at."""


@given(kind=kinds(), seed=st.integers(0, 2**16))
@settings(max_examples=settings.default.max_examples // 5, phases=(Phase.explicit, Phase.generate))
def test_the_server_answers_as_pyfunc_does(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, seed: int
) -> None:
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    folder = tmp_path_factory.mktemp("model") / "m"
    frame = frame_of(kind, 60, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = saved(kind, folder, frame)
    asked = frame[:5]
    expected = of_pyfunc(model, kind, asked)
    with serve(folder) as client:
        counts["models"] += 1
        for body in bodies(kind, asked):
            _same(client, body, expected)
        for index in range(2):
            alone = asked[index : index + 1]
            _same(client, bodies(kind, alone)[0], of_pyfunc(model, kind, alone))


def _same(client: Client, body: dict[str, Any], expected: Any) -> None:
    answer = client.post("/invocations", json=body)
    assert answer.status_code == 200, (answer.text, body)
    assert alike(answer.json()["predictions"], np.asarray(expected).tolist()), (body, answer.json(), expected)
    counts["answers"] += 1
