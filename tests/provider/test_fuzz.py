"""Whatever the engine asks of whichever type: an answer or a sentence, and nothing is ended by mistake."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2

from provider.__main__ import KINDS
from provider.plugin import Plugin
from provider.registry import Registered
from provider.release import Release
from provider.resource import UNKNOWN, ProviderError
from provider.values import from_struct, to_struct

INPUTS: dict[str, dict[str, Any]] = {
    "delivery:local:Supervisor": {"folder": "/no/run"},
    "delivery:local:Process": {
        "folder": "/no/run",
        "command": [sys.executable, "{port}"],
        "ready": "/ready",
        "environment": {"A": "1"},
        "port": 0,
        "files": {"a.yml": "x"},
        "seeds": {"s.json": "{}"},
        "source": None,
        "sourceDigest": None,
        "scrape": {"job": "models"},
        "metricsPath": "/metrics",
        "stopSeconds": 30,
        "readySeconds": 60,
    },
    "delivery:local:Route": {
        "folder": "/no/run/processes/gateway",
        "model": "churn",
        "backends": [
            {"version": 1, "weight": 90, "shadow": False, "addresses": ["127.0.0.1:20001"]},
            {"version": 2, "weight": 10, "shadow": False, "addresses": ["127.0.0.1:20002"]},
        ],
    },
    "delivery:gcp:Settled": {"seconds": 0, "of": "key"},
    "delivery:registry:Release": {"model": "churn", "version": 1, "registry": "sqlite:////no/mlflow.db"},
    "delivery:registry:Step": {
        "model": "churn",
        "stable": {"version": 1},
        "canary": {"version": 2, "weight": 50, "shadow": False},
        "applied": {
            "stable": {"version": 1},
            "canary": {"version": 2, "weight": 10, "shadow": False},
            "since": "2026-01-01T00:00:00Z",
            "served": [1],
        },
    },
    "delivery:registry:Rollout": {
        "model": "churn",
        "runtime": "local",
        "stable": {"version": 1},
        "canary": {"version": 2, "weight": 10, "shadow": False},
    },
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "delivery:local:Supervisor": {"running": True},
    "delivery:local:Process": {
        "port": 20001,
        "chosen": True,
        "address": "127.0.0.1:20001",
        "program": "churn.abcdef",
        "running": True,
    },
    "delivery:local:Route": {"inForce": True},
    "delivery:gcp:Settled": {},
    "delivery:registry:Release": {"digest": "sha256:1", "metrics": {}},
    "delivery:registry:Step": {"since": "2026-01-01T00:00:00Z", "served": [1], "judge": "", "settled": False},
    "delivery:registry:Rollout": {
        "since": "2026-01-01T00:00:00Z",
        "served": [1],
        "was": {"stable": {"version": 3}},
    },
}
REQUIRED = {
    "delivery:local:Supervisor": ["folder"],
    "delivery:local:Process": ["folder", "command", "ready"],
    "delivery:local:Route": ["folder", "model", "backends"],
    "delivery:gcp:Settled": ["seconds", "of"],
    "delivery:registry:Release": ["model", "version", "registry"],
    "delivery:registry:Step": ["model", "stable"],
    "delivery:registry:Rollout": ["model", "stable"],
}


class World:
    """Stands for the programs, supervisord and the gateway, and notes what is done to them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self

        class Program:
            exists = True

            def __init__(self, name: str, inputs: dict[str, Any]) -> None:
                self.name = name
                self._files = dict(inputs["files"]) if isinstance(inputs.get("files"), dict) else {}

            def identity(self) -> str | None:
                return None

            def files(self) -> dict[str, str]:
                return self._files

            def trouble(self) -> str:
                return ""

            def must_move(self) -> bool:
                return False

            def running(self) -> bool:
                return True

            def hangs(self) -> bool:
                return False

            def start(self, identity: str) -> int:
                world.done.append("start")
                return 20001

            def await_ready(self, port: int) -> None:
                pass

            def remove(self) -> None:
                world.done.append("end program")

        class Daemon:
            def __init__(self, folder: object) -> None:
                pass

            def alive(self) -> bool:
                return True

            def prove(self, *_: object) -> None:
                pass

            def start(self) -> None:
                world.done.append("start supervisord")

            def stop(self) -> None:
                world.done.append("end supervisord")

        class Gateway:
            def __init__(self, folder: object) -> None:
                pass

            def owner(self, model: str) -> str | None:
                return None

            def trouble(self, route: object) -> str:
                return ""

            def recorded(self, model: str) -> dict[str, Any]:
                return {}

            def put(self, route: object, id: str) -> None:
                world.done.append("route")

            def drop(self, model: str, id: str) -> None:
                world.done.append("end route")

        def lookup(*_: object) -> Registered:
            raise ProviderError("the registry has no such version")

        monkeypatch.setattr("provider.process.Program", Program)
        monkeypatch.setattr("provider.supervisor.Daemon", Daemon)
        monkeypatch.setattr("provider.supervisor.write_file", lambda *_: None)
        monkeypatch.setattr("provider.route.Gateway", Gateway)
        release: Any = KINDS["delivery:registry:Release"]
        monkeypatch.setattr(release, "_inner", Release(lookup))

    def ended(self) -> list[str]:
        return [what for what in self.done if what.startswith("end")]


