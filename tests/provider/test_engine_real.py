"""The provider on the real engine: what a user reads, and what is whole again after a kill."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.daemon import Daemon
from provider.orphans import end_orphans
from tests.ports import free_port
from tests.provider.conftest import SERVER, Gate, Run, get
from tests.provider.project import Project
from tests.provider.test_route_real import Load
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.real
Declared = tuple[str, str, dict[str, Any], list[str]]


class Small(Project):
    """A project with a run folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "project")
        self.run = folder / "run"
        self.supervisor: Declared = ("delivery:local:Supervisor", "supervisor", {"folder": str(self.run)}, [])

    def server(self, name: str, *flags: str, version: int = 1, **more: Any) -> Declared:
        inputs = {
            "folder": str(self.run),
            "command": [sys.executable, "-I", str(SERVER), "{port}", str(version), *flags],
            "ready": "/v2/health/ready",
            "readySeconds": PATIENCE,
            "stopSeconds": 3,
            **more,
        }
        return ("delivery:local:Process", name, inputs, ["supervisor"])

    def programs(self) -> set[str]:
        return {path.stem for path in (self.run / "programs").glob("*.conf")}

    def forget_the_lock(self) -> None:
        for lock in (self.folder / "state/.pulumi/locks").rglob("*.json"):
            lock.unlink()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    project = Small(tmp_path)
    yield project
    Daemon(project.run).stop()
    end_orphans(project.run)


def readable(text: str) -> bool:
    return not any(noise in text for noise in ("rpc error", "Traceback", "code = ", "a bug in the provider"))


def test_failures_are_told_in_the_providers_words_and_leave_the_rest(small: Small) -> None:
    small.declare([small.supervisor, small.server("good", port=free_port(), files={"a.yml": "one"})])
    assert small.up().code == 0
    pid = Daemon(small.run).pid("good")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        small.declare([small.supervisor, small.server("bad", "--fail"), small.server("late", port=taken)])
        ran = small.up()
    assert ran.code != 0 and readable(ran.text), ran.text
    assert f"resource 'late' has a problem: port {taken} on 127.0.0.1 is in use by " in ran.text, ran.text
    small.declare([small.supervisor, small.server("good", "--fail", port=small.state()["good"]["port"])])
    ran = small.up()
    assert ran.code != 0 and readable(ran.text), ran.text
    assert "ends right after its start" in ran.text and "What ran before runs again" in ran.text
    small.declare([small.supervisor, small.server("other", "--fail")])
    ran = small.command("up", "--yes", "--skip-preview", "--target", "**other")
    assert ran.code != 0 and readable(ran.text), ran.text
    assert "this server can't start" in ran.text
    assert small.programs() == {"good"} and Daemon(small.run).pid("good") not in (0, pid)


def test_a_refresh_shows_what_was_changed_by_hand_and_an_update_repairs_it(small: Small) -> None:
    small.declare([small.supervisor, small.server("good", port=free_port(), files={"a.yml": "one"})])
    assert small.up().code == 0
    assert "3 unchanged" in small.preview().text
    (small.run / "processes/good/a.yml").write_text("by hand")
    assert "a.yml changed by hand" in small.preview().text
    ran = small.refresh()
    assert 'a.yml: "one" => "by hand"' in ran.text, ran.text
    ran = small.preview()
    assert 'a.yml: "by hand" => "one"' in ran.text, ran.text
    assert small.up().code == 0
    assert (small.run / "processes/good/a.yml").read_text() == "one"
    Daemon(small.run)._call("supervisor.stopProcessGroup", "good")
    ran = small.refresh()
    assert "running: true => false" in ran.text, ran.text
    assert small.up().code == 0
    assert get(small.state()["good"]["port"], "/")[0] == 200
    assert "3 unchanged" in small.preview().text


def test_an_interrupted_update_ends_soon_and_the_next_goes_on(small: Small) -> None:
    small.declare([small.supervisor])
    assert small.up().code == 0
    small.declare([small.supervisor, small.server("slow", "--slow", "600", readySeconds=600)])
    process = small.start("up", "--yes", "--skip-preview")
    until(lambda: bool(small.programs()))
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and readable(text), text
    assert "stopped on request" in text
    assert small.programs() == set()
    small.declare([small.supervisor, small.server("slow")])
    assert small.up().code == 0


