"""Between the protocol's messages and plain values. Pure."""

from __future__ import annotations

import math
from typing import Any, cast

from google.protobuf import struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from provider.resource import UNKNOWN, Diff, Properties, top, value_at


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Properties as plain values: whole numbers as int, unknown as UNKNOWN, the engine's keys left out."""
    return {key: _from_value(value) for key, value in struct.fields.items() if not key.startswith("__")}


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """The reverse of from_struct. NaN and infinities, which the engine can't keep, become null."""
    struct = struct_pb2.Struct()
    struct.update(cast(Properties, _to_plain(properties)))
    return struct


def diff_response(diff: Diff, olds: Properties, news: Properties) -> Any:
    """The answer to Diff, with each path marked as added, deleted or updated for the preview."""
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=[path for path, replaces in diff.changes.items() if replaces],
        diffs=sorted({top(path) for path in diff.changes}),
        detailedDiff={
            path: provider_pb2.PropertyDiff(
                kind=_kind(path, olds, news, replaces), inputDiff=top(path) in news
            )
            for path, replaces in diff.changes.items()
        },
        hasDetailedDiff=True,
        deleteBeforeReplace=diff.delete_before_replace,
    )


def _kind(path: str, olds: Properties, news: Properties, replaces: bool) -> Any:
    kinds = provider_pb2.PropertyDiff
    if top(path) in news and value_at(olds, path) is None:
        return kinds.ADD_REPLACE if replaces else kinds.ADD
    if top(path) in news and value_at(news, path) is None:
        return kinds.DELETE_REPLACE if replaces else kinds.DELETE
    return kinds.UPDATE_REPLACE if replaces else kinds.UPDATE


def _from_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return [_from_value(v) for v in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _to_plain(value: object) -> object:
    if value is UNKNOWN:
        return rpc.UNKNOWN
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _to_plain(v) for key, v in cast(Properties, value).items()}
    if isinstance(value, list | tuple):
        return [_to_plain(v) for v in cast("list[object]", value)]
    return value
