"""Recipes of the example model, and training by one of them: numbers in, a model and its measures out."""

# scikit-learn and skl2onnx ship no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.data import SEED, Dataset

Flavour = Literal["sklearn", "onnx"]
Parameters = Mapping[str, int | float]

AGREEMENT = 1e-5
"""How far a converted model's probabilities may be from the original's: ONNX computes in 32 bits."""


class TrainingError(Exception):
    """A model that must not be registered. The message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one version of the model is made, and the form in which it is served."""

    name: str
    flavour: Flavour
    parameters: Parameters
    build: Callable[[Parameters], Any]
    """Makes the untrained scikit-learn classifier."""
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model in the form in which it is served, measured in that form."""

    recipe: Recipe
    model: Any
    """A scikit-learn classifier, or an ONNX ModelProto whose only output is `predictions`."""
    metrics: Mapping[str, float]
    """By the rows that were held out."""


def logistic_regression(parameters: Parameters) -> Any:
    """Make a scaler followed by a logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(**cast(Any, parameters)))


def gradient_boosting(parameters: Parameters) -> Any:
    """Make a gradient boosting of trees."""
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(**cast(Any, parameters))


RECIPES = (
    Recipe(
        name="logistic-regression",
        flavour="sklearn",
        parameters={"C": 1.0, "max_iter": 1000, "random_state": SEED},
        build=logistic_regression,
        summary="Features scaled to mean 0 and deviation 1, then a logistic regression.",
    ),
    Recipe(
        name="gradient-boosting",
        flavour="onnx",
        parameters={
            "n_estimators": 200,
            "learning_rate": 0.1,
            "max_depth": 3,
            "subsample": 0.8,
            "random_state": SEED,
        },
        build=gradient_boosting,
        summary="200 boosted trees of depth 3, converted to ONNX.",
    ),
)
"""The versions of the example model, in the order in which they are registered."""


def train(recipe: Recipe, data: Dataset) -> Trained:
    """Train by a recipe.

    Raises TrainingError if the converted model doesn't answer as the original does on every row of the data.
    """
    classifier = recipe.build(recipe.parameters).fit(data.train_x, data.train_y)
    model: Any = classifier
    probabilities = classifier.predict_proba(data.test_x)
    if recipe.flavour == "onnx":
        converted = to_onnx(classifier, len(data.features))
        _, probabilities = run_onnx(converted, data.test_x)
        check_agreement(classifier, converted, np.concatenate([data.train_x, data.test_x]))
        model = only_predictions(converted)
    return Trained(
        recipe=recipe,
        model=model,
        metrics=evaluate(data.test_y, probabilities),
    )


def evaluate(truth: NDArray[np.int64], probabilities: NDArray[Any]) -> dict[str, float]:
    """Measure the probabilities of two classes, one column each, against the true labels."""
    from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

    positive = np.asarray(probabilities, dtype=np.float64)[:, 1]
    labels = (positive > 0.5).astype(np.int64)
    return {
        "roc_auc": float(roc_auc_score(truth, positive)),
        "accuracy": float(accuracy_score(truth, labels)),
        "log_loss": float(log_loss(truth, positive)),
        "f1": float(f1_score(truth, labels)),
    }


def to_onnx(classifier: Any, width: int) -> Any:
    """Convert a scikit-learn classifier of `width` features to ONNX.

    Its input is `features`, 32-bit rows; its outputs are `predictions` and `probabilities`, plain arrays.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

    return convert_sklearn(
        classifier,
        name="classifier",  # by default a random one, which would give every training another digest
        initial_types=[("features", FloatTensorType([None, width]))],
        final_types=[("predictions", Int64TensorType([None])), ("probabilities", FloatTensorType([None, 2]))],
        options={id(classifier): {"zipmap": False}},
    )


def only_predictions(converted: Any) -> Any:
    """Leave out the probabilities, so that every version of the model has the same signature."""
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    model = select_model_inputs_outputs(converted, outputs=["predictions"])
    model.graph.output[0].CopyFrom(converted.graph.output[0])  # the selection forgets its type
    return model


def run_onnx(model: Any, rows: NDArray[np.float64]) -> list[Any]:
    """Run an ONNX model on rows of numbers; returns its outputs in order."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: rows.astype(np.float32)}))


def check_agreement(classifier: Any, converted: Any, rows: NDArray[np.float64]) -> None:
    """Raise TrainingError unless both answer every row alike."""
    labels, probabilities = run_onnx(converted, rows)
    differing = int(np.sum(labels != classifier.predict(rows)))
    distance = float(np.max(np.abs(probabilities - classifier.predict_proba(rows))))
    if differing or distance > AGREEMENT:
        raise TrainingError(
            f"the model converted to ONNX isn't the model that was trained: {differing} of {len(rows)} labels"
            f" differ, and probabilities by up to {distance:.2g}; accepted are 0 labels and {AGREEMENT:.0e}"
        )
