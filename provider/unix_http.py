"""HTTP over a unix socket.

The socket is reached through /proc/self, since a socket's address has room for 108 bytes of path only.
"""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path


class UnixConnection(http.client.HTTPConnection):
    """A connection to the socket ``name`` in a folder, however long its path. ``timeout`` in seconds."""

    def __init__(self, folder: Path, name: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._folder = folder
        self._name = name

    def connect(self) -> None:
        """Connect; OSError where nobody listens."""
        directory = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{directory}/{self._name}")
        except OSError:
            self.close()
            raise
        finally:
            os.close(directory)
