"""Between the protocol's messages and plain values, and the paths at which two values differ."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from provider.resource import UNKNOWN, Diff, changed_paths, top, value_at
from provider.values import diff_response, from_struct, to_struct

KEYS = st.text(max_size=6).filter(lambda key: not key.startswith("__"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
PROPERTIES = st.dictionaries(KEYS, VALUES, max_size=4)


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if value in (float("inf"), float("-inf")) else value


@given(PROPERTIES)
def test_values_come_back_as_they_went(properties: dict[str, Any]) -> None:
    back = from_struct(to_struct(properties))
    assert back == finite(properties)
    assert changed_paths(back, finite(properties)) == []


def test_whole_numbers_are_ints_again_and_not_a_number_is_nothing() -> None:
    back = from_struct(to_struct({"n": 3, "x": 2.5, "y": [float("nan"), float("inf")], "b": True}))
    assert back == {"n": 3, "x": 2.5, "y": [None, None], "b": True}
    assert isinstance(back["n"], int) and isinstance(back["b"], bool)


def test_unknowns_keep_their_place_and_equal_nothing_else() -> None:
    struct = to_struct({"backends": [{"addresses": [UNKNOWN]}]})
    assert struct["backends"][0]["addresses"][0] == rpc.UNKNOWN
    back = from_struct(struct)
    assert back["backends"][0]["addresses"][0] is UNKNOWN
    assert changed_paths({"a": "127.0.0.1:1"}, {"a": UNKNOWN}) == ["a"]
    assert repr(UNKNOWN) == "<known after apply>"


def test_the_engines_own_keys_are_not_properties() -> None:
    assert from_struct(to_struct({"__defaults": [], "inner": {"__provider": 1, "a": 2}})) == {
        "inner": {"a": 2}
    }


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert changed_paths(value, json.loads(json.dumps(value))) == []


@given(PROPERTIES, PROPERTIES)
def test_a_path_leads_to_what_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    paths = changed_paths(old, new)
    missing_is_none = {**dict.fromkeys(new), **old}
    if {**missing_is_none} != {**dict.fromkeys(old), **new}:
        assert paths
    for path in paths:
        assert value_at(old, path) != value_at(new, path) or {
            type(value_at(old, path)),
            type(value_at(new, path)),
        } >= {bool}
    assert len(paths) == len(set(paths))
    assert {top(p) for p in paths if re.match(r"[A-Za-z]", p)} <= old.keys() | new.keys()


def test_paths_are_in_pulumis_notation() -> None:
    old = {"backends": [{"weight": 90}, {"weight": 10}], "files": {"a.yml": "x"}, "same": 1}
    new = {"backends": [{"weight": 50}, {"weight": 10}, {"weight": 40}], "files": {'b"\\': "y"}, "same": 1}
    assert changed_paths(old, new) == [
        "backends[0].weight",
        "backends[2]",
        'files["a.yml"]',
        'files["b\\"\\\\"]',
    ]
    assert value_at(new, "backends[0].weight") == 50
    assert value_at(old, "backends[2]") is None
    assert value_at(old, 'files["a.yml"]') == "x"
    assert value_at(new, 'files["b\\"\\\\"]') == "y"
    assert value_at(old, "same.deeper") is None
    assert [top(p) for p in changed_paths(old, new)] == ["backends", "backends", "files", "files"]


def test_true_is_not_one() -> None:
    assert changed_paths({"a": 1}, {"a": True}) == ["a"]
    assert changed_paths({"a": True}, {"a": True}) == []


@pytest.mark.parametrize("replaces", [False, True])
def test_a_preview_says_added_deleted_or_updated(replaces: bool) -> None:
    kinds = provider_pb2.PropertyDiff
    old = {"backends": [{"weight": 100}], "files": {"a.yml": "x"}, "address": "127.0.0.1:1"}
    new = {"backends": [{"weight": 90}, {"weight": 10}], "files": {}}
    paths = ["backends[0].weight", "backends[1]", 'files["a.yml"]', "address"]
    response = diff_response(Diff(dict.fromkeys(paths, replaces), delete_before_replace=replaces), old, new)
    found = {path: (d.kind, d.inputDiff) for path, d in response.detailedDiff.items()}
    update, add, delete = (
        (kinds.UPDATE_REPLACE, kinds.ADD_REPLACE, kinds.DELETE_REPLACE)
        if replaces
        else (kinds.UPDATE, kinds.ADD, kinds.DELETE)
    )
    assert found == {
        "backends[0].weight": (update, True),
        "backends[1]": (add, True),
        'files["a.yml"]': (delete, True),
        "address": (update, False),
    }
    assert list(response.replaces) == (paths if replaces else [])
    assert list(response.diffs) == ["address", "backends", "files"]
    assert response.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert response.hasDetailedDiff
    assert response.deleteBeforeReplace is replaces


def test_no_change_is_said_as_such() -> None:
    response = diff_response(Diff(), {"a": 1}, {"a": 1})
    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert not response.detailedDiff and not response.diffs
