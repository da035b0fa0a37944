"""What a model takes: the check of a request's rows against the signature, and their conversion to an
array.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rows = list[Any]

# Beyond this a whole number is not exact as a double.
_EXACT = 2**53
_MOST_NAMES = 10
_KINDS = {
    "f": "a number",
    "i": "a whole number",
    "u": "a whole number",
    "b": "true or false",
    "O": "a string",
}


class InputError(Exception):
    """A request that does not fit the model's signature. The message names the field and what is expected."""


@dataclass(frozen=True)
class Column:
    """A named input. ``dtype`` is numpy's; object stands for text."""

    name: str
    dtype: np.dtype[Any]
    type: str
    optional: bool = False


@dataclass(frozen=True)
class Signature:
    """The input of a model: a tensor, or named columns in their order.

    ``shape`` has -1 where any size goes; its first entry is the rows. ``dtype`` is the type of the array that
    the model gets. ``names`` label the features of a matrix (column names, or "0", "1", … for an unnamed
    tensor). ``declared`` is the type to tell callers where the model's own differs: a graph in 32 bits takes
    doubles too. ``exact``: each column must reach the model as what it is, however large; else the type of
    the array is the model's own, and says how exact a number is.
    """

    input: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    columns: tuple[Column, ...] = ()
    names: tuple[str, ...] = ()
    declared: np.dtype[Any] | None = None
    exact: bool = False
    kinds: frozenset[str] = field(init=False, repr=False, compare=False)
    """numpy's letters for the kinds of number (or text) that are taken"""
    _whole: Array | None = field(init=False, repr=False, compare=False)
    _low: Array = field(init=False, repr=False, compare=False)
    _high: Array = field(init=False, repr=False, compare=False)
    _simple: bool = field(init=False, repr=False, compare=False)
    _wide: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """Columns of whole numbers that may be too large for the doubles they travel in"""

    def __post_init__(self) -> None:
        whole = [index for index, column in enumerate(self.columns) if column.dtype.kind in "iu"]
        kinds = [self.columns[index].dtype for index in whole]
        if not self.columns and self.dtype.kind in "iu":
            kinds = [self.dtype]
        object.__setattr__(self, "_whole", np.array(whole, dtype=np.intp) if kinds else None)
        # The highest uint64 does not fit; numbers beyond int64 are left to the careful way.
        most = np.iinfo(np.int64).max
        object.__setattr__(self, "_low", np.array([np.iinfo(kind).min for kind in kinds], np.int64))
        object.__setattr__(
            self, "_high", np.array([min(np.iinfo(kind).max, most) for kind in kinds], np.int64)
        )
        wide = [index for index in whole if self.columns[index].dtype.itemsize == 8]
        object.__setattr__(self, "_wide", tuple(wide) if self.exact and self.dtype.kind == "f" else ())
        letters = frozenset(column.dtype.kind for column in self.columns) or frozenset(self.dtype.kind)
        object.__setattr__(self, "kinds", letters)
        object.__setattr__(self, "_simple", letters <= set("fiu"))
        if not self.names and len(self.shape) == 2 and self.shape[1] > 0:
            object.__setattr__(self, "names", tuple(map(str, range(self.shape[1]))))

    def fast(self, rows: Rows) -> Array | None:
        """Return many rows as one array, or None when they must be looked at one by one.

        The caller has made sure that no JSON ``true`` or ``false`` is among them: numpy would take it for 1
        or 0.
        """
        if not self._simple:
            return None
        try:
            raw = np.array(rows)
        except (ValueError, TypeError, OverflowError):
            return None
        shape = raw.shape
        if len(shape) != len(self.shape) or raw.dtype.kind not in "fiu":
            return None
        if shape[1:] != self.shape[1:] and not self._fits(shape):
            return None
        if raw.dtype.kind == "f" and not np.isfinite(raw).all():
            return None
        if self._whole is not None and not self._are_whole(raw[:, self._whole] if self.columns else raw):
            return None
        if raw.dtype == self.dtype:
            return raw
        if self._wide and raw.dtype.kind != "f" and not _small(raw[:, self._wide]):
            return None
        with np.errstate(over="ignore"):
            array = raw.astype(self.dtype)
        if self.dtype.itemsize < 8 and self.dtype.kind == "f" and not np.isfinite(array).all():
            return None
        return array

    def convert(self, rows: object, where: str) -> Array:
        """Return the rows as an array, or raise ``InputError`` naming the first field below ``where`` that is
        wrong.
        """
        if not isinstance(rows, list):
            raise InputError(f"{where}: expected {self.expected()}, got {_kind(rows)}")
        if not rows:
            raise InputError(f"{where}: expected {self.expected()}, got no rows")
        rows = cast(Rows, rows)
        if self.columns:
            rows = [self._in_order(row, f"{where}[{index}]") for index, row in enumerate(rows)]
        sizes = list(self.shape)
        sizes[0] = len(rows)
        flat: list[Any] = []
        for index, row in enumerate(rows):
            self._walk(row, 1, sizes, f"{where}[{index}]", flat, index=-1)
        # Beside doubles a whole number stays exact only as Python's own.
        width = len(self.columns)
        wide = [at for at in self._wide if not self.columns[at].optional]
        large = any(not -_EXACT < value < _EXACT for at in wide for value in flat[at::width])
        return np.array(flat, dtype=np.object_ if large else self.dtype).reshape(sizes)

    def expected(self) -> str:
        """Return the accepted shape and type in words."""
        if self.columns:
            kinds = sorted({column.type for column in self.columns})
            count = len(self.columns)
            return f"rows of {count} columns (shape [-1, {count}], type {' or '.join(kinds)})"
        return f"shape {list(self.shape)} of type {(self.declared or self.dtype).name}"

    def listed(self) -> str:
        """Return the names of the columns in words."""
        names = [repr(column.name) for column in self.columns[:_MOST_NAMES]]
        more = f", … ({len(self.columns)} in all)" if len(self.columns) > _MOST_NAMES else ""
        return f"the model's columns are {', '.join(names)}{more}"

    def _fits(self, shape: Sequence[int]) -> bool:
        return all(want in (-1, got) for want, got in zip(self.shape[1:], shape[1:], strict=True))

    def _are_whole(self, part: Array) -> bool:
        """Return whether the values of the whole-numbered columns are whole and in their range."""
        if part.dtype.kind == "f" and ((part != np.trunc(part)).any() or (np.abs(part) >= _EXACT).any()):
            return False
        return not (part < self._low).any() and not (part > self._high).any()

    def _in_order(self, row: object, where: str) -> object:
        """Return a row given as an object with column names as a list in the order of the columns."""
        if not isinstance(row, dict):
            return row
        values = cast(dict[str, Any], row)
        known = {column.name for column in self.columns}
        if unknown := sorted(values.keys() - known):
            raise InputError(f"{where}: unknown column {unknown[0]!r}; {self.listed()}")
        for column in self.columns:
            if column.name not in values and not column.optional:
                raise InputError(f"{where}: column {column.name!r} ({column.type}) is missing")
        return [values.get(column.name) for column in self.columns]

    def _walk(
        self, value: object, depth: int, sizes: list[int], where: str, flat: list[Any], index: int
    ) -> None:
        if depth == len(sizes):
            flat.append(self._element(value, self.columns[index] if self.columns else None, where))
            return
        if not isinstance(value, list):
            hint = (
                " (a single row goes into a list of its own)"
                if isinstance(value, (int, float)) and depth == 1
                else ""
            )
            raise InputError(
                f"{where}: expected a list, for {self.expected()}; got {_kind(cast(object, value))}{hint}"
            )
        items = cast(Rows, value)
        if sizes[depth] == -1:
            sizes[depth] = len(items)
        if len(items) != sizes[depth]:
            raise InputError(
                f"{where}: expected {sizes[depth]} values, for {self.expected()}; got {len(items)}"
            )
        for position, item in enumerate(items):
            self._walk(item, depth + 1, sizes, f"{where}[{position}]", flat, index=position)

    def _element(self, value: object, column: Column | None, where: str) -> Any:
        dtype = column.dtype if column else self.dtype
        name = f"{where} ({column.name})" if column else where
        wanted = f"expected {_KINDS.get(dtype.kind, 'a value')} ({column.type if column else dtype.name})"
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if column is not None and column.optional and self.dtype.kind in "fO":
                return float("nan") if dtype.kind != "O" else None
            nan = "NaN: only a column that the signature has as optional may be missing"
            raise InputError(f"{name}: {wanted}, got {'null' if value is None else nan}")
        if dtype.kind == "b":
            if isinstance(value, bool):
                return value
        elif dtype.kind == "O":
            if isinstance(value, str):
                return value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            optional = column is not None and column.optional
            return self._numeric(value, dtype, f"{name}: {wanted}", optional)
        raise InputError(f"{name}: {wanted}, got {_kind(value)}")

    def _numeric(self, value: float, dtype: np.dtype[Any], problem: str, optional: bool) -> float:
        if not math.isfinite(value):
            raise InputError(f"{problem}, got {value}: only finite numbers are accepted")
        if dtype.kind == "f":
            carrier = self.dtype if self.dtype.kind == "f" else dtype
            if abs(value) > float(np.finfo(carrier).max):
                raise InputError(f"{problem}, got {value}: too large for {carrier.name}")
            return value
        if value != int(value):
            raise InputError(f"{problem}, got {value}")
        limits = np.iinfo(dtype)
        if not limits.min <= value <= limits.max or (isinstance(value, float) and abs(value) >= _EXACT):
            raise InputError(f"{problem}, got {value}: out of range for {dtype.name}")
        if optional and self.exact and not -_EXACT < value < _EXACT:
            # With missing values beside them, pandas has whole numbers as doubles.
            raise InputError(f"{problem}, got {value}: too large for a column that may be missing")
        return int(value)


def _small(part: Array) -> bool:
    return not ((part <= -_EXACT) | (part >= _EXACT)).any()


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    if isinstance(value, list):
        return f"a list of {len(cast(Rows, value))}"
    if isinstance(value, dict):
        return "an object"
    return f"the number {value}"
