"""Loopback ports: which are free, who has them, and which of a run folder's programs each is kept for."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import re
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from provider.files import locked, read_file, write_file
from provider.resource import ProviderError

CHOSEN = range(20000, 32000)
"""Where ports are chosen: below the range that Linux hands to clients (32768 and up)."""
_LISTENING = "0A"
_CLAIMS = "ports.json"


def free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, path: str, seconds: float = 5.0) -> bool:
    """Whether an HTTP server on the port answers the path with 2xx, within ``seconds``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def holder(port: int) -> int | None:
    """The process that listens on the port, or None where it can't be seen (another user's, or none)."""
    sockets = {
        f"socket:[{words[9]}]"
        for table in ("tcp", "tcp6")
        for line in (read_file(Path("/proc/net", table)) or "").splitlines()[1:]
        if (words := line.split())[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port
    }
    if not sockets:
        return None
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (entry / "fd").iterdir()):
                return int(entry.name)
        except OSError:
            continue
    return None


def in_use(port: int, name: str) -> str:
    """What to tell the user about a port that another program has and ``name`` is to listen on."""
    pid = holder(port)
    command = (read_file(Path(f"/proc/{pid}/comm")) or "").strip() if pid else ""
    who = f"{command}, process {pid}" if command else "another program"
    advice = f"stop it, or choose another port for {name} (platform.ports)"
    return f"port {port} on 127.0.0.1 is in use by {who}; {advice}"


class Machine:
    """Which run folder of this user has which port: two stacks that start at once choose different ones.

    ``folder`` has a file a port. What can't be noted there stands in nobody's way: each port is tried too.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"model-delivery-ports-{os.getuid()}"

    @contextmanager
    def alone(self) -> Generator[None]:
        """Hold the machine's ports for the time of the block, where its folder can be written."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        except OSError:
            yield
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def taken(self, port: int, folder: Path) -> bool:
        """Whether the port is another run folder's, which still keeps it."""
        owner = read_file(self._folder / str(port))
        return owner is not None and owner != str(folder) and port in _kept(Path(owner) / _CLAIMS).values()

    def note(self, port: int, folder: Path) -> None:
        """Remember whose the port is."""
        with suppress(OSError):
            (self._folder / str(port)).write_text(str(folder))


class Claims:
    """Which port is kept for which program of a run folder, also while the program is down."""

    def __init__(self, folder: Path, machine: Machine | None = None) -> None:
        self._folder = folder.absolute()
        self._file = folder / _CLAIMS
        self._lock = folder / ".ports.lock"
        self._machine = machine or Machine()

    def of(self, program: str) -> int | None:
        """The program's port."""
        return self._read().get(program)

    def hold(self, program: str, port: int) -> None:
        """Keep a port for a program, whoever had it before."""
        with locked(self._lock):
            self._write({**{p: n for p, n in self._read().items() if n != port}, program: port})

    def choose(self, program: str) -> int:
        """Keep a free port for a program, its former one if that is free. ProviderError: there is none."""
        with locked(self._lock), self._machine.alone():
            claims = self._read()
            former = claims.pop(program, None)
            # From a start of the program's own: its port is likely the same wherever it is brought up.
            start = int.from_bytes(hashlib.sha256(program.encode()).digest()[:4]) % len(CHOSEN)
            for port in (former, *CHOSEN[start:], *CHOSEN[:start]):
                if port is None or port in claims.values() or self._machine.taken(port, self._folder):
                    continue
                if free(port):
                    self._write({**claims, program: port})
                    self._machine.note(port, self._folder)
                    return port
        raise ProviderError(f"no port is free between {CHOSEN[0]} and {CHOSEN[-1]} on 127.0.0.1")

    def release(self, program: str) -> None:
        """Give a program's port back."""
        # On a full disk it stays noted, which costs a port at most; what is removed must be removable there.
        if program in self._read():
            with suppress(ProviderError), locked(self._lock):
                self._write({p: n for p, n in self._read().items() if p != program})

    def programs(self, name: str) -> list[str]:
        """Programs of the resource ``name`` on chosen ports (``NAME.`` and six hex digits)."""
        return [p for p in self._read() if re.fullmatch(re.escape(name) + r"\.[0-9a-f]{6}", p)]

    def _read(self) -> dict[str, int]:
        return _kept(self._file)

    def _write(self, claims: dict[str, int]) -> None:
        write_file(self._file, json.dumps(claims, indent=1, sort_keys=True))


def _kept(file: Path) -> dict[str, int]:
    try:
        content = json.loads(read_file(file) or "{}")
    except ValueError:
        return {}
    return cast("dict[str, int]", content) if isinstance(content, dict) else {}
