"""supervisord of one run folder: started once, driven by XML-RPC over a unix socket that only this user can open.

The socket is reached through /proc/self so that a long checkout path never meets the 108 bytes of a socket address.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from provider.resource import ProviderError

_START_SECONDS = 20.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.02

_CONFIGURATION = """\
; Written by the provider; changes are overwritten.
[unix_http_server]
file = /proc/self/cwd/supervisor.sock
chmod = 0700

[supervisord]
logfile = %(here)s/supervisord.log
logfile_maxbytes = 1MB
pidfile = %(here)s/supervisord.pid
childlogdir = %(here)s
nodaemon = true
silent = true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = programs/*.conf
"""


class Daemon:
    """The supervisord of one run folder. ``folder`` holds its configuration, socket, logs and programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        self.logs = folder / "logs"

    def alive(self) -> bool:
        """Whether supervisord answers."""
        try:
            return bool(self._call("supervisor.getPID"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def start(self) -> None:
        """Start supervisord unless it answers, with every program that its folder names. Returns when it answers."""
        if self.alive():
            return
        make_folder(self.folder, private=True)
        make_folder(self.programs)
        make_folder(self.logs)
        _end_orphans(self.folder)
        write_file(self.folder / "supervisord.conf", _CONFIGURATION)
        with open(self.folder / "supervisord.out", "ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", "supervisord.conf"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(self.folder),
            )

        def answers() -> bool:
            if process.poll() is not None:
                raise ProviderError(
                    f"supervisord ended at once; its last words:\n{tail(self.folder / 'supervisord.out')}"
                )
            return self.alive()

        if not wait_until(answers, _START_SECONDS):
            raise ProviderError(
                f"supervisord did not answer within {_START_SECONDS:g} s; see {self.folder}/supervisord.log"
            )

    def stop(self) -> None:
        """Stop every program and supervisord itself. Returns when it is gone."""
        if self.alive():
            self._call("supervisor.shutdown")
            if not wait_until(lambda: not self.alive(), _STOP_SECONDS):
                raise ProviderError(
                    f"supervisord did not stop within {_STOP_SECONDS:g} s; see {self.folder}/supervisord.log"
                )
        _end_orphans(self.folder)

    def launch(self, program: str, configuration: str) -> None:
        """Write a program's section and start it, or start it anew when it is there already."""
        make_folder(self.programs)
        write_file(self._section(program), configuration)
        self._forget(program)
        self._call("supervisor.reloadConfig")
        self._call("supervisor.addProcessGroup", program)

    def remove(self, program: str) -> None:
        """Stop a program, by SIGTERM and then by SIGKILL after its stopwaitsecs, and forget it."""
        self._section(program).unlink(missing_ok=True)
        if self.alive():
            self._forget(program)
            self._call("supervisor.reloadConfig")

    def state(self, program: str) -> str:
        """supervisord's word for the program's state (RUNNING, BACKOFF, FATAL …), or ABSENT."""
        try:
            return str(cast("dict[str, Any]", self._call("supervisor.getProcessInfo", program))["statename"])
        except xmlrpc.client.Fault:
            return "ABSENT"
        except (OSError, http.client.HTTPException):
            return "ABSENT"

    def has(self, program: str) -> bool:
        """Whether the run folder names this program, running or not."""
        return self._section(program).exists()

    def _section(self, program: str) -> Path:
        return self.programs / f"{program}.conf"

    def _forget(self, program: str) -> None:
        try:
            self._call("supervisor.stopProcessGroup", program)
            self._call("supervisor.removeProcessGroup", program)
        except xmlrpc.client.Fault as fault:
            if "BAD_NAME" not in fault.faultString:
                raise ProviderError(f"supervisord could not stop {program}: {fault.faultString}") from None

    def _call(self, method: str, *arguments: object) -> object:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(self.folder)) as server:
            return cast(Callable[..., object], getattr(server, method))(*arguments)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = UnixConnection(self._folder, "supervisor.sock", _STOP_SECONDS)
        # The base class closes what it finds here.
        self._connection = host, connection
        return connection


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket in a folder, however long the folder's path is."""

    def __init__(self, folder: Path, name: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._folder = folder
        self._name = name

    def connect(self) -> None:
        directory = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{directory}/{self._name}")
        finally:
            os.close(directory)


_MARK = "MODEL_DELIVERY_RUN"


def _environment(folder: Path) -> dict[str, str]:
    # What runs here must not inherit the engine's environment: it holds the passphrase of the stack.
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, _MARK: str(folder)}


def _end_orphans(folder: Path) -> None:
    """End the programs that a killed supervisord left behind: they hold the ports that its successor's need."""
    mark = f"{_MARK}={folder}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        pid = int(entry.name)
        if marked and pid != os.getpid():
            _end(pid)


def _end(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_until(lambda: not _running(pid), 10.0):
            return


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition until it holds; False when it doesn't within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def make_folder(path: Path, private: bool = False) -> None:
    """Create a folder with its parents. ProviderError names it where the disk refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
    except OSError as error:
        raise _refused(path, error) from None


def write_file(path: Path, text: str) -> None:
    """Replace a file whole: written beside it, then renamed over it, so that no reader ever sees a half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _refused(path, error) from None


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or a word that there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) or "(empty)"
    except OSError:
        return f"(no {path})"


def _refused(path: Path, error: OSError) -> ProviderError:
    reason = (error.strerror or str(error)).lower()
    return ProviderError(
        f"{path} can't be written: {reason}. Free space or give write permission, then run the same command again"
    )
