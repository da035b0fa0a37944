"""supervisord of one run folder: started once, driven by XML-RPC over a socket of its user alone."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from provider.files import locked, make_folder, refused, tail, write_file
from provider.orphans import MARK, end_orphans
from provider.resource import ProviderError
from provider.room import TO_START, Room, prove
from provider.unix_http import UnixConnection
from provider.waiting import wait_until

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_CALL_SECONDS = 30.0
_SETTLE_SECONDS = 15.0

_CONFIGURATION = """\
; Written by the provider; changes are overwritten. Paths are relative to this folder, where supervisord runs:
; a percent sign in an absolute path would be taken for a format.
[unix_http_server]
file = /proc/self/cwd/supervisor.sock
chmod = 0700

[supervisord]
logfile = supervisord.log
logfile_maxbytes = 1MB
pidfile = supervisord.pid
childlogdir = .
nodaemon = true
silent = true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

"""
_INCLUDE = """
[include]
files = programs/*.conf
"""
_PARTS = ("programs", "logs", "processes", "targets")
"""The folders in a run folder that are written to."""
_KEPT_LOGS = 20
"""Programs that have ended and whose logs stay. Each has at most 20 MB (provider/program.py)."""
_SUPERVISE = Path(__file__).with_name("supervise.py")
_started: list[subprocess.Popen[bytes]] = []


class Daemon:
    """The supervisord of one run folder: configuration, socket, and a ``programs/NAME.conf`` for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        self.logs = folder / "logs"
        self._starting = folder / ".supervisord.starting"

    def alive(self) -> bool:
        """Whether supervisord answers."""
        try:
            return bool(self._call("supervisor.getPID"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def start(self) -> None:
        """Start supervisord, with every program that its folder names, and wait until it answers.

        What a killed supervisord left running goes on until its successor has shown that it can start.
        """
        if self.alive() and not self._starting.exists():
            return
        self.prove()
        for folder in (self.folder, self.programs, self.logs):
            make_folder(folder, private=folder == self.folder)
        with locked(self.folder / ".supervisord.lock"):
            if not self.alive() or self._starting.exists():
                write_file(self._starting, "")
                self._take_over()
                self._starting.unlink()

    def prove(self, room: Room = TO_START) -> None:
        """Raise ProviderError unless the run folder takes what an update writes."""
        prove(self.folder, _PARTS, room)

    def _take_over(self) -> None:
        configuration = self.folder / "supervisord.conf"
        write_file(configuration, _CONFIGURATION)
        started = None if self.alive() else self._start()
        write_file(configuration, _CONFIGURATION + _INCLUDE)
        try:
            self._ask("supervisor.reloadConfig")
        except ProviderError:
            # A damaged section: without its supervisord, what runs goes on, and the next try begins anew.
            if started is not None:
                started.terminate()
                started.wait()
            raise
        end_orphans(self.folder, spared={self._supervisor()})
        for section in sorted(self.programs.glob("*.conf")):
            self._ask("supervisor.addProcessGroup", section.stem, accept=("ALREADY_ADDED",))

    def _supervisor(self) -> int:
        try:
            return int(cast(int, self._call("supervisor.getPID")))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise ProviderError(
                f"supervisord of {self.folder} ended right after its start ({error}); "
                f"see {self.folder}/supervisord.log"
            ) from None

    def _start(self) -> subprocess.Popen[bytes]:
        words = self.folder / "supervisord.out"
        try:
            with words.open("wb") as out:
                process = subprocess.Popen(
                    [
                        sys.executable,
                        "-W",
                        "ignore",
                        # Without the script's folder in its path, whose names hide the standard library's.
                        "-P",
                        str(_SUPERVISE),
                        "-c",
                        "supervisord.conf",
                    ],
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=_environment(self.folder),
                )
        except OSError as error:
            raise refused(words, error) from None
        _started.append(process)

        def answers() -> bool:
            if process.poll() is not None:
                raise ProviderError(f"supervisord ended at once; its last words:\n{tail(words)}")
            return self.alive()

        if not wait_until(answers, _START_SECONDS):
            raise ProviderError(self._late("answer", _START_SECONDS))
        return process

    def stop(self) -> None:
        """Stop every program and supervisord itself. Returns when all are gone."""
        if self.alive():
            self._ask("supervisor.shutdown")
            if not wait_until(lambda: not self.alive(), _STOP_SECONDS):
                raise ProviderError(self._late("stop", _STOP_SECONDS))
        end_orphans(self.folder)
        for process in _started:
            process.poll()

    def begin(self, program: str) -> None:
        """Start a program that ``programs/`` names."""
        self._ask("supervisor.reloadConfig")
        self._ask("supervisor.addProcessGroup", program, accept=("ALREADY_ADDED",))

    def halt(self, program: str, seconds: float) -> None:
        """Stop a program and forget it: SIGTERM, and SIGKILL after its stopwaitsecs, ``seconds``."""
        patience = seconds + _CALL_SECONDS
        for method in ("supervisor.stopProcessGroup", "supervisor.removeProcessGroup"):
            self._ask(method, program, accept=("BAD_NAME",), seconds=patience)

    def remove(self, program: str, seconds: float = _STOP_SECONDS) -> None:
        """Stop a program as halt does, and name it no more. Succeeds where it or supervisord is gone."""
        (self.programs / f"{program}.conf").unlink(missing_ok=True)
        if self.alive():
            self.halt(program, seconds)
            self._ask("supervisor.reloadConfig")

    def prune_logs(self) -> None:
        """Delete the logs of programs that are gone, but for those that wrote last."""
        ended: dict[str, tuple[float, list[Path]]] = {}
        for log in self.logs.glob("*.log*"):
            name = log.name.removesuffix(".1").removesuffix(".log")
            if (self.programs / f"{name}.conf").exists():
                continue
            # Another resource's removal may be at the same.
            with contextlib.suppress(OSError):
                written, files = ended.get(name, (0.0, []))
                ended[name] = max(written, log.stat().st_mtime), [*files, log]
        for _, files in sorted(ended.values(), key=lambda found: found[0], reverse=True)[_KEPT_LOGS:]:
            for log in files:
                with contextlib.suppress(OSError):
                    log.unlink()

    def state(self, program: str) -> str:
        """supervisord's word for the program's state (RUNNING, BACKOFF, FATAL …), or ABSENT."""
        return str(self._info(program).get("statename", "ABSENT"))

    def settled(self, program: str) -> str:
        """The state once it isn't STARTING, which says nothing: a program that can't run is in it too."""
        wait_until(lambda: self.state(program) != "STARTING", _SETTLE_SECONDS)
        return self.state(program)

    def pid(self, program: str) -> int:
        """The program's process, or 0 where it doesn't run."""
        return int(self._info(program).get("pid", 0))

    def uptime(self, program: str) -> float:
        """Seconds since the program was last started."""
        info = self._info(program)
        return float(info.get("now", 0) - info.get("start", 0))

    def _info(self, program: str) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", self._call("supervisor.getProcessInfo", program))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return {}

    def _ask(
        self, method: str, *arguments: object, accept: tuple[str, ...] = (), seconds: float = _CALL_SECONDS
    ) -> None:
        try:
            self._call(method, *arguments, seconds=seconds)
        except xmlrpc.client.Fault as fault:
            if not any(word in fault.faultString for word in accept):
                raise ProviderError(f"supervisord of {self.folder} refuses: {fault.faultString}") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise ProviderError(
                f"supervisord of {self.folder} does not answer ({error}); "
                "run the same command again to start it"
            ) from None

    def _call(self, method: str, *arguments: object, seconds: float = _CALL_SECONDS) -> object:
        with xmlrpc.client.ServerProxy(
            "http://localhost", transport=_Transport(self.folder, seconds)
        ) as server:
            return cast(Callable[..., object], getattr(server, method))(*arguments)

    def _late(self, what: str, seconds: float) -> str:
        return f"supervisord did not {what} within {seconds:g} s; see {self.folder}/supervisord.log"


class _Transport(xmlrpc.client.Transport):
    def __init__(self, folder: Path, seconds: float) -> None:
        super().__init__()
        self._folder = folder
        self._seconds = seconds

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        self._connection = (host, UnixConnection(self._folder, "supervisor.sock", self._seconds))
        return self._connection[1]


def _environment(folder: Path) -> dict[str, str]:
    # What runs here must not inherit the engine's environment: it holds the passphrase of the stack.
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, MARK: str(folder)}
