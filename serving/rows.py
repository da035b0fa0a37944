"""Rows to try a model with: its input example, and made-up rows that differ from each other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serving import forms
from serving.signature import Array, Column, InputError, Signature

COUNT = 16
"""How many made-up rows there are; of an example no more are taken either."""
# How far made-up numbers are from their example's. Small too: far from its data a model may answer the same.
_STEPS = (0.01, 0.1, 0.5, 1.0)
_SEED = 20261127

Known = Callable[[str], Sequence[Any]]
"""Returns the categories that a model knows for a column, where it says so."""


def of_example(examples: Sequence[Mapping[str, Any]], signature: Signature) -> tuple[Array | None, str]:
    """Return the rows of the input example, or None and why it can't be read by the signature.

    Of the forms in which it was kept the first is taken that can. Without an example both are empty.
    """
    reason = ""
    for example in examples:
        try:
            rows, where = forms.rows(example, signature)
            return signature.convert(rows[:COUNT], where), ""
        except InputError as error:
            reason = reason or str(error)
    return None, reason


def made_up(signature: Signature, base: Array | None, known: Known) -> Array:
    """Return ``COUNT`` rows that differ: around the rows in ``base`` where there are some, else around zero.

    ``known`` are the categories of a column: nothing else may be a value of it.
    """
    random = np.random.default_rng(_SEED)
    if not signature.columns:
        return _tensors(signature, base, random)
    parts = [
        _column(column, None if base is None else base[:, index], known, random)
        for index, column in enumerate(signature.columns)
    ]
    rows = [list(row) for row in zip(*parts, strict=True)]
    return signature.convert(rows, "a made-up row")


def _tensors(signature: Signature, base: Array | None, random: np.random.Generator) -> Array:
    sizes = signature.shape[1:] if base is None else base.shape[1:]
    shape = (COUNT, *(1 if size == -1 else size for size in sizes))
    around = np.zeros(shape) if base is None else np.resize(base, shape).astype(np.float64)
    return _moved(around, signature.dtype, random).astype(signature.dtype)


def _moved(around: Array, dtype: np.dtype[Any], random: np.random.Generator) -> Array:
    """Return numbers near others, each row by its own step; the first row stays as it is."""
    if dtype.kind == "b":
        return random.random(around.shape) < 0.5
    steps = np.resize(np.array(_STEPS), len(around))
    steps[0] = 0.0
    scale: Array = np.maximum(np.abs(around), 1.0) * steps.reshape(-1, *([1] * (around.ndim - 1)))
    moved: Array = around + random.normal(size=around.shape) * scale
    if dtype.kind not in "iu":
        return moved
    limits = np.iinfo(dtype)
    # A count that is never negative in the example isn't made negative: a model may take it for a place.
    low = 0 if (around >= 0).all() else max(limits.min, -(2**31))
    return np.clip(np.rint(moved), max(low, limits.min), min(limits.max, 2**31 - 1))


def _column(
    column: Column, given: Array | None, known: Known, random: np.random.Generator
) -> Sequence[object]:
    values: list[Any] = [] if given is None else given.tolist()
    given_values = [value for value in values if not _missing(value)]
    text = column.dtype.kind == "O"
    listed: list[Any] = [v.item() if isinstance(v, np.generic) else v for v in known(column.name)]
    categories = [value for value in listed if isinstance(value, str) == text and not _missing(value)]
    if text:
        words = list(dict.fromkeys([*given_values, *categories])) or [""]
        return [words[index % len(words)] for index in range(COUNT)]
    if categories and column.dtype.kind in "iuf":
        return [categories[index % len(categories)] for index in range(COUNT)]
    # Whole numbers beyond what a double has exactly stay as they are: an identifier is no quantity.
    if column.dtype.kind in "iu" and any(abs(value) >= 2**53 for value in given_values):
        return [int(given_values[index % len(given_values)]) for index in range(COUNT)]
    around = np.resize(np.array(given_values or [0], np.float64), COUNT)
    return [
        bool(value) if column.dtype.kind == "b" else int(value) if column.dtype.kind in "iu" else value
        for value in _moved(around, column.dtype, random).tolist()
    ]


def _missing(value: object) -> bool:
    return value is None or value != value  # NaN
