"""The judge of a promotion: it sees each way in which callers would have been sent where nobody is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.cluster.api import Event
from tests.cluster.history import BEFORE, outages, weights

_count = itertools.count(1)


def event(kind: str, name: str, type: str = "ADDED", **content: Any) -> Event:
    metadata = {"name": name, "uid": f"{kind} {name}", "resourceVersion": str(next(_count))}
    metadata |= content.pop("metadata", {})
    return Event(type, {"kind": kind, "metadata": metadata, **content})


def up(name: str, servers: int) -> list[Event]:
    labels = {"labels": {"kubernetes.io/service-name": name}}
    endpoints = [{"conditions": {"ready": True}}] * servers
    return [
        event("Deployment", name, status={"availableReplicas": servers}),
        event("Service", name),
        event("EndpointSlice", f"{name}-x", metadata=labels, endpoints=endpoints),
    ]


def route(**split: int) -> Event:
    backends = [{"name": name.replace("_", "-"), "weight": weight} for name, weight in split.items()]
    return event("HTTPRoute", "m", spec={"rules": [{"backendRefs": backends}]})


def test_a_promotion_in_the_right_order_has_no_outage() -> None:
    events = [
        *(*up("m-v1", 8), *up("m-v2", 1), route(m_v1=90, m_v2=10)),
        *(*up("m-v2", 8), route(m_v2=100), event("Deployment", "m-v1", "DELETED")),
    ]
    assert outages("m", 8, events) == []
    assert weights("m", events) == [{"m-v1": 90, "m-v2": 10}, {"m-v2": 100}]


def test_what_was_there_before_is_judged_as_a_whole() -> None:
    there = [event._replace(type=BEFORE) for event in (route(m_v1=100), *up("m-v1", 8))]
    assert outages("m", 8, [*there, event("Service", "m-v2")]) == []
    assert outages("m", 8, [*there[:1], event("Service", "m-v2")]) != []


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([event("Service", "m-v1"), route(m_v1=100)], "m-v1 has 100 % and 0 of 8 servers"),
        ([*up("m-v1", 7), route(m_v1=100)], "7 of 8 servers"),
        ([*up("m-v1", 8), *up("m-v2", 3), route(m_v1=50, m_v2=50)], "m-v2 has 50 % and 3 of 4 servers"),
        ([*up("m-v1", 8), route(m_v1=100, m_v2=0)], "the route names m-v2, which has no Service"),
        ([*up("m-v1", 8), route(m_v1=100), event("Deployment", "m-v1", "DELETED")], "0 of 8 servers"),
        ([*up("m-v1", 8)[:2], route(m_v1=100)], "no ready endpoint"),
    ],
)
def test_each_kind_of_outage_is_seen(events: list[Event], said: str) -> None:
    assert any(said in text for text in outages("m", 8, events))
