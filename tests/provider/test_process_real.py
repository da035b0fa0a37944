"""Processes under a real supervisord, through the process resource."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provider import orphans, waiting
from provider.daemon import Daemon
from provider.ports import holder
from provider.process import Process
from provider.resource import UNKNOWN, ProviderError
from provider.supervisor import Supervisor
from tests.ports import free_port
from tests.provider.conftest import Kept, Run, Told, get
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.real
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_process_is_ready_when_its_creation_returns(run: Run) -> None:
    server = run.serve("churn-v1-0", 1, "--slow", "0.3", scrape={"job": "models", "version": "1"})
    assert get(server.port, "/v2/health/ready")[0] == 200
    assert server.state["address"] == f"127.0.0.1:{server.port}"
    assert server.id == server.state["program"]
    assert not server.diff().changes
    assert server.read() == server.state
    (target,) = (run.folder / "targets").iterdir()
    assert json.loads(target.read_text()) == [
        {
            "targets": [server.state["address"]],
            "labels": {"job": "models", "version": "1", "__metrics_path__": "/metrics"},
        }
    ]
    server.delete()
    with pytest.raises(OSError):
        get(server.port, "/")
    assert not target.exists() and not list((run.folder / "processes").iterdir())
    server.delete()
    assert server.read() is None


def test_what_prometheus_is_told_changes_without_a_restart(run: Run) -> None:
    server = run.serve("churn-v1-0", scrape={"job": "models"})
    pid = run.pid(server.id)
    server.update(scrape={"job": "others"})
    (target,) = (run.folder / "targets").iterdir()
    assert json.loads(target.read_text())[0]["labels"]["job"] == "others"
    server.update(scrape=None)
    assert not target.exists()
    assert run.pid(server.id) == pid


def test_a_killed_process_comes_back_by_itself_on_its_port(run: Run) -> None:
    server = run.serve("churn-v1-0")
    pid = run.pid(server.id)
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.pid(server.id) not in (0, pid))
    server.update()
    assert get(server.port, "/")[1]["version"] == "1"


def test_what_a_killed_process_leaves_on_its_port_ends(run: Run) -> None:
    """As MLflow does, whose server is a child of the program that supervisord starts."""
    script = 'trap "kill %1" TERM; "$@" & wait; sleep 1.5'
    plain = run.inputs(port=free_port())
    server = Kept(
        run, "tracking", run.process, {**plain, "command": ["sh", "-c", script, "sh", *plain["command"]]}
    )
    pid, child = run.pid("tracking"), holder(server.port)
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.pid("tracking") not in (0, pid))
    until(lambda: holder(server.port) not in (None, child))
    server.update()
    assert get(server.port, "/")[1]["version"] == "1"


def test_a_process_stopped_by_hand_is_noticed_and_repaired(run: Run) -> None:
    server = run.serve("churn-v1-0")
    Daemon(run.folder)._call("supervisor.stopProcessGroup", server.id)
    found = server.read()
    assert found is not None and found["running"] is False
    diff = server.diff()
    assert diff.changes == {"running": False}
    assert diff.remark == "churn-v1-0 is not running (supervisord says STOPPED); it will be repaired"
    before = server.port
    assert server.update()["port"] == before
    assert get(before, "/")[0] == 200
    # After a refresh the state says that it didn't run, and the next apply that it does again.
    server.state["running"] = False
    assert server.diff().changes == {"running": False}


def test_a_process_that_answers_late_is_not_held_to_hang(run: Run) -> None:
    server = run.serve("churn-v1-0", 1, "--lag", "3")
    assert not server.diff().changes


def test_a_process_that_hangs_is_started_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider.program.ANSWER_SECONDS", 1.0)
    server = run.serve("churn-v1-0")
    pid = run.pid(server.id)
    monkeypatch.setattr(Daemon, "uptime", lambda *_: 2 * PATIENCE)  # longer than its start may take
    os.kill(pid, signal.SIGSTOP)
    assert server.diff().remark == "churn-v1-0 does not answer; it will be repaired"
    server.update()
    assert run.pid(server.id) != pid
    assert get(server.port, "/")[0] == 200


def test_a_chosen_port_taken_meanwhile_is_exchanged(run: Run) -> None:
    server = run.serve("churn-v1-0")
    taken = server.port
    Daemon(run.folder)._call("supervisor.stopProcessGroup", server.id)
    assert server.preview()["address"] == f"127.0.0.1:{taken}"
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        diff = server.diff()
        assert set(diff.changes) == {"running", "port", "address"} and not any(diff.changes.values())
        assert f"on another port since {taken} was taken" in diff.remark
        assert server.preview()["address"] is UNKNOWN
        server.update()
        assert server.port != taken
        assert get(server.port, "/")[0] == 200
    assert not server.diff().changes


def test_a_fixed_port_taken_meanwhile_is_a_clear_error_and_the_rest_stays(run: Run) -> None:
    port = free_port()
    server = run.serve("gateway", port=port)
    Daemon(run.folder)._call("supervisor.stopProcessGroup", "gateway")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        (failure,) = run.check("gateway", run.inputs(port=port), server.inputs).failures
        assert failure.reason.startswith(f"port {port} on 127.0.0.1 is in use by ")
        with pytest.raises(ProviderError, match=f"port {port} on 127.0.0.1 is in use by") as caught:
            server.update()
        assert "runs again" not in str(caught.value)
    server.update()
    assert get(port, "/")[0] == 200
    # Its own port is not in use by another.
    assert not run.check("gateway", run.inputs(port=port), server.inputs).failures


def test_a_move_to_a_port_in_use_leaves_the_old_one_serving(run: Run) -> None:
    port = free_port()
    server = run.serve("gateway", port=port)
    pid = run.pid("gateway")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ProviderError, match="is in use by"):
            server.update(port=other.getsockname()[1])
    assert run.pid("gateway") == pid
    assert not server.diff().changes


def test_a_change_that_fails_brings_back_what_ran(run: Run) -> None:
    port = free_port()
    server = run.serve("gateway", port=port, files={"a.yml": "one"})
    broken = {**server.inputs, "command": [*server.inputs["command"], "--fail"], "files": {"a.yml": "two"}}
    with pytest.raises(ProviderError) as caught:
        run.process.update(run.context("gateway"), server.id, server.state, broken)
    text = str(caught.value)
    assert "gateway ends right after its start" in text
    assert "this server can't start" in text
    assert text.endswith("What ran before runs again")
    until(lambda: not server.diff().changes)
    assert (run.folder / "processes/gateway/a.yml").read_text() == "one"
    assert get(port, "/")[0] == 200


def test_a_creation_that_fails_leaves_nothing(run: Run) -> None:
    with pytest.raises(ProviderError, match="ends right after its start"):
        run.serve("churn-v1-0", 1, "--fail")
    with pytest.raises(ProviderError, match="was not ready on port"):
        run.serve("churn-v1-0", 1, "--slow", "60", readySeconds=1)
    assert not list((run.folder / "programs").iterdir())
    assert not list((run.folder / "processes").iterdir())
    assert json.loads((run.folder / "ports.json").read_text()) == {}


def test_files_changed_by_hand_are_noticed_and_written_again(run: Run) -> None:
    server = run.serve(
        "gateway", port=free_port(), files={"a.yml": "one", "b.yml": "two"}, seeds={"s": "own"}
    )
    own = run.folder / "processes/gateway"
    assert (own / "s").read_text() == "own"
    (own / "s").write_text("another's")
    assert not server.diff().changes
    (own / "a.yml").write_text("by hand")
    (own / "b.yml").unlink()
    diff = server.diff()
    assert diff.changes == {'files["a.yml"]': False, 'files["b.yml"]': False}
    assert "a.yml, b.yml changed by hand" in diff.remark
    found = server.read()
    assert found is not None and found["files"] == {"a.yml": "by hand"}
    pid = run.pid("gateway")
    server.update()
    assert run.pid("gateway") != pid
    assert [(own / name).read_text() for name in ("a.yml", "b.yml", "s")] == ["one", "two", "another's"]
    assert not server.diff().changes


def test_a_replacement_is_ready_before_its_predecessor_goes(run: Run) -> None:
    old = run.serve("churn-v1-0", 1)
    assert old.diff(command=run.inputs(2)["command"]).changes == {"command[4]": True}
    new = run.serve("churn-v1-0", 2)
    assert (get(old.port, "/")[1]["version"], get(new.port, "/")[1]["version"]) == ("1", "2")
    old.delete()
    assert get(new.port, "/")[0] == 200


class TestStrays:
    """What a killed engine started and never noted in its state."""

    def killed(self, run: Run, version: int) -> int:
        """Start a process as an engine would that then forgets it."""
        inputs = run.check("churn-v1-0", run.inputs(version)).inputs
        return Process().create(run.context("churn-v1-0"), inputs)[1]["port"]

    @pytest.mark.parametrize("version", [1, 2])
    def test_it_goes_when_the_process_is_ready(self, run: Run, version: int) -> None:
        self.killed(run, version)
        other = run.serve("churn-v1-1", 1)
        server = run.serve("churn-v1-0", 2)
        programs = {path.stem for path in (run.folder / "programs").iterdir()}
        assert programs == {server.id, other.id}

    def test_one_left_of_a_replacement_goes_at_the_end_of_the_next(self, run: Run) -> None:
        old = run.serve("churn-v1-0", 1)
        self.killed_replacement(run, old.id)
        assert old.diff(command=run.inputs(3)["command"]).changes
        new = run.serve("churn-v1-0", 3)
        assert get(old.port, "/")[0] == 200
        old.delete()
        assert {path.stem for path in (run.folder / "programs").iterdir()} == {new.id}

    def killed_replacement(self, run: Run, known: str) -> int:
        process = Process()
        inputs = run.check("churn-v1-0", run.inputs(2)).inputs
        process._know(str(run.folder), "churn-v1-0", known)
        return process.create(run.context("churn-v1-0"), inputs)[1]["port"]

    def test_a_fixed_port_is_not_in_use_by_another(self, run: Run) -> None:
        port = free_port()
        inputs = run.check("gateway", run.inputs(1, port=port)).inputs
        Process().create(run.context("gateway"), inputs)
        assert get(run.serve("gateway", 2, port=port).port, "/")[1]["version"] == "2"


def test_a_cancelled_creation_ends_soon_and_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_cancelled", threading.Event())
    caught: list[BaseException] = []

    def create() -> None:
        try:
            run.serve("churn-v1-0", 1, "--slow", "600", readySeconds=600)
        except ProviderError as error:
            caught.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    until(lambda: any((run.folder / "programs").iterdir()))
    waiting.cancel()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "stopped on request" in str(caught[0])
    assert not list((run.folder / "programs").iterdir())
    # What cleans up after the test may wait again.
    monkeypatch.undo()


def test_many_are_started_side_by_side(run: Run) -> None:
    ports: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: ports.append(run.serve(f"churn-v1-{n}", n).port))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ports)) == 12
    assert {get(port, "/")[1]["version"] for port in ports} == {str(n) for n in range(12)}


class TestSupervisor:
    def test_nothing_secret_reaches_what_runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        run = Run(tmp_path / "run")
        try:
            server = run.serve("churn-v1-0", environment={"OWN": "1"})
            names = {
                line.partition(b"=")[0].decode()
                for line in Path(f"/proc/{run.pid(server.id)}/environ").read_bytes().split(b"\0")
            }
            assert "OWN" in names
            supervisor = {
                "SUPERVISOR_ENABLED",
                "SUPERVISOR_GROUP_NAME",
                "SUPERVISOR_PROCESS_NAME",
                "SUPERVISOR_SERVER_URL",
            }
            allowed = {
                "PATH",
                "HOME",
                "LANG",
                "LC_ALL",
                "TMPDIR",
                "TZ",
                "USER",
                "PWD",
                "OLDPWD",
                "_",
                "SHLVL",
                "",
            }
            assert names - supervisor - allowed == {"OWN", orphans.MARK, "MODEL_DELIVERY_PROGRAM"} | (
                names & {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}
            )
        finally:
            run.stop()

    def test_only_its_user_can_reach_it(self, run: Run) -> None:
        assert stat.S_IMODE(run.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((run.folder / "supervisor.sock").stat().st_mode) == 0o700

    def test_a_long_path_with_odd_characters_works(self, tmp_path: Path) -> None:
        run = Run(tmp_path / ("deep folder # ; % é " * 6) / ("x" * 100))
        try:
            assert get(run.serve("churn-v1-0").port, "/")[0] == 200
        finally:
            run.stop()

    def test_after_a_kill_it_starts_again_with_everything_on_its_port(self, run: Run, told: Told) -> None:
        server, fixed = run.serve("churn-v1-0"), run.serve("gateway", port=free_port())
        context, state = told.context("supervisor"), {"folder": str(run.folder), "running": True}
        os.kill(Daemon(run.folder)._call("supervisor.getPID"), signal.SIGKILL)
        until(lambda: not Daemon(run.folder).alive())
        assert get(server.port, "/")[0] == 200, "it runs on without its supervisor"
        # Its own orphan has the port: that is no other program.
        assert not run.check("gateway", run.inputs(port=fixed.port)).failures
        assert Supervisor().read(context, "supervisord", state) == {**state, "running": False}
        assert Supervisor().diff(context, "supervisord", state, state).changes == {"running": False}
        Supervisor().update(context, "supervisord", state, {"folder": str(run.folder)})
        for kept in (server, fixed):
            until(lambda kept=kept: not kept.diff().changes)
            assert get(kept.port, "/")[0] == 200

    def test_a_deleted_run_folder_is_made_again(self, run: Run, told: Told) -> None:
        import shutil

        server = run.serve("churn-v1-0")
        pid = run.pid(server.id)
        shutil.rmtree(run.folder)
        state = {"folder": str(run.folder)}
        assert Supervisor().read(told.context("s"), "supervisord", state) is None
        Supervisor().create(told.context("s"), state)
        assert not orphans._running(pid, run.folder)
        assert server.read() is None
        server.update()
        assert get(server.port, "/")[0] == 200

    def test_only_processes_with_its_mark_are_ended(self, tmp_path: Path) -> None:
        def sleeper(folder: str) -> subprocess.Popen[bytes]:
            env = {"PATH": os.environ["PATH"], orphans.MARK: folder}
            return subprocess.Popen(["sleep", "600"], env=env, stdin=subprocess.DEVNULL)

        own, other = sleeper(str(tmp_path)), sleeper(f"{tmp_path}/inner")
        orphans.end_orphans(tmp_path)
        assert own.wait(PATIENCE) == -signal.SIGTERM
        stubborn = subprocess.Popen(
            [
                sys.executable,
                "-c",
                STUBBORN,
            ],
            env={orphans.MARK: str(tmp_path)},
            stdout=subprocess.PIPE,
        )
        try:
            assert stubborn.stdout is not None and stubborn.stdout.readline()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(orphans, "_TERM_SECONDS", 0.5)
                orphans.end_orphans(tmp_path)
            assert stubborn.wait(PATIENCE) == -signal.SIGKILL
            assert other.poll() is None
        finally:
            for process in (own, other, stubborn):
                process.kill()
                process.wait()
            if stubborn.stdout is not None:
                stubborn.stdout.close()

    def test_what_runs_pulumi_is_spared(self, tmp_path: Path) -> None:
        code = f"""
