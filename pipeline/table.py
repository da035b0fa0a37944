"""Rows of data for a model: read from a file, and checked as the server checks a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.signature import Column, InputError, Signature

_MOST_ROWS = 100_000
"""Of more rows, as many are taken, evenly spaced: more change no decile that matters."""
_BLOCK_ROWS = 4096
_EMPTY = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")
"""What a CSV file has where a number is missing."""


class DataError(Exception):
    """Data that doesn't fit the model. The message is for the user."""


def read(path: Path, signature: Signature, without: Sequence[str] = ()) -> Any:
    """Read a CSV or Parquet file as a pandas DataFrame, without the columns ``without``.

    In CSV, a column that the model takes as text is text, whatever its values look like. Raises DataError.
    """
    pandas: Any = import_module("pandas")

    try:
        if path.suffix == ".csv":
            frame: Any = _csv(path, {column.name for column in signature.columns if _is_text(column)})
        elif path.suffix == ".parquet":
            frame = pandas.read_parquet(path)
        else:
            raise DataError(f"{path}: expected a file whose name ends in .csv or .parquet")
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except pandas.errors.EmptyDataError:
        raise DataError(f"{path} is empty; expected a line with the names of the columns, and rows") from None
    except (OSError, ValueError, ImportError) as error:  # pandas' and Arrow's own errors are ValueErrors
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(f"{path} can't be read as {path.suffix[1:]}: {reason}") from None
    for name in without:
        if name not in frame.columns:
            raise DataError(f"{path} has no column {name!r} to leave out; it has {_names(frame.columns)}")
    return frame.drop(columns=list(without))


def checked(data: Any, signature: Signature, source: str) -> tuple[list[Any], NDArray[np.float64]]:
    """Return data in blocks as the model takes them, and as numbers, a row each: text is 0 and a missing
    value NaN, as in the server's statistics.

    ``data`` is a pandas DataFrame or a numpy array. Where the model's columns have names, a table's columns
    are found by theirs; else they are taken in their order. Raises DataError, which names the column.
    """
    pandas: Any = import_module("pandas")

    if isinstance(data, pandas.DataFrame) and signature.columns:
        data = _in_order(data, signature.columns, source)
    if not len(data):
        raise DataError(f"{source} has no rows")
    index = np.linspace(0, len(data) - 1, min(len(data), _MOST_ROWS)).astype(np.intp)
    if isinstance(data, pandas.DataFrame):
        frame: Any = data.iloc[index].astype(object)
        rows: Any = frame.where(frame.notna(), None).to_numpy().tolist()
    else:
        rows = np.asarray(data)[index].tolist()
    blocks: list[Any] = []
    for start in range(0, len(rows), _BLOCK_ROWS):
        try:
            blocks.append(signature.convert(rows[start : start + _BLOCK_ROWS], source))
        except InputError as error:
            raise DataError(_by_row(str(error), source, index[start:])) from None
    numbers = np.vectorize(_number, otypes=[np.float64])(np.array(rows, dtype=object))
    # The server counts what its model gets, which may be 32 bits: 0.1 as a double is below that.
    if signature.dtype.kind == "f":
        numbers = numbers.astype(signature.dtype).astype(np.float64)
    return blocks, numbers.reshape(len(index), -1)


def _csv(path: Path, text: set[str]) -> Any:
    pandas: Any = import_module("pandas")

    header = [str(name) for name in pandas.read_csv(path, nrows=0).columns]
    frame: Any = pandas.read_csv(
        path,
        dtype={name: str for name in header if name in text},
        keep_default_na=False,
        na_values={name: [""] if name in text else list(_EMPTY) for name in header},
    )
    for name in header:
        # One value that is no number makes text of its whole column; it alone is to be named.
        if name not in text and not pandas.api.types.is_bool_dtype(frame[name]):
            numbers: Any = pandas.to_numeric(frame[name], errors="coerce")
            frame[name] = numbers if numbers.notna().all() else numbers.astype(object).fillna(frame[name])
    return frame


def _in_order(frame: Any, columns: Sequence[Column], source: str) -> Any:
    """Return the model's columns of a table in their order; an optional one may be absent."""
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    given = list(frame.columns)
    names = [column.name for column in columns]
    if twice := [name for name in given if given.count(name) > 1]:
        raise DataError(f"{source} has the column {twice[0]!r} more than once")
    others = [name for name in given if name not in names]
    missing = [column.name for column in columns if column.name not in given and not column.optional]
    if missing:
        near = get_close_matches(missing[0], others, n=1)
        meant = f" Is {missing[0]!r} the one that it calls {near[0]!r}?" if near else ""
        raise DataError(f"{source} lacks {_names(missing)}, which the model takes.{meant}")
    if others:
        raise DataError(
            f"{source} has {_names(others)}, which the model doesn't take: leave that out"
            " (python -m pipeline reference … --without COLUMN)"
        )
    return frame.reindex(columns=names)


def _by_row(message: str, source: str, index: NDArray[np.intp]) -> str:
    """Name the row of the data, counted from 1, where a message of the server has its place in a request."""
    found = re.match(rf"{re.escape(source)}\[(\d+)\](?:\[\d+\])*", message)
    return f"{source}, row {index[int(found[1])] + 1}{message[found.end() :]}" if found else message


def _names(names: Sequence[Any]) -> str:
    quoted = [repr(str(name)) for name in names]
    what = "the column " if len(quoted) == 1 else "the columns "
    return what + ", ".join(quoted[:10]) + (f" and {len(quoted) - 10} more" if len(quoted) > 10 else "")


def _is_text(column: Column) -> bool:
    return column.dtype.kind == "O"


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    return 0.0 if isinstance(value, str) else float(value)