def test_after_a_kill_in_the_middle_the_next_update_makes_it_whole(small: Small) -> None:
    fixed = free_port()
    small.declare([small.supervisor])
    assert small.up().code == 0
    small.declare(
        [
            small.supervisor,
            small.server("chosen", "--slow", "600"),
            small.server("fixed", "--slow", "600", port=fixed),
        ]
    )
    process = small.start("up", "--yes", "--skip-preview")
    until(lambda: len(small.programs()) == 2 and not Daemon(small.run).state("fixed").startswith("ABSENT"))
    providers = _providers(process.pid)
    process.kill()
    process.communicate(timeout=PATIENCE)
    # Its provider ends by itself; until then it may put things back in order beside the next one.
    until(lambda: not any(_command(pid) for pid in providers))
    small.forget_the_lock()
    # What is declared has changed since: what runs is no longer wanted.
    small.declare([small.supervisor, small.server("chosen"), small.server("fixed", port=fixed)])
    ran = small.up()
    assert ran.code == 0, ran.text
    state = small.state()
    assert small.programs() == {state["chosen"]["program"], "fixed"}
    assert get(fixed, "/")[0] == get(state["chosen"]["port"], "/")[0] == 200


def test_a_provider_ends_with_its_engine(small: Small) -> None:
    small.declare([small.supervisor])
    assert small.up().code == 0
    small.declare([small.supervisor, small.server("slow", "--slow", "600", readySeconds=600)])
    process = small.start("up", "--yes", "--skip-preview")
    until(lambda: bool(small.programs()))
    providers = _providers(process.pid)
    assert providers
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not any(_command(pid) for pid in providers))


def with_route(small: Small) -> Gate:
    """A gateway in the project's run folder, and a route to its server in its program."""
    gate = Gate(Run(small.run))
    program = (small.folder / "__main__.py").read_text()
    route = f"""
address = made["churn-v1-0"].address
backends = [{{"version": 1, "weight": 100, "shadow": False, "addresses": [address]}}]
inputs = {{"folder": {str(gate.folder)!r}, "model": "churn", "backends": backends}}
pulumi.CustomResource("delivery:local:Route", "churn", inputs)
"""
    program = program.replace("pulumi.CustomResource(type", "Made(type").replace(
        "made = {}", "class Made(pulumi.CustomResource):\n    address: pulumi.Output[str]\n\n\nmade = {}"
    )
    (small.folder / "__main__.py").write_text(program + route)
    return gate


def exported(small: Small) -> dict[str, Any]:
    return json.loads(small.command("stack", "export").text)


def former(small: Small) -> None:
    """Make the state and the run folder what they were before creations had ids of their own."""
    state = exported(small)
    for resource in state["deployment"]["resources"]:
        match resource["type"]:
            case "delivery:local:Supervisor":
                resource["id"] = "supervisord"
            case "delivery:local:Route":
                resource["id"] = "churn"
            case "delivery:local:Process" if not resource["outputs"]["chosen"]:
                resource["id"] = resource["urn"].split("::")[-1]
            case _:
                pass
    file = small.folder / "former.json"
    file.write_text(json.dumps(state))
    assert small.command("stack", "import", "--file", str(file)).code == 0
    for identity in (small.run / "identity", *small.run.glob("processes/*/identity")):
        identity.unlink()
    for route in small.run.glob("processes/*/routes/*.json"):
        record = json.loads(route.read_text())
        del record["id"]
        route.write_text(json.dumps(record, indent=1))


@pytest.mark.parametrize("age", ["new", "former"])
def test_a_replacement_on_request_serves_on(small: Small, age: str) -> None:
    """By --replace the engine asks for no diff first, and deletes the old resource when all else is done."""
    gate = with_route(small)
    fixed = free_port()
    servers = [small.server("churn-v1-0", address=None), small.server("fixed", port=fixed)]
    small.declare([small.supervisor, *servers])
    ran = small.up()
    assert ran.code == 0, ran.text
    if age == "former":
        former(small)
        daemon = Daemon(small.run)
        pids = [daemon.pid(program) for program in sorted(small.programs())]
        ran = small.up()
        assert ran.code == 0 and "5 unchanged" in ran.text, ran.text
        assert [daemon.pid(program) for program in sorted(small.programs())] == pids
    local = [r["urn"] for r in exported(small)["deployment"]["resources"] if ":local:" in r["type"]]
    before = small.state()["churn-v1-0"]["program"]
    with Load(gate.port, "/churn/predict") as load:
        words = [word for urn in local for word in ("--replace", urn)]
        ran = small.command("up", "--yes", "--skip-preview", *words)
        assert ran.code == 0 and "4 replaced" in ran.text, ran.text
        count = len(load.answers)
        until(lambda: len(load.answers) > count + 50)
    assert load.failed() == []
    assert get(fixed, "/")[0] == 200
    after = small.state()["churn-v1-0"]["program"]
    assert before != after and small.programs() == {after, "fixed", "gateway-envoy"}
    assert "unchanged" in small.preview().text
    ran = small.command("destroy", "--yes", "--skip-preview")
    assert ran.code == 0, ran.text
    assert small.programs() == {"gateway-envoy"} and not Daemon(small.run).alive()