import sys; sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from provider.orphans import end_orphans, marked
import os
assert marked(os.getpid(), Path({str(tmp_path)!r}))
end_orphans(Path({str(tmp_path)!r}))
print("alive")
"""
        env = {"PATH": os.environ["PATH"], orphans.MARK: str(tmp_path)}
        done = subprocess.run(
            ["sh", "-c", '"$0" -c "$1"; echo shell', sys.executable, code],
            env=env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == ["alive", "shell"], done.stderr

    def test_two_at_once_start_it_once(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        threads = [threading.Thread(target=lambda: Daemon(folder).start()) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            marked = [
                pid
                for pid in (int(p.name) for p in Path("/proc").glob("[0-9]*"))
                if orphans.marked(pid, folder)
            ]
            assert len(marked) == 1
        finally:
            Daemon(folder).stop()
        assert not orphans.marked(marked[0], folder)

    def test_a_folder_that_is_full_is_named(self, run: Run, small_disk: Path) -> None:
        with pytest.raises(
            ProviderError, match=rf"{small_disk}/run has 0\.0 MB free, and a program that starts needs 16 MB"
        ):
            Supervisor().create(run.context("s"), {"folder": str(small_disk / "run")})

    def test_a_process_without_supervisor_says_what_to_do(self, told: Told, tmp_path: Path) -> None:
        inputs = {"folder": str(tmp_path), "command": ["sh"], "ready": "/"}
        checked = Process().check(told.context("p"), None, inputs)
        (tmp_path / "programs").mkdir()
        with pytest.raises(
            ProviderError, match=r"supervisord of .* does not answer .*run the same command again"
        ):
            Process().create(told.context("p"), checked.inputs)
        assert not list((tmp_path / "programs").iterdir())
