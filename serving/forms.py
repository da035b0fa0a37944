"""The JSON forms in which rows come, ours and MLflow's four, and which rows of a signature they are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from serving.signature import InputError, Rows, Signature

FORMS = ("features", "instances", "inputs", "dataframe_split", "dataframe_records")
"""The keys of a body that holds rows: our own, and those of MLflow's scoring server."""
_MOST_VALUES = 64
_NEUTRAL: Mapping[str, object] = {"f": 0.0, "i": 0, "u": 0, "b": False, "O": "text"}
_SPLIT = frozenset({"columns", "data", "index"})


def rows(content: object, signature: Signature) -> tuple[Rows, str]:
    """Return the rows of a plain body in the order of the signature, and the path under which they stand.

    Raises ``InputError`` for any key that the model would not get, MLflow's ``params`` included: neither a
    scikit-learn nor an ONNX model takes parameters.
    """
    if not isinstance(content, dict):
        raise InputError(f'the body is no object; expected {{"features": [[…]]}} with {signature.expected()}')
    body = cast(dict[str, Any], content)
    given = [form for form in FORMS if form in body]
    for key, value in body.items():
        if key == "params" and value:
            raise InputError("params: this model takes no parameters; leave them out")
        if key not in FORMS and key != "params":
            raise InputError(f"{key[:60]!r}: no such key; rows come under one of {', '.join(FORMS)}, alone")
    if not given:
        raise InputError(f"features: is missing; expected {signature.expected()}")
    if len(given) > 1:
        raise InputError(f"{given[1]}: rows are given under {given[0]} already; send them once")
    form = given[0]
    value: object = body[form]
    if form == "dataframe_split":
        return _split(value, signature), "dataframe_split.data"
    if form == "inputs" and isinstance(value, dict):
        return _columns(cast(dict[str, Any], value), signature), form
    found = _list(value, form, signature)
    if form == "dataframe_records" or (form == "instances" and isinstance(found[0], dict)):
        return _records(found, form, signature), form
    if form in ("instances", "inputs") and _one_value_a_row(signature) and _scalars(found):
        return [[value] for value in found], form
    return found, form


def example(signature: Signature) -> dict[str, Any] | None:
    """Return a body with one row of neutral values; None where a row has too many to be of help."""
    sizes = [max(size, 1) for size in signature.shape[1:]]
    if math.prod(sizes) > _MOST_VALUES:
        return None
    if signature.columns:
        return {"features": [{column.name: _NEUTRAL[column.dtype.kind] for column in signature.columns}]}
    row: Any = _NEUTRAL[(signature.declared or signature.dtype).kind]
    for size in reversed(sizes):
        row = [row] * size
    return {"features": [row]}


def _list(value: object, where: str, signature: Signature) -> Rows:
    if isinstance(value, list) and value:
        return cast(Rows, value)
    problem = "is missing" if value is None else "is empty" if value == [] else "is no list of rows"
    raise InputError(f"{where}: {problem}; expected {signature.expected()}")


def _one_value_a_row(signature: Signature) -> bool:
    return len(signature.shape) == 2 and signature.shape[1] == 1


def _scalars(values: Sequence[object]) -> bool:
    return not any(isinstance(value, list | dict) for value in values)


def _records(records: Rows, where: str, signature: Signature) -> Rows:
    """Return the rows of objects; an array takes their values in the order in which the first has them."""
    if signature.columns:
        return records
    first: object = records[0]
    names = list(cast(dict[str, Any], first)) if isinstance(first, dict) else []
    rows: Rows = []
    for index, record in enumerate(records):
        if not isinstance(record, dict) or set(cast(dict[str, Any], record)) != set(names):
            raise InputError(f"{where}[{index}]: expected an object with the keys of the first row")
        rows.append([cast(dict[str, Any], record)[name] for name in names])
    return rows


def _split(value: object, signature: Signature) -> Rows:
    """Return the rows of a DataFrame as ``to_dict("split")`` writes it; its index is not used."""
    if not isinstance(value, dict):
        raise InputError('dataframe_split: expected {"columns": […], "data": [[…]]}')
    split = cast(dict[str, Any], value)
    if unknown := sorted(split.keys() - _SPLIT):
        raise InputError(f"dataframe_split: {unknown[0]!r}: no such key; accepted: columns, data and index")
    data = _list(split.get("data"), "dataframe_split.data", signature)
    columns: object = split.get("columns")
    if columns is None or not signature.columns:
        return data
    if not isinstance(columns, list):
        raise InputError("dataframe_split.columns: expected a list of names")
    names = [str(name) for name in cast(list[object], columns)]
    if names == list(signature.names):
        return data
    places = _places(names, "dataframe_split.columns", signature)
    rows: Rows = []
    for index, row in enumerate(data):
        if not isinstance(row, list) or len(cast(Rows, row)) != len(names):
            raise InputError(f"dataframe_split.data[{index}]: expected {len(names)} values, one a column")
        values = cast(Rows, row)
        rows.append([None if place is None else values[place] for place in places])
    return rows


def _columns(value: Mapping[str, Any], signature: Signature) -> Rows:
    """Return the rows of an object with a list (or, for one row, a value) a column."""
    if not signature.columns:
        if list(value) == [signature.input]:
            return _list(value[signature.input], f"inputs.{signature.input}", signature)
        raise InputError(f"inputs: expected a list, or an object with the one tensor {signature.input!r}")
    if value and _scalars(list(value.values())):
        value = {name: [single] for name, single in value.items()}
    places = _places(list(value), "inputs", signature)
    parts = [_list(part, f"inputs.{name}", signature) for name, part in value.items()]
    lengths = sorted({len(part) for part in parts})
    if len(lengths) > 1:
        raise InputError(f"inputs: all columns need the same number of rows, got {lengths}")
    missing: Rows = [None] * lengths[0]
    # Nested as [[1], [2]], as an array with one column is written.
    flat = [_flat(part) for part in parts]
    chosen = [missing if place is None else flat[place] for place in places]
    return [list(row) for row in zip(*chosen, strict=True)]


def _flat(part: Rows) -> Rows:
    if all(isinstance(value, list) and len(cast(Rows, value)) == 1 for value in part):
        return [cast(Rows, value)[0] for value in part]
    return part


def _places(names: Sequence[str], where: str, signature: Signature) -> list[int | None]:
    """Return where each column of the signature stands among ``names``; None for a missing optional one."""
    known = {column.name for column in signature.columns}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"{where}: unknown column {unknown[0]!r:.60}; {signature.listed()}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: column {twice[0]!r} is there twice")
    places: list[int | None] = []
    for column in signature.columns:
        if column.name not in names and not column.optional:
            raise InputError(f"{where}: column {column.name!r} ({column.type}) is missing")
        places.append(names.index(column.name) if column.name in names else None)
    return places
