"""The data that the example model is trained on: real, and shipped inside scikit-learn."""

# scikit-learn ships no types.
# pyright: reportUnknownVariableType=false

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

SEED = 20
TEST_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A table of numbers with a class for each row, split into what a model learns from and is judged by."""

    name: str
    source: str
    digest: str
    """`sha256:<hex>` over all rows, the names of the features, and the split."""
    features: tuple[str, ...]
    classes: tuple[str, ...]
    """What the labels 0, 1, … mean."""
    train_x: NDArray[np.float64]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float64]
    test_y: NDArray[np.int64]


def load() -> Dataset:
    """Load the Wisconsin breast cancer set: 569 tumours, 30 measures of each, malignant (0) or benign (1)."""
    from sklearn.datasets import load_breast_cancer  # scikit-learn takes seconds to import
    from sklearn.model_selection import train_test_split

    bunch = cast(Any, load_breast_cancer())
    x = np.asarray(bunch.data, dtype=np.float64)
    y = np.asarray(bunch.target, dtype=np.int64)
    features = tuple(str(name) for name in bunch.feature_names)
    train_x, test_x, train_y, test_y = cast(
        list[Any], train_test_split(x, y, test_size=TEST_SHARE, random_state=SEED, stratify=y)
    )
    return Dataset(
        name="breast-cancer-wisconsin",
        source="sklearn.datasets.load_breast_cancer",
        digest=digest(features, train_x, train_y, test_x, test_y),
        features=features,
        classes=tuple(str(name) for name in bunch.target_names),
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
    )


def digest(features: tuple[str, ...], *arrays: NDArray[Any]) -> str:
    """Return `sha256:<hex>` over names and numbers; the same on every machine, whatever its byte order."""
    total = hashlib.sha256()
    for text in (*features, *(f"{array.dtype.kind}{array.shape}" for array in arrays)):
        total.update(len(text.encode()).to_bytes(8, "big") + text.encode())
    for array in arrays:
        total.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return f"sha256:{total.hexdigest()}"