def test_a_route_follows_a_server_whose_port_was_taken(small: Small) -> None:
    """The program's own dependency, a route on the address of a process, through the real engine."""
    gate = with_route(small)
    small.declare([small.supervisor, small.server("churn-v1-0", address=None)])
    ran = small.up()
    assert ran.code == 0, ran.text
    state = small.state()["churn-v1-0"]
    assert get(gate.port, "/churn/predict", "POST", b"")[0] == 200
    Daemon(small.run)._call("supervisor.stopProcessGroup", state["program"])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", state["port"]))
        other.listen()
        ran = small.preview()
        assert f"on another port since {state['port']} was taken" in ran.text
        assert "addresses[0]" in ran.text or "[0]: " in ran.text, ran.text
        ran = small.up()
        assert ran.code == 0, ran.text
        assert small.state()["churn-v1-0"]["port"] != state["port"]
        assert get(gate.port, "/churn/predict", "POST", b"")[0] == 200
    assert "unchanged" in small.preview().text


def test_no_secret_of_the_registrys_address_is_in_the_state(small: Small, tmp_path: Path) -> None:
    registry = f"http://ann:pw123@127.0.0.1:{free_port()}"
    inputs = {"model": "churn", "version": 1, "registry": registry}
    small.declare([("delivery:registry:Release", "churn-v1", inputs, [])])
    ran = small.up()
    assert ran.code != 0 and readable(ran.text), ran.text
    assert "churn-v1 can't be resolved: the registry http://***@127.0.0.1" in ran.text
    assert "pw123" not in ran.text
    state = "".join(path.read_text() for path in (small.folder / "state").rglob("*.json"))
    assert "pw123" not in state


def test_a_rollout_says_in_a_preview_where_its_step_comes_from(small: Small) -> None:
    """And a step whose servers could not start is none that served."""

    def step(weight: int, *flags: str) -> list[Declared]:
        server = small.server("churn-v2-0", *flags, version=2)
        canary = {"version": 2, "weight": weight, "shadow": False}
        inputs = {"model": "churn", "runtime": "local", "stable": {"version": 1}, "canary": canary}
        return [small.supervisor, server, ("delivery:registry:Rollout", "churn", inputs, ["churn-v2-0"])]

    small.declare(step(10))
    assert small.up().code == 0
    first = small.state()["churn"]
    assert first["served"] == [] and "was" not in first and first["since"].endswith("Z")
    assert "4 unchanged" in small.preview().text

    small.declare(step(50, "--fail"))
    assert "churn: v1 90 %, v2 10 % → v1 50 %, v2 50 %" in small.preview().text
    assert small.up().code != 0
    assert small.state()["churn"] == first

    small.declare(step(50))
    shown = small.preview().text
    assert "10 => 50" in shown and "+ was" in shown, shown
    assert small.up().code == 0
    second = small.state()["churn"]
    was = {"stable": {"version": 1}, "canary": {"version": 2, "weight": 10, "shadow": False}}
    assert second["was"] == {**was, "since": first["since"]}
    assert second["served"] == [1, 2] and second["since"] >= first["since"]


def test_a_wrong_type_says_which_there_are(small: Small) -> None:
    small.declare([("delivery:local:Proces", "p", {}, [])])
    ran = small.up()
    assert ran.code != 0 and "unknown resource type delivery:local:Proces" in ran.text
    assert "delivery:local:Process" in ran.text and "Traceback" not in ran.text


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.name))
    return found


def _providers(engine: int) -> list[int]:
    return [pid for pid in _children(engine) if b"provider" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_plugin_is_gone_as_soon_as_it_is_ended() -> None:
    """The engine has five seconds for all plugins together; Python's own end takes seconds under load."""
    code = (
        "import atexit; atexit.register(print, 'Python ends')\n"
        "from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer\n"
        "from provider.plugin import host; host(ResourceProviderServicer())"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE) == ("", None)
    assert process.returncode == 0


def test_the_plugin_says_its_port_and_nothing_else() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "provider"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port)):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "")