class Told(Exception):  # noqa: N818
    """What the engine is told instead of an answer."""


class Aborts:
    def abort(self, code: grpc.StatusCode, message: str) -> None:
        raise Told(message)


@dataclass
class Asked:
    """One request of the engine: its method, and what it carries."""

    token: str
    method: str
    state: dict[str, Any]
    inputs: dict[str, Any]
    id: str = "churn.abcdef"
    name: str = "churn"
    preview: bool = False
    failures: list[str] = field(default_factory=list[str])

    def __call__(self) -> Any:
        plugin: Any = Plugin(KINDS, "0.1.0", None)
        urn = f"urn:pulumi:local::project::{self.token}::{self.name}"
        state, inputs = to_struct(self.state), to_struct(self.inputs)
        request: Any
        match self.method:
            case "Check":
                request = provider_pb2.CheckRequest(urn=urn, olds=state, news=inputs)
            case "Diff":
                request = provider_pb2.DiffRequest(urn=urn, id=self.id, olds=state, news=inputs)
            case "Create":
                request = provider_pb2.CreateRequest(urn=urn, properties=inputs, preview=self.preview)
            case "Update":
                request = provider_pb2.UpdateRequest(
                    urn=urn, id=self.id, olds=state, news=inputs, preview=self.preview
                )
            case "Read":
                request = provider_pb2.ReadRequest(urn=urn, id=self.id, properties=state, inputs=inputs)
            case _:
                request = provider_pb2.DeleteRequest(urn=urn, id=self.id, properties=state)
        answer = getattr(plugin, self.method)(request, Aborts())
        if self.method == "Check":
            self.failures = [failure.reason for failure in answer.failures]
        return answer


