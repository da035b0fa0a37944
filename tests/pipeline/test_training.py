"""Training: the data, the measures, and what is written about both."""

import dataclasses

import numpy as np
import pytest

from pipeline import data as datasets
from pipeline import training
from pipeline.card import card
from pipeline.data import Dataset
from pipeline.training import RECIPES, Recipe, TrainingError


@pytest.fixture(scope="module")
def data() -> Dataset:
    return datasets.load()


def few_trees() -> Recipe:
    recipe = next(recipe for recipe in RECIPES if recipe.flavour == "onnx")
    return dataclasses.replace(recipe, parameters=recipe.parameters | {"n_estimators": 10})


class TestTheData:
    def test_is_the_whole_set_split_by_class(self, data: Dataset):
        assert data.train_x.shape == (426, 30)
        assert data.test_x.shape == (143, 30)
        assert data.features[0] == "mean radius"
        assert data.classes == ("malignant", "benign")
        assert abs(data.train_y.mean() - data.test_y.mean()) < 0.01

    def test_is_the_same_every_time(self, data: Dataset):
        again = datasets.load()
        assert again.digest == data.digest
        assert (again.test_x == data.test_x).all()

    def test_shares_no_row_between_training_and_test(self, data: Dataset):
        trained = {row.tobytes() for row in data.train_x}
        assert not trained & {row.tobytes() for row in data.test_x}

    def test_its_digest_covers_names_numbers_types_and_shapes(self):
        one = np.arange(6, dtype=np.float64).reshape(2, 3)
        digests = {
            datasets.digest(("a", "b"), one),
            datasets.digest(("ab",), one),
            datasets.digest(("a", "b"), one.reshape(3, 2)),
            datasets.digest(("a", "b"), one.astype(np.int64)),
            datasets.digest(("a", "b"), one + np.eye(2, 3) * 1e-12),
            datasets.digest(("a", "b"), one[:1], one[1:]),
        }
        assert len(digests) == 6
        assert all(len(found) == 71 and found.startswith("sha256:") for found in digests)

    def test_its_digest_does_not_depend_on_byte_order_or_memory_layout(self):
        one = np.arange(6, dtype=np.float64).reshape(2, 3)
        assert datasets.digest(("a",), one) == datasets.digest(("a",), one.astype(">f8"))
        assert datasets.digest(("a",), one) == datasets.digest(("a",), np.asfortranarray(one))


class TestTheMeasures:
    def test_of_a_known_answer(self):
        truth = np.array([0, 0, 1, 1])
        positive = np.array([0.1, 0.6, 0.4, 0.9])
        measured = training.evaluate(truth, np.stack([1 - positive, positive], axis=1))
        expected_loss = -np.mean(np.log([0.9, 0.4, 0.4, 0.9]))
        assert measured == pytest.approx(
            {"roc_auc": 0.75, "accuracy": 0.5, "log_loss": expected_loss, "f1": 0.5}
        )

    def test_are_plain_floats(self):
        measured = training.evaluate(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32))
        assert {type(value) for value in measured.values()} == {float}


@pytest.mark.parametrize("recipe", [RECIPES[0], few_trees()], ids=lambda recipe: recipe.flavour)
def test_a_recipe_gives_a_model_that_is_better_than_chance_by_far(recipe: Recipe, data: Dataset):
    trained = training.train(recipe, data)
    assert set(trained.metrics) == {"roc_auc", "accuracy", "log_loss", "f1"}
    assert 0.9 < trained.metrics["roc_auc"] <= 1
    assert 0.85 < trained.metrics["accuracy"] <= 1


def test_training_twice_gives_the_same_model(data: Dataset):
    first, second = (training.train(few_trees(), data) for _ in range(2))
    assert first.model.SerializeToString() == second.model.SerializeToString()
    assert first.metrics == second.metrics


def test_the_onnx_model_answers_plain_labels_alone(data: Dataset):
    trained = training.train(few_trees(), data)
    (answers,) = training.run_onnx(trained.model, data.test_x)
    assert [output.name for output in trained.model.graph.output] == ["predictions"]
    assert trained.model.graph.output[0].type.tensor_type.elem_type == 7  # int64
    assert answers.dtype == np.int64
    assert answers.shape == (143,)
    assert (answers == data.test_y).mean() > 0.85


def test_a_conversion_that_answers_otherwise_is_refused(data: Dataset):
    classifier = training.gradient_boosting({"n_estimators": 3}).fit(data.train_x, data.train_y)
    other = training.gradient_boosting({"n_estimators": 3}).fit(data.train_x, 1 - data.train_y)
    training.check_agreement(classifier, training.to_onnx(classifier, 30), data.test_x)
    with pytest.raises(TrainingError, match=r"isn't the model that was trained: 143 of 143 labels differ"):
        training.check_agreement(classifier, training.to_onnx(other, 30), data.test_x)


def test_a_conversion_with_other_probabilities_is_refused(data: Dataset):
    classifier = training.gradient_boosting({"n_estimators": 30}).fit(data.train_x, data.train_y)
    longer = training.gradient_boosting({"n_estimators": 31}).fit(data.train_x, data.train_y)
    with pytest.raises(TrainingError, match=r"0 of 426 labels differ, and probabilities by up to 0\.0"):
        training.check_agreement(classifier, training.to_onnx(longer, 30), data.train_x)


def test_the_card_says_what_was_measured(data: Dataset):
    trained = training.train(RECIPES[0], data)
    text = card("tumour", trained, data)
    assert text.startswith("# tumour, logistic-regression\n")
    assert "0 is malignant, 1 is benign" in text
    assert f"- roc_auc: {trained.metrics['roc_auc']:.4f}\n" in text
    assert data.digest in text
    assert "426 rows trained it and 143 others" in text
