"""No input is an empty map or list: an API drops it, and every later plan would add it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.unit import test_aws_golden, test_gcp_golden, test_kubernetes_golden
from tests.unit.aws import PROD as AWS
from tests.unit.aws import amazon
from tests.unit.gcp import PROD as GCP
from tests.unit.gcp import google
from tests.unit.graph import Graph
from tests.unit.kubernetes import kubernetes

KEPT = {
    # An object without a field says which source of a volume it is, or what it chooses: everything.
    "emptyDir",
    "podSelector",
    "namespaceSelector",
}
NO_API = ("delivery:", "pulumi:", "kubernetes:helm.sh/")
"""Components and a chart's values, which no API reads as they are."""


def empty(value: object, path: str = "") -> Iterator[str]:
    """The paths in a value whose map or list is empty."""
    if isinstance(value, dict | list | tuple) and not value:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from empty(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from empty(item, f"{path}[{index}]")


def _kubernetes(case: str) -> Graph:
    models, platform = test_kubernetes_golden.CASES[case]
    return kubernetes(models, **platform)[0]


GRAPHS: dict[str, Callable[[], Graph]] = {
    "kubernetes": lambda: _kubernetes("kubernetes"),
    "keda": lambda: _kubernetes("keda"),
    "aws": lambda: amazon(test_aws_golden.MODELS, AWS)[0],
    "gcp": lambda: google(test_gcp_golden.MODELS, GCP)[0],
}


def test_a_path_of_each_empty_value_is_found() -> None:
    value = {"a": {}, "b": [{"c": []}, {"d": 0, "e": ""}], "f": {"g": [1]}}
    assert list(empty(value)) == [".a", ".b[0].c"]


@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_is_declared_that_an_api_drops(name: str) -> None:
    found = {
        f"{resource.type} {resource.name}{path}"
        for resource in GRAPHS[name]().resources
        if not resource.type.startswith(NO_API)
        for path in empty(resource.inputs)
        if path.rpartition(".")[2] not in KEPT
    }
    assert found == set()