METHODS = ("Check", "Diff", "Create", "Read", "Update", "Delete")
USES_STATE = ("Diff", "Read", "Update", "Delete")
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=True)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["../../etc", "/", "", "a\0b", "x" * 400, "127.0.0.1:http", "é"])
    | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def _paths(value: object, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in items:
        yield from _paths(inner, (*at, key))


def _changed(base: dict[str, Any], path: tuple[Any, ...], odd: Any, gone: bool) -> dict[str, Any]:
    """The properties with another value, or none, at one path."""
    changed = copy.deepcopy(base)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    if gone:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    return changed


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    token, method = draw(st.sampled_from(sorted(INPUTS))), draw(st.sampled_from(METHODS))
    inputs = copy.deepcopy(INPUTS[token])
    state = {**copy.deepcopy(INPUTS[token]), **copy.deepcopy(OUTPUTS[token])}
    for _ in range(draw(st.integers(1, 2))):
        which = draw(st.sampled_from(["inputs", "state", "foreign", "empty", "names"]))
        odd = draw(ODD)
        if which == "empty":
            if draw(st.booleans()):
                inputs = {}
            else:
                state = {}
        elif which == "foreign":
            key = draw(st.sampled_from(["wieght", "commands", "x y", "é"]))
            inputs, state = {**inputs, key: odd}, {**state, key: odd}
        elif which in ("inputs", "state"):
            base = inputs if which == "inputs" else state
            paths = list(_paths(base))
            if paths:
                base = _changed(base, draw(st.sampled_from(paths)), odd, draw(st.booleans()))
            inputs, state = (base, state) if which == "inputs" else (inputs, base)
    odd_name = st.sampled_from(["churn", "../up", "a b", "é", "x" * 300, "."])
    return Asked(
        token, method, state, inputs, draw(st.sampled_from(["churn.abcdef", "", "../..", "a b"])),
        draw(odd_name), draw(st.booleans()),
    )  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        found = World()
        found.patch(patch)
        yield found


def test_every_type_is_drawn() -> None:
    assert KINDS.keys() == INPUTS.keys() == OUTPUTS.keys()


@settings(max_examples=1500)
@given(request=asked())
@example(Asked("delivery:local:Route", "Diff", INPUTS["delivery:local:Route"], {
    **INPUTS["delivery:local:Route"], "backends": UNKNOWN}))  # fmt: skip
@example(
    Asked("delivery:local:Process", "Check", {}, {**INPUTS["delivery:local:Process"], "command": UNKNOWN})
)
def test_an_answer_or_a_sentence(world: World, request: Asked) -> None:
    world.done.clear()
    try:
        request()
    except Told as told:
        text = str(told)
        assert "a bug in the provider" not in text, text
        assert request.name in text, text
        assert world.done == []
        return
    for reason in request.failures:
        assert "Traceback" not in reason and len(reason) > 10
    if request.method != "Delete":
        assert world.ended() == []


@pytest.mark.parametrize("token", sorted(INPUTS))
@pytest.mark.parametrize("method", METHODS)
def test_what_is_missing_is_named_and_nothing_is_done(world: World, token: str, method: str) -> None:
    whole = {**INPUTS[token], **OUTPUTS[token]}
    for key in REQUIRED[token]:
        world.done.clear()
        broken = {k: v for k, v in whole.items() if k != key}
        inputs = {k: v for k, v in INPUTS[token].items() if k != key}
        request = Asked(token, method, broken if method in USES_STATE else whole, inputs)
        if method == "Check":
            request()
            assert any(reason.startswith(f"{key}: is missing") for reason in request.failures)
        else:
            with pytest.raises(Told, match=rf"{key}: is missing"):
                request()
        assert world.done == []


@pytest.mark.parametrize("token", sorted(INPUTS))
def test_an_import_is_refused_with_what_to_do(world: World, token: str) -> None:
    with pytest.raises(Told, match=r"can't be imported; declare it and run `pulumi up`"):
        Asked(token, "Read", {}, {})()


@pytest.mark.parametrize("token", sorted(INPUTS))
def test_what_is_right_is_answered(world: World, token: str) -> None:
    state = {**INPUTS[token], **OUTPUTS[token]}
    for method in ("Diff", "Create", "Read", "Update", "Delete"):
        Asked(token, method, state, INPUTS[token])()
    request = Asked(token, "Check", {}, INPUTS[token])
    answer = request()
    expected = ["the registry has no such version"] if token.endswith("Release") else []
    assert request.failures == expected and from_struct(answer.inputs)


def test_a_misspelt_property_has_its_near_name(world: World) -> None:
    token = "delivery:local:Process"
    request = Asked(token, "Check", {}, {**INPUTS[token], "commands": ["x"]})
    request()
    assert request.failures == ["commands: is no property of this type; did you mean command"]


def test_a_state_edited_by_hand_says_so_and_how_to_put_it_right(world: World) -> None:
    token = "delivery:local:Process"
    state = {**INPUTS[token], **OUTPUTS[token], "program": "../../elsewhere"}
    world.done.clear()
    with pytest.raises(Told) as told:
        Asked(token, "Delete", state, {})()
    text = str(told.value)
    assert "program: must be at most 128 letters" in text and "Nothing was changed" in text
    assert "pulumi state delete" in text and world.done == []
