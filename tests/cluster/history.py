"""All that happened to a model's route and to what it leads to, in the order in which it happened."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from tests.cluster.api import DEPLOYMENT, ROUTE, SERVICE, SLICE, Api, Event, Kind
from tests.waiting import eventually

KINDS = (ROUTE, DEPLOYMENT, SERVICE, SLICE)
BEFORE = "BEFORE"
"""The type of an event that is not one: what was there when the watches began, all of it at once."""
_OF = "kubernetes.io/service-name"


class History:
    """What watches have seen since they began, what was there then included."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._events: list[Event] = []
        self._failed: list[str] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        for kind in KINDS:
            found = self._api.send("GET", self._api.path(kind))
            for item in found["items"]:
                # A list doesn't say the kind of each of its items.
                self._events.append(Event(BEFORE, {"kind": kind.name, **item}))
            since = found["metadata"]["resourceVersion"]
            thread = threading.Thread(target=self._follow, args=(kind, since), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def events(self, gone: Iterable[str]) -> list[Event]:
        """Everything so far, once it has reached what is there now, and the end of the Deployments and
        Services of these names."""
        now = {
            item["metadata"]["uid"]: int(item["metadata"]["resourceVersion"])
            for kind in (ROUTE, DEPLOYMENT, SERVICE)
            for item in self._api.list(kind)
        }
        missing = {(kind, name) for name in gone for kind in (DEPLOYMENT.name, SERVICE.name)}

        def whole() -> list[Event]:
            assert not self._failed, self._failed
            seen = list(self._events)
            last = {e.object["metadata"]["uid"]: e.revision for e in seen}
            ended = {(e.object["kind"], e.object["metadata"]["name"]) for e in seen if e.type == "DELETED"}
            reached = all(last.get(uid, -1) >= revision for uid, revision in now.items())
            return seen if reached and missing <= ended else []

        # An object that was there may have been changed last after one that it belongs to.
        seen = eventually("the watches to have seen it all", whole)
        return sorted(seen, key=lambda event: (event.type != BEFORE, event.revision))

    def _follow(self, kind: Kind, since: str) -> None:
        try:
            for event in self._api.watch(kind, self._stop, since):
                self._events.append(event)
        except Exception as error:
            if not self._stop.is_set():
                self._failed.append(f"{kind.name}: {error!r}")


@contextmanager
def history(api: Api) -> Generator[History]:
    """Watch until the block ends."""
    found = History(api)
    found.begin()
    try:
        yield found
    finally:
        found.end()


def outages(model: str, servers: int, events: Sequence[Event]) -> list[str]:
    """Moments at which callers of a model would have been sent where nobody is, or too few are.

    At no moment may the route name a Service that isn't there. A release with a share has a Deployment with
    that share of ``servers`` available, and a ready endpoint.
    """
    there: dict[str, dict[str, Any]] = {kind.name: {} for kind in KINDS}
    found: list[str] = []
    for event in events:
        kind, name = event.object["kind"], event.object["metadata"]["name"]
        if event.type == "DELETED":
            there[kind].pop(name, None)
        else:
            there[kind][name] = event.object
        if event.type != BEFORE:
            wrong = _wrong(model, servers, there)
            found += [f"{event.revision} {event.type} {kind} {name}: {text}" for text in wrong]
    return found


def weights(model: str, events: Iterable[Event]) -> list[dict[str, int]]:
    """The splits that a model's route has had, one after the other."""
    found: list[dict[str, int]] = []
    for event in events:
        if event.object["kind"] == ROUTE.name and event.object["metadata"]["name"] == model:
            split = split_of(event.object)
            if not found or found[-1] != split:
                found.append(split)
    return found


def _wrong(model: str, servers: int, there: dict[str, dict[str, Any]]) -> Generator[str]:
    route = there[ROUTE.name].get(model)
    for release, weight in split_of(route).items() if route else ():
        if release not in there[SERVICE.name]:
            yield f"the route names {release}, which has no Service"
        if weight == 0:
            continue
        deployment = there[DEPLOYMENT.name].get(release, {})
        available, needed = (
            deployment.get("status", {}).get("availableReplicas", 0),
            -(-servers * weight // 100),
        )
        if available < needed:
            yield f"{release} has {weight} % and {available} of {needed} servers"
        if not _endpoints(release, there[SLICE.name]):
            yield f"{release} has {weight} % and no ready endpoint"


def split_of(route: dict[str, Any]) -> dict[str, int]:
    return {b["name"]: b["weight"] for rule in route["spec"]["rules"] for b in rule["backendRefs"]}


def _endpoints(release: str, slices: dict[str, Any]) -> int:
    mine = [s for s in slices.values() if s["metadata"].get("labels", {}).get(_OF) == release]
    return sum(bool(e["conditions"].get("ready")) for s in mine for e in s.get("endpoints") or [])
