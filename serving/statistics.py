"""What a model saw and said, summed up for drift detection: per feature and per output, cheap per request."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from serving.signature import Array, Signature

# Rows are summed up in blocks: numpy costs about the same for one row as for hundreds.
_BLOCK_ROWS = 512
# Labels are bounded, whatever a model takes or answers; the rest is summed up as one.
_MOST_FEATURES = 500
_MOST_CLASSES = 100
OTHER = "other"

Floats = NDArray[np.float64]


class Moments:
    """Count, sum, sum of squares, missing values and histogram of each column of a matrix.

    ``edges`` has, by name, the upper bounds (inclusive) of a column's histogram; columns without have none.
    """

    def __init__(self, names: Sequence[str], edges: Mapping[str, Sequence[float]]) -> None:
        self.names = tuple(names)
        size = len(self.names)
        self.count = np.zeros(size, np.int64)
        self.missing = np.zeros(size, np.int64)
        self.sum = np.zeros(size)
        self.squares = np.zeros(size)
        self.edges = {name: np.array(edges[name], np.float64) for name in self.names if edges.get(name)}
        self.buckets = {name: np.zeros(len(bounds) + 1, np.int64) for name, bounds in self.edges.items()}

    def add(self, values: Floats) -> None:
        """Add a matrix with one column a name; NaN is a missing value."""
        missing = np.isnan(values)
        self.missing += missing.sum(axis=0)
        self.count += (~missing).sum(axis=0)
        known = np.where(missing, 0.0, values)
        with np.errstate(over="ignore", invalid="ignore"):
            self.sum += known.sum(axis=0)
            self.squares += np.einsum("ij,ij->j", known, known)
        for index, name in enumerate(self.names):
            if (bounds := self.edges.get(name)) is not None:
                column = values[~missing[:, index], index]
                places = cast(NDArray[np.intp], np.searchsorted(bounds, column, side="left"))
                self.buckets[name] += np.bincount(places, minlength=len(bounds) + 1)


class Statistics:
    """Statistics of the inputs and outputs of one model."""

    def __init__(
        self,
        signature: Signature,
        outputs: Sequence[str],
        quantiles: Mapping[str, Sequence[float]],
        prediction_quantiles: Sequence[float],
    ) -> None:
        names = signature.names if 0 < len(signature.names) <= _MOST_FEATURES else (signature.input,)
        self.features = Moments(names, quantiles)
        self.outputs: dict[str, Moments] = {}
        self.classes: dict[str, Counter[str]] = {}
        self._output_names = tuple(outputs)
        self._prediction_quantiles = prediction_quantiles
        self._waiting: list[tuple[Array, Sequence[Array]]] = []
        self._rows = 0

    def add(self, array: Array, outputs: Sequence[Array]) -> None:
        """Take note of predicted rows; they are summed up later, at the latest when ``settle`` is called."""
        self._waiting.append((array, outputs))
        self._rows += len(array)
        if self._rows >= _BLOCK_ROWS:
            self.settle()

    def settle(self) -> None:
        """Sum up everything that was added."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if not waiting:
            return
        arrays = [_matrix(array, len(self.features.names)) for array, _ in waiting]
        self.features.add(np.concatenate(arrays))
        for index, name in enumerate(self._output_names):
            self._add_output(name, [outputs[index] for _, outputs in waiting], primary=index == 0)

    def _add_output(self, name: str, parts: Sequence[Array], primary: bool) -> None:
        values = np.concatenate([part.reshape(len(part), -1) for part in parts])
        if values.dtype.kind != "f":
            counter = self.classes.setdefault(name, Counter())
            found, counts = np.unique(values.astype(str), return_counts=True)
            for label, count in zip(found.tolist(), counts.tolist(), strict=True):
                counter[label if label in counter or len(counter) < _MOST_CLASSES else OTHER] += count
            return
        moments = self.outputs.get(name)
        if moments is None:
            width = values.shape[1]
            names = [name] if width == 1 or width > _MOST_CLASSES else [f"{name}[{i}]" for i in range(width)]
            edges = {name: self._prediction_quantiles} if primary else {}
            moments = self.outputs[name] = Moments(names, edges)
        moments.add(_matrix(values, len(moments.names)))


def _matrix(array: Array, width: int) -> Floats:
    """Return the array as doubles with ``width`` columns; what is no number counts as 0, or NaN when
    missing.
    """
    if array.dtype.kind == "O":
        array = np.vectorize(_number, otypes=[np.float64])(array)
    return array.astype(np.float64, copy=False).reshape(-1, width)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    return 0.0 if isinstance(value, str) else float(value)
