"""Values that providers write in several ways, read as what they mean."""

from __future__ import annotations

from typing import Any

import pytest

from policy.rules.values import as_map, is_digest, is_off, is_on, is_world, listed


@pytest.mark.parametrize(
    ("value", "on", "off"),
    [
        (True, True, False),
        ("true", True, False),
        (False, False, True),
        ("false", False, True),
        (None, False, False),
        (1, False, False),
        (0, False, False),
        ("", False, False),
    ],
)
def test_a_flag_may_be_text_and_what_is_absent_is_neither(value: object, on: bool, off: bool) -> None:
    assert (is_on(value), is_off(value)) == (on, off)


@pytest.mark.parametrize(
    ("network", "world"),
    [
        ("0.0.0.0/0", True),
        ("203.0.113.7/0", True),  # whatever the address is
        ("128.0.0.0/1", True),
        ("12.0.0.0/7", True),
        ("10.0.0.0/8", False),
        ("203.0.113.7/32", False),
        ("203.0.113.7", False),
        ("::/0", True),
        ("2000::/15", True),
        ("2001::/16", False),
    ],
)
def test_a_network_is_the_world_when_half_of_the_internet_is_in_it(network: str, world: bool) -> None:
    assert is_world(network) is world


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(ValueError, match="anywhere"):
        is_world("anywhere")


@pytest.mark.parametrize(("value", "items"), [(None, []), ("a", ["a"]), (["a", "b"], ["a", "b"]), ([], [])])
def test_one_or_several_are_a_list(value: Any, items: list[Any]) -> None:
    assert listed(value) == items


@pytest.mark.parametrize(
    ("value", "found"),
    [({"a": 1}, {"a": 1}), ('{"a": 1}', {"a": 1}), ("[1]", {}), ([1], {}), ("", {}), (None, {}), (3, {})],
)
def test_a_map_or_the_text_of_one(value: Any, found: dict[str, Any]) -> None:
    assert as_map(value) == found


def test_an_image_is_named_by_its_whole_digest() -> None:
    assert is_digest(f"registry.example.com/serving@sha256:{'a' * 64}")
    assert not is_digest(f"registry.example.com/serving@sha256:{'a' * 63}")
    assert not is_digest("registry.example.com/serving:1.0")
