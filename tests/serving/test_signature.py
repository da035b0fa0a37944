"""The check of rows: the quick way for many and the careful way for one agree."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.mlmodel import columns
from serving.signature import Column, InputError, Signature

DOUBLES = Signature("input", np.dtype(np.float64), (-1, 3))
SINGLES = Signature("input", np.dtype(np.float32), (-1, 3))
WHOLE = Signature("input", np.dtype(np.int32), (-1, 3))
IMAGES = Signature("input", np.dtype(np.float64), (-1, 2, 3))
OPEN = Signature("input", np.dtype(np.float64), (-1, -1))
MIXED = columns(
    [
        Column("a", np.dtype(np.float64), "double"),
        Column("b", np.dtype(np.int64), "long"),
        Column("c", np.dtype(np.float32), "float", optional=True),
    ]
)
SMALL = columns([Column("a", np.dtype(np.float64), "double"), Column("b", np.dtype(np.int32), "integer")])
ALL = [DOUBLES, SINGLES, WHOLE, IMAGES, OPEN, MIXED, SMALL]

EDGES = st.sampled_from(
    [
        float(s * 2**p + d) if f else s * 2**p + d
        for s in (1, -1)
        for p in (31, 53, 63)
        for d in (-1, 0, 1)
        for f in (0, 1)
    ]
)
NUMBERS = st.one_of(EDGES, st.integers(-(2**70), 2**70), st.floats(), st.integers(-5, 5), st.floats(-5, 5))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), inner, max_size=4)
    ),
    max_leaves=20,
)
TABLES = st.lists(st.lists(NUMBERS, min_size=2, max_size=4), min_size=1, max_size=4)


def has_literals(value: Any) -> bool:
    return b"true" in orjson.dumps(value, default=str) or b"false" in orjson.dumps(value, default=str)


@pytest.mark.parametrize("signature", ALL, ids=range(len(ALL)))
@given(rows=st.one_of(TABLES, st.lists(JSON, max_size=4)))
def test_what_the_quick_way_takes_the_careful_way_takes_alike(signature: Signature, rows: Any) -> None:
    if isinstance(rows, list) and any(_bools(row) for row in rows):
        return  # the caller keeps them from the quick way
    quick = signature.fast(rows) if rows else None
    if quick is None:
        return
    careful = signature.convert(rows, "features")
    assert quick.dtype == careful.dtype == signature.dtype
    assert quick.shape == careful.shape
    assert np.array_equal(quick, careful)


@pytest.mark.parametrize("signature", ALL, ids=range(len(ALL)))
@given(rows=JSON)
def test_anything_is_an_array_or_a_clear_error(signature: Signature, rows: Any) -> None:
    try:
        array = signature.convert(rows, "features")
    except InputError as error:
        assert str(error).startswith("features")
        assert "expected" in str(error) or "column" in str(error)
    else:
        assert array.dtype == signature.dtype
        assert len(array.shape) == len(signature.shape)
        assert all(want in (-1, got) for want, got in zip(signature.shape, array.shape, strict=True))
        if signature is not MIXED:  # which has an optional column
            assert np.isfinite(array).all()


@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1)
)
def test_doubles_arrive_exactly(rows: list[list[float]]) -> None:
    received = orjson.loads(orjson.dumps(rows))
    quick = DOUBLES.fast(received)
    assert quick is not None
    assert quick.tolist() == rows


def _bools(value: Any) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, list):
        return any(map(_bools, value))
    return isinstance(value, dict) and any(map(_bools, value.values()))


@pytest.mark.parametrize(
    ("signature", "rows"),
    [
        (DOUBLES, [[1, 2, 3], [4.5, 5, 6]]),
        (SINGLES, [[1, 2, 3.5]]),
        (WHOLE, [[1, 2, 3.0]]),
        (IMAGES, [[[1, 2, 3], [4, 5, 6]]]),
        (OPEN, [[1, 2, 3, 4, 5]]),
        (MIXED, [[1.5, 2, 3.5], [1, 2, 3]]),
    ],
)
def test_good_rows_take_the_quick_way(signature: Signature, rows: Any) -> None:
    quick = signature.fast(rows)
    assert quick is not None
    assert np.array_equal(quick, np.array(rows, signature.dtype))


@pytest.mark.parametrize(
    ("signature", "rows"),
    [
        (DOUBLES, [[1, 2]]),
        (DOUBLES, [[1, 2, 3], [1, 2]]),
        (DOUBLES, [["1", "2", "3"]]),
        (DOUBLES, [[1, None, 3]]),
        (DOUBLES, [[1, float("inf"), 3]]),
        (DOUBLES, [[1, float("nan"), 3]]),
        (DOUBLES, [1, 2, 3]),
        (DOUBLES, [[[1, 2, 3]]]),
        (SINGLES, [[1, 2, 1e39]]),
        (WHOLE, [[1, 2, 2.5]]),
        (WHOLE, [[1, 2, 2**31]]),
        (WHOLE, [[1, 2, -(2.0**31) - 1]]),
        (WHOLE, [[1, 2, 2**63]]),
        (MIXED, [[1, 2.5, 3]]),
        (MIXED, [[1.5, 2.0**60, 3]]),
        (MIXED, [[1, 2**63, 3]]),
        (MIXED, [[1, 2, 1e300, 4]]),
        (SMALL, [[1.5, 2**31]]),
        (SMALL, [[1, 2**31]]),
        (SMALL, [[1, -(2**31) - 1]]),
    ],
)
def test_bad_rows_do_not_take_the_quick_way(signature: Signature, rows: Any) -> None:
    assert signature.fast(rows) is None
    with pytest.raises(InputError):
        signature.convert(rows, "features")


def test_optional_columns_may_be_missing() -> None:
    array = MIXED.convert([[1, 2, None], {"a": 1, "b": 2}], "features")
    assert np.isnan(array[:, 2]).all()
    with pytest.raises(InputError, match=r"features\[0\]: column 'b' \(long\) is missing"):
        MIXED.convert([{"a": 1}], "features")


def test_open_sizes_are_the_same_in_all_rows() -> None:
    with pytest.raises(InputError, match=r"features\[1\]: expected 2 values"):
        OPEN.convert([[1, 2], [1, 2, 3]], "features")
