"""A network of one container's, on which every packet counts that goes where it wasn't told to go."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from tests.image.engine import Container, Engine
from tests.image.machine import found

_NAME_SERVER = "127.0.0.11"
"""Docker's own, on a container's loopback: a name that is looked up goes out by it."""


class Watched:
    """The network: it belongs to a container that does nothing."""

    def __init__(self, idle: Container, allowed: Sequence[str]) -> None:
        self._pid = str(idle.pid)
        self.network = f"container:{idle.name}"
        self.address = idle.address
        self._table("-A", "OUTPUT", "-d", _NAME_SERVER, "-j", "REJECT")
        self._table("-A", "OUTPUT", "-o", "lo", "-j", "ACCEPT")
        self._table("-A", "OUTPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")
        for address in allowed:
            self._table("-A", "OUTPUT", "-d", address, "-j", "ACCEPT")
        self._table("-A", "OUTPUT", "-j", "REJECT")

    def refused(self) -> int:
        """How many packets wanted to go elsewhere."""
        rows = self._table("-L", "OUTPUT", "-v", "-x", "-n").splitlines()
        return sum(int(row.split()[0]) for row in rows if " REJECT " in row)

    def _table(self, *words: str) -> str:
        command = [found("nsenter"), "--target", self._pid, "--net", found("iptables"), "--wait", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout


@contextmanager
def watched(docker: Engine, *allowed: str) -> Generator[Watched]:
    """A network that leads to these addresses alone."""
    with docker.container(docker.base, "sleep", "infinity") as idle:
        yield Watched(idle, allowed)
