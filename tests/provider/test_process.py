"""What a process decides without starting one: names, changes, ports, scripts, checks."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider import ports
from provider.files import make_folder, tail, write_file
from provider.process import Process, input_changes, new_id, outputs, source_digest
from provider.program import script
from provider.resource import UNKNOWN, Diff, ProviderError
from tests.ports import free_port
from tests.provider.conftest import Told


def inputs(**more: Any) -> dict[str, Any]:
    return {
        "folder": "/run",
        "command": [sys.executable, "-m", "serving", "--port", "{port}"],
        "environment": {"A": "1"},
        "port": 0,
        "ready": "/ready",
        "files": {"a.yml": "x"},
        "seeds": {"s.json": "{}"},
        "source": None,
        "sourceDigest": None,
        "scrape": {"job": "models"},
        "metricsPath": "/metrics",
        "stopSeconds": 30,
        "readySeconds": 60,
        **more,
    }


CHANGES: dict[str, Any] = {
    "command": [sys.executable, "-m", "serving", "--port", "{port}", "--more"],
    "environment": {"A": "2"},
    "ready": "/other",
    "files": {"a.yml": "y"},
    "source": "/code",
    "sourceDigest": "abc",
    "folder": "/elsewhere",
    "seeds": {"s.json": "[]"},
    "scrape": None,
    "metricsPath": "/-/metrics",
    "stopSeconds": 31,
    "readySeconds": 61,
}
PATHS = {
    "command": "command[5]",
    "environment": "environment.A",
    "files": 'files["a.yml"]',
    "seeds": 'seeds["s.json"]',
}
WITHOUT_RESTART = {"seeds", "scrape", "metricsPath", "stopSeconds", "readySeconds"}


@pytest.mark.parametrize("key", CHANGES)
def test_on_a_chosen_port_a_change_is_a_new_process_beside_the_old_one(key: str) -> None:
    state = outputs(inputs(), "p", 20001)
    changed = input_changes(state, inputs(**{key: CHANGES[key]}))
    assert changed == {PATHS.get(key, key): key not in WITHOUT_RESTART}


@pytest.mark.parametrize("key", CHANGES)
def test_on_a_fixed_port_a_change_is_made_in_place(key: str) -> None:
    state = outputs(inputs(port=8080), "p", 8080)
    changed = input_changes(state, inputs(port=8080, **{key: CHANGES[key]}))
    assert changed == {PATHS.get(key, key): key == "folder"}


def test_nothing_changes_by_itself() -> None:
    assert input_changes(outputs(inputs(), "p", 20001), inputs()) == {}
    assert input_changes(outputs(inputs(port=8080), "p", 8080), inputs(port=8080)) == {}


def test_another_fixed_port_is_a_change_in_place_and_another_kind_of_port_is_not() -> None:
    fixed, chosen = outputs(inputs(port=8080), "p", 8080), outputs(inputs(), "p.abcdef", 20001)
    assert input_changes(fixed, inputs(port=8081)) == {"port": False}
    assert input_changes(fixed, inputs()) == {"port": True}
    assert input_changes(chosen, inputs(port=8080)) == {"port": True}


def test_a_move_on_a_fixed_port_ends_the_old_one_first(tmp_path: Path, told: Told) -> None:
    state = outputs(inputs(port=8080, folder=str(tmp_path / "a")), "p", 8080)
    moved = inputs(port=8080, folder=str(tmp_path / "b"))
    assert Process().diff(told.context("p"), "p", state, moved).delete_before_replace
    chosen = outputs(inputs(folder=str(tmp_path / "a")), "p.abcdef", 20001)
    moved = inputs(folder=str(tmp_path / "b"))
    assert not Process().diff(told.context("p"), "p.abcdef", chosen, moved).delete_before_replace


def test_a_preview_knows_what_can_be_known(told: Told) -> None:
    process, context = Process(), told.context("churn-v1-0", preview=True)
    id, fixed = process.create(context, inputs(port=8080))
    assert (id, fixed["address"], fixed["port"], fixed["program"]) == (
        "",
        "127.0.0.1:8080",
        8080,
        "churn-v1-0",
    )
    id, chosen = process.create(context, inputs())
    assert (id, chosen["address"], chosen["port"], chosen["program"]) == ("", UNKNOWN, UNKNOWN, UNKNOWN)
    assert (fixed["chosen"], chosen["chosen"]) == (False, True)


def test_each_creation_has_an_id_of_its_own() -> None:
    ids = {new_id("churn-v1-0") for _ in range(20)}
    assert len(ids) == 20
    for id in ids:
        head, _, digits = id.rpartition(".")
        assert head == "churn-v1-0" and len(digits) == 6 and int(digits, 16) >= 0


def test_new_code_is_a_change_and_what_is_no_code_is_not(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "inner" / "b.py").write_bytes(b"\xff2")
    first = source_digest(str(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    assert source_digest(str(tmp_path)) == first
    (tmp_path / "inner" / "b.py").write_bytes(b"\xff3")
    second = source_digest(str(tmp_path))
    (tmp_path / "inner" / "b.py").rename(tmp_path / "inner" / "c.py")
    assert len({first, second, source_digest(str(tmp_path))}) == 3
    assert source_digest(None) is None


WORDS = st.text(st.characters(exclude_characters="\0{}", exclude_categories=["Cs"]), min_size=1, max_size=12)
PRINT = "import os, sys, json; print(json.dumps([sys.argv[1:], os.environ.get('A'), os.environ.get('B')]))"


def test_any_word_and_variable_reaches_the_program_as_it_is() -> None:
    words = ["a b", "#c", " ;d", '"', "'", "%(here)s", "$HOME", "`x`", "\\", "two\nlines", "é", "*"]
    declared = inputs(
        command=[sys.executable, "-I", "-c", PRINT, *words, "{port}", "--at={folder}/x"],
        environment={"A": "x=1;# 'y' \"%s\"\nz", "B": "$A"},
    )
    text = script(declared, 8080, Path("/run/own folder"))
    done = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True, encoding="utf-8")
    assert json.loads(done.stdout) == [
        [*words, "8080", "--at=/run/own folder/x"],
        "x=1;# 'y' \"%s\"\nz",
        "$A",
    ]


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_a_script_is_one_command(words: list[str]) -> None:
    text = script(inputs(command=words, environment={}), 1, Path("/own"))
    *_, command = text.partition("\nexec ")
    assert shlex.split(command) == words


def check(told: Told, tmp_path: Path, **more: Any) -> tuple[dict[str, Any], list[str]]:
    declared = {"folder": str(tmp_path), "command": [sys.executable], "ready": "/", **more}
    checked = Process().check(told.context("gateway-envoy"), None, declared)
    assert {f.property for f in checked.failures} <= {""}
    return checked.inputs, [f.reason for f in checked.failures]


def test_a_check_adds_defaults_and_leaves_the_rest(told: Told, tmp_path: Path) -> None:
    found, failures = check(told, tmp_path, address=None, scrape=None, readySeconds=5)
    assert failures == []
    assert found == {
        "folder": str(tmp_path),
        "command": [sys.executable],
        "ready": "/",
        "environment": {},
        "port": 0,
        "files": {},
        "seeds": {},
        "source": None,
        "sourceDigest": None,
        "scrape": None,
        "metricsPath": "/metrics",
        "stopSeconds": 30,
        "readySeconds": 5,
    }


def test_a_port_in_use_says_by_whom(told: Told, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        _, (reason,) = check(told, tmp_path, port=port)
        assert reason.startswith(f"port {port} on 127.0.0.1 is in use by ")
        assert "process" in reason
        assert reason.endswith("or choose another port for gateway-envoy (platform.ports)")
    assert check(told, tmp_path, port=port)[1] == []


def test_every_mistake_is_told_at_once(told: Told, tmp_path: Path) -> None:
    _, failures = check(told, tmp_path, command=["no-such-program"], environment={"a-b": "1", "OK_1": "2"})
    assert failures == [
        "no-such-program is missing or not executable; run 'make setup'",
        "environment: 'a-b' is no name of a variable",
    ]


def test_a_command_that_is_not_known_yet_is_not_looked_for(told: Told, tmp_path: Path) -> None:
    assert check(told, tmp_path, command=[UNKNOWN])[1] == []


class TestClaims:
    def test_a_program_keeps_its_port_and_none_is_given_twice(self, tmp_path: Path) -> None:
        claims = ports.Claims(tmp_path)
        chosen = {name: claims.choose(name) for name in ("a", "b", "c")}
        assert len(set(chosen.values())) == 3
        assert {name: claims.choose(name) for name in chosen} == chosen
        assert {name: ports.Claims(tmp_path).of(name) for name in chosen} == chosen
        assert all(port in ports.CHOSEN for port in chosen.values())

    def test_a_port_that_another_program_took_is_given_up(self, tmp_path: Path) -> None:
        claims = ports.Claims(tmp_path)
        first = claims.choose("a")
        with socket.socket() as other:
            other.bind(("127.0.0.1", first))
            other.listen()
            second = claims.choose("a")
        assert second != first and claims.of("a") == second

    def test_a_port_kept_for_a_program_that_is_down_is_not_given_away(self, tmp_path: Path) -> None:
        claims = ports.Claims(tmp_path)
        first = claims.choose("a")
        claims.release("a")
        claims.hold("fixed", first)
        assert claims.choose("a") != first
        claims.hold("other", first)
        assert claims.of("fixed") is None

    def test_a_released_port_is_free_again(self, tmp_path: Path) -> None:
        claims = ports.Claims(tmp_path)
        first = claims.choose("a")
        claims.release("a")
        claims.release("never")
        assert claims.of("a") is None
        assert claims.choose("a") == first

    def test_two_run_folders_choose_different_ports_though_nothing_listens_yet(self, tmp_path: Path) -> None:
        machine = ports.Machine(tmp_path / "machine")
        one, other = (tmp_path / name for name in ("one", "other"))
        one.mkdir()
        other.mkdir()
        first = ports.Claims(one, machine).choose("a")
        assert ports.Claims(other, machine).choose("a") != first
        (other / "ports.json").unlink()
        ports.Claims(one, machine).release("a")
        assert ports.Claims(other, machine).choose("a") == first, "what is given back is free for others"

    def test_where_nothing_can_be_noted_a_port_is_chosen_all_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        machine = ports.Machine(tmp_path / "file" / "folder")
        assert ports.Claims(tmp_path, machine).choose("a") in ports.CHOSEN

    def test_programs_of_a_resource_are_those_with_its_name_and_a_digest(self, tmp_path: Path) -> None:
        claims = ports.Claims(tmp_path)
        for name in (
            "m-v1-0.abcdef",
            "m-v1-0.012345",
            "m-v1-01.abcdef",
            "m-v1-0",
            "m-v1-0.abcdefg",
            "xm-v1-0.abcdef",
        ):
            claims.choose(name)
        assert sorted(claims.programs("m-v1-0")) == ["m-v1-0.012345", "m-v1-0.abcdef"]
        assert claims.programs("mxv1-0") == []

    @pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
    def test_a_damaged_file_is_begun_anew(self, tmp_path: Path, text: str) -> None:
        claims = ports.Claims(tmp_path)
        first = claims.choose("a")
        (tmp_path / "ports.json").write_text(text)
        assert claims.of("a") is None
        assert claims.choose("a") == first

    def test_none_left_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ports, "CHOSEN", range(20000, 20002))
        claims = ports.Claims(tmp_path)
        claims.hold("a", 20000)
        claims.hold("b", 20001)
        with pytest.raises(ProviderError, match="no port is free between 20000 and 20001"):
            claims.choose("c")


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (204, True), (199, False), (300, False), (503, False)]
)
def test_answers_means_2xx_on_the_path(status: int, well: bool) -> None:
    asked: list[bytes] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(1000).splitlines()[0])
                connection.sendall(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        assert ports.answers(server.getsockname()[1], "/v2/ready") is well
        thread.join()
    assert asked == [b"GET /v2/ready HTTP/1.1"]


def test_nobody_answers_on_a_free_port() -> None:
    port = free_port()
    assert not ports.answers(port, "/")
    assert ports.free(port)
    assert ports.holder(port) is None
    assert ports.in_use(port, "x").startswith(
        f"port {port} on 127.0.0.1 is in use by another program; stop it"
    )


def test_the_holder_of_a_port_is_who_listens_on_it() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        assert ports.holder(server.getsockname()[1]) is None, "it doesn't listen yet"
        server.listen()
        client.connect(server.getsockname())
        assert ports.holder(server.getsockname()[1]) == os.getpid()
        assert ports.holder(client.getsockname()[1]) is None
        assert not ports.free(server.getsockname()[1])


def test_a_port_in_use_by_what_runs_for_the_process_itself_is_its_own(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr(
            "provider.process.marked", lambda pid, folder: (pid, folder) == (os.getpid(), tmp_path)
        )
        assert len(check(told, tmp_path, port=port)[1]) == 1, "it runs for another process of the folder"
        ports.Claims(tmp_path).hold("gateway-envoy", port)
        assert check(told, tmp_path, port=port)[1] == []
        monkeypatch.setattr("provider.process.marked", lambda pid, folder: False)
        assert len(check(told, tmp_path, port=port)[1]) == 1


class Fake:
    """A program as the process resource sees it, and what it is asked to do."""

    made: ClassVar[list[Fake]] = []
    on_disk: ClassVar[dict[str, str]] = {"a.yml": "x"}
    wrong: ClassVar[str] = ""
    moves = hung = False
    up = exists = True
    noted: ClassVar[str | None] = None
    port = 20001

    def __init__(self, name: str, inputs: dict[str, Any]) -> None:
        self.name, self.inputs, self.done = name, inputs, list[str]()
        Fake.made.append(self)

    def files(self) -> dict[str, str]:
        return self.on_disk

    def trouble(self) -> str:
        return self.wrong

    def must_move(self) -> bool:
        return self.moves

    def running(self) -> bool:
        return self.up

    def hangs(self) -> bool:
        return self.hung

    def identity(self) -> str | None:
        return self.noted

    def start(self, identity: str) -> int:
        self.done.append("start")
        return self.port

    def await_ready(self, port: int) -> None:
        self.done.append(f"await {port}")

    def remove(self) -> None:
        self.done.append("remove")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Fake]:
    fresh = type("Fresh", (Fake,), {})
    Fake.made = []
    monkeypatch.setattr("provider.process.Program", fresh)
    return fresh


class TestDecisions:
    """What is done about a process, with the program itself faked."""

    def diff(self, told: Told, new: dict[str, Any] | None = None, **state: Any) -> Any:
        old = {**outputs(inputs(), "p.abcdef", 20001), **state}
        return Process().diff(told.context("p"), "p.abcdef", old, inputs() if new is None else new)

    def update(self, told: Told, preview: bool = False, fixed: int = 0, **more: Any) -> tuple[list[str], Any]:
        state = outputs(inputs(port=fixed), "p.abcdef", fixed or 20001)
        new = inputs(port=fixed, **more)
        found = Process().update(told.context("p", preview), "p.abcdef", state, new)
        (program,) = Fake.made
        assert (program.name, program.inputs) == ("p.abcdef", new)
        assert found == outputs(new, "p.abcdef", found["port"])
        return program.done, found["port"]

    def test_a_process_that_is_well_has_no_change(self, told: Told, fake: type[Fake]) -> None:
        assert self.diff(told) == Diff()
        assert (Fake.made[0].name, Fake.made[0].inputs["port"]) == ("p.abcdef", 20001)

    def test_a_changed_input_comes_before_trouble(self, told: Told, fake: type[Fake]) -> None:
        fake.wrong, fake.on_disk = "is down", {}
        assert self.diff(told, inputs(readySeconds=61)) == Diff({"readySeconds": False})

    def test_trouble_is_told_and_repaired_in_place(self, told: Told, fake: type[Fake]) -> None:
        fake.wrong = "is down"
        assert self.diff(told) == Diff({"running": False}, remark="p is down; it will be repaired")
        fake.moves = True
        assert self.diff(told) == Diff(
            {"running": False, "port": False, "address": False},
            remark="p is down; it will be repaired, on another port since 20001 was taken meanwhile",
        )
        assert self.diff(told, inputs(port=8080), chosen=False, port=8080).changes == {"running": False}

    def test_what_a_refresh_found_stopped_and_runs_again_is_noted(self, told: Told, fake: type[Fake]) -> None:
        assert self.diff(told, running=False) == Diff({"running": False}, remark="p is running again")

    def test_files_changed_by_hand_are_named(self, told: Told, fake: type[Fake]) -> None:
        fake.on_disk = {"a.yml": "y"}
        assert self.diff(told) == Diff(
            {'files["a.yml"]': False},
            remark="p: a.yml changed by hand; what was declared will be written again",
        )

    @pytest.mark.parametrize("key", sorted(CHANGES.keys() - {"folder"}))
    def test_an_update_restarts_only_for_what_the_process_sees(
        self, told: Told, fake: type[Fake], key: str
    ) -> None:
        fake.port = 8080
        fake.on_disk = CHANGES["files"] if key == "files" else fake.on_disk
        done, port = self.update(told, fixed=8080, **{key: CHANGES[key]})
        assert done == (["await 8080"] if key in WITHOUT_RESTART else ["start"])
        assert port == 8080

    @pytest.mark.parametrize("trouble", [{"up": False}, {"hung": True}, {"on_disk": {}}])
    def test_an_update_starts_what_is_not_well(
        self, told: Told, fake: type[Fake], trouble: dict[str, Any]
    ) -> None:
        for name, value in trouble.items():
            setattr(fake, name, value)
        fake.port = 20002
        assert self.update(told) == (["start"], 20002)

    def test_an_update_of_what_is_well_waits_for_it(self, told: Told, fake: type[Fake]) -> None:
        assert self.update(told) == (["await 20001"], 20001)

    def test_a_preview_does_nothing_and_knows_the_port_unless_it_moves(
        self, told: Told, fake: type[Fake]
    ) -> None:
        fake.up = False
        assert self.update(told, preview=True) == ([], 20001)
        Fake.made.clear()
        fake.moves = True
        assert self.update(told, preview=True) == ([], UNKNOWN)
        Fake.made.clear()
        assert self.update(told, preview=True, fixed=8080) == ([], 8080)

    def test_a_read_says_what_is_there(self, told: Told, fake: type[Fake]) -> None:
        state = outputs(inputs(), "p.abcdef", 20001)
        assert Process().read(told.context("p"), "p.abcdef", state) == state
        fake.up, fake.on_disk = False, {"a.yml": "y"}
        found = Process().read(told.context("p"), "p.abcdef", state)
        assert found == {**state, "running": False, "files": {"a.yml": "y"}}
        fake.exists = False
        assert Process().read(told.context("p"), "p.abcdef", state) is None

    @pytest.mark.parametrize("fixed", [0, 8080])
    def test_a_creation_and_a_deletion_are_of_the_named_program(
        self, told: Told, fake: type[Fake], tmp_path: Path, fixed: int
    ) -> None:
        declared = inputs(folder=str(tmp_path), port=fixed)
        fake.port = fixed or 20001
        process = Process()
        id, state = process.create(told.context("p"), declared)
        name = "p" if fixed else id
        assert state == outputs(declared, name, fixed or 20001)
        assert [(f.name, f.inputs, f.done) for f in Fake.made] == [(name, declared, ["start"])]
        Fake.made.clear()
        process.delete(told.context("p"), id, state)
        assert [(f.name, f.inputs, f.done) for f in Fake.made] == [(name, state, ["remove"])]

    def test_what_a_later_creation_has_taken_over_is_left_alone(
        self, told: Told, fake: type[Fake], tmp_path: Path
    ) -> None:
        state = outputs(inputs(folder=str(tmp_path), port=8080), "p", 8080)
        fake.noted = "p.abcdef"
        for former in ("p", "p.000000"):
            Process().delete(told.context("p"), former, state)
            assert Process().read(told.context("p"), former, state) is None
        assert [f.done for f in Fake.made if f.done] == []
        Process().delete(told.context("p"), "p.abcdef", state)
        assert Fake.made[-1].done == ["remove"]

    def test_strays_go_when_the_new_one_is_ready_unless_they_are_known_or_have_traffic(
        self, told: Told, fake: type[Fake], tmp_path: Path
    ) -> None:
        declared = inputs(folder=str(tmp_path))
        for program in ("p.000001", "p.000002", "p.000003", "q.000001"):
            ports.Claims(tmp_path).choose(program)
        routes = tmp_path / "processes/gateway/routes"
        routes.mkdir(parents=True)
        address = f"127.0.0.1:{ports.Claims(tmp_path).of('p.000003')}"
        backend = {"version": 1, "weight": 100, "shadow": False, "addresses": [address]}
        (routes / "p.json").write_text(json.dumps({"model": "p", "backends": [backend]}))
        process = Process()
        process.diff(told.context("p"), "p.000002", outputs(declared, "p.000002", 20001), declared)
        Fake.made.clear()
        id, _ = process.create(told.context("p"), declared)
        assert [(f.name, f.done) for f in Fake.made] == [(id, ["start"]), ("p.000001", ["remove"])]


def test_a_file_that_cannot_be_written_is_named_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProviderError, match=r"file/inner can't be written: not a directory"):
        make_folder(tmp_path / "file" / "inner")
    with pytest.raises(ProviderError, match=r"missing/a can't be written: no such file"):
        write_file(tmp_path / "missing" / "a", "y")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ProviderError, match="folder can't be written"):
        write_file(tmp_path / "folder", "y")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_log_ends_in_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == f"(no {log})"
    log.write_text("")
    assert tail(log) == "(empty)"
    log.write_text("\n".join(map(str, range(20))))
    assert tail(log, 2) == "18\n19"


def test_a_private_folder_is_closed_also_where_it_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    make_folder(tmp_path / "run", private=True)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
