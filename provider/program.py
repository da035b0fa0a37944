"""One program of a run folder: what is written for it, its start, and its end.

``processes/NAME/`` is its own folder, with the files that were declared, ``start``, the script that
supervisord runs, and ``identity``, the id of the creation that it belongs to; ``programs/NAME.conf`` is its
section, ``logs/NAME.log`` its output, ``targets/NAME.json`` what Prometheus is told of it.
"""

from __future__ import annotations

import json
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from provider import ports
from provider.daemon import Daemon
from provider.files import make_folder, read_file, tail, write_file
from provider.orphans import marked
from provider.resource import Properties, ProviderError
from provider.waiting import wait_until

ANSWER_SECONDS = 15.0
"""How long a process that runs may take to answer, on a busy machine, before it is held to hang."""
_PORT_SECONDS = 2.0
_CHILD_SECONDS = 15.0
_SECTION = """\
[program:{name}]
command = /bin/sh start
directory = processes/{name}
autorestart = true
; Three quick failures in a row are a broken program; a killed one comes back at once.
startsecs = 1
startretries = 3
stopwaitsecs = {stop}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = logs/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 1
"""


class Program:
    """A program by its name, as the inputs of a Process describe it."""

    def __init__(self, name: str, inputs: Properties) -> None:
        self.name = name
        self._inputs = inputs
        self._folder = Path(inputs["folder"])
        self._own = self._folder / "processes" / name
        self._daemon = Daemon(self._folder)
        self._claims = ports.Claims(self._folder)
        self._section = self._daemon.programs / f"{name}.conf"
        self._target = self._folder / "targets" / f"{name}.json"
        self._identity = self._own / "identity"

    @property
    def exists(self) -> bool:
        """Whether the run folder names it, running or not."""
        return self._section.exists()

    def running(self) -> bool:
        """Whether it runs, which says nothing about whether it answers."""
        return self._daemon.settled(self.name) == "RUNNING"

    def trouble(self) -> str:
        """What is wrong with it now, or nothing."""
        state = self._daemon.settled(self.name)
        if state != "RUNNING":
            return f"is not running (supervisord says {state})"
        return "" if self._ready() else "does not answer"

    def hangs(self) -> bool:
        """Whether it has run for longer than a start may take, and does not answer."""
        return self._daemon.uptime(self.name) > self._inputs["readySeconds"] and not self._ready()

    def files(self) -> dict[str, str]:
        """The declared files as they are on disk; a missing one is missing here."""
        found = {name: read_file(self._own / name) for name in self._inputs["files"]}
        return {name: text for name, text in found.items() if text is not None}

    def must_move(self) -> bool:
        """Whether its chosen port went to another program while it was down."""
        port = self._claims.of(self.name)
        return port is not None and not ports.free(port) and not self.running()

    def identity(self) -> str | None:
        """The id of the creation that it belongs to, or None where none was noted: a former version of this
        provider started it."""
        return read_file(self._identity)

    def start(self, identity: str) -> int:
        """Write its files, start it, anew where it runs, and return its port when it is ready. It belongs to
        the creation ``identity`` then.

        On a ProviderError it is as it was: the former one runs again, or nothing where there was none.
        """
        self._daemon.prove()
        before = self._snapshot()
        ran = before[self._section] is not None and self.running()
        stopped = False
        try:
            self._check_port()
            self._write()
            write_file(self._identity, identity)
            stopped = True
            port = self._launch()
            self.await_ready(port, restarts=0)
        except ProviderError as error:
            self._back_to(before, stopped)
            if stopped and ran:
                raise ProviderError(f"{error}\nWhat ran before runs again") from None
            raise
        return port

    def await_ready(self, port: int, restarts: int = 1) -> None:
        """Wait until it can take work, then tell Prometheus. ProviderError has the end of its log."""
        log = self._daemon.logs / f"{self.name}.log"
        processes: set[int] = set()

        def ready() -> bool:
            # Its restarts would go on for readySeconds, and say the same again each time.
            processes.add(self._daemon.pid(self.name))
            state = self._daemon.state(self.name)
            ended = state in ("FATAL", "ABSENT") or (state == "BACKOFF" and not restarts)
            if ended or len(processes - {0}) > 1 + restarts:
                raise ProviderError(
                    f"{self.name} ends right after its start. Its log {log} ends with:\n{tail(log)}"
                )
            return ports.answers(port, self._inputs["ready"])

        if not wait_until(ready, self._inputs["readySeconds"]):
            raise ProviderError(
                f"{self.name} was not ready on port {port} within {self._inputs['readySeconds']} s. "
                f"Its log {log} ends with:\n{tail(log)}"
            )
        self._write_target(port)

    def remove(self) -> None:
        """Stop it and remove what was written for it. Its log stays until others have ended after it."""
        self._target.unlink(missing_ok=True)
        self._daemon.remove(self.name, self._inputs["stopSeconds"])
        shutil.rmtree(self._own, ignore_errors=True)
        self._claims.release(self.name)
        self._daemon.prune_logs()

    def _ready(self) -> bool:
        port = self._claims.of(self.name)
        return port is not None and ports.answers(port, self._inputs["ready"], ANSWER_SECONDS)

    def _check_port(self) -> None:
        # Before anything is stopped: a fixed port that can't be had must not cost what runs on another.
        port = self._inputs["port"]
        if port and self._claims.of(self.name) != port and not ports.free(port):
            raise ProviderError(ports.in_use(port, self.name))

    def _launch(self) -> int:
        self._daemon.halt(self.name, self._inputs["stopSeconds"])
        port = self._inputs["port"]
        if not port:
            port = self._claims.choose(self.name)
        elif not self._given_back(port):
            raise ProviderError(ports.in_use(port, self.name))
        else:
            self._claims.hold(self.name, port)
        write_file(self._own / "start", script(self._inputs, port, self._own))
        write_file(self._section, _SECTION.format(name=self.name, stop=self._inputs["stopSeconds"]))
        self._daemon.begin(self.name)
        return port

    def _given_back(self, port: int) -> bool:
        def lost() -> bool:
            pid = None if ports.free(port) else ports.holder(port)
            return pid is None or not marked(pid, self._folder)

        if wait_until(lambda: ports.free(port), _PORT_SECONDS):
            return True
        # Its own children may end a while after it did; what belongs to others won't go away.
        wait_until(lost, _CHILD_SECONDS)
        return ports.free(port)

    def _write(self) -> None:
        make_folder(self._own)
        make_folder(self._target.parent)
        for name, text in self._inputs["files"].items():
            write_file(self._own / name, text)
        for name, text in self._inputs["seeds"].items():
            if not (self._own / name).exists():
                write_file(self._own / name, text)

    def _write_target(self, port: int) -> None:
        if self._inputs["scrape"] is None:
            self._target.unlink(missing_ok=True)
            return
        labels = {**self._inputs["scrape"], "__metrics_path__": self._inputs["metricsPath"]}
        target = {"targets": [f"127.0.0.1:{port}"], "labels": labels}
        write_file(self._target, json.dumps([target]))

    def _snapshot(self) -> dict[Path, str | None]:
        names = (*self._inputs["files"], "start", self._identity.name)
        paths = [self._section, self._target, *(self._own / name for name in names)]
        return {path: read_file(path) for path in paths}

    def _back_to(self, before: dict[Path, str | None], stopped: bool) -> None:
        # The first error is the one to tell; a disk that is full now may well refuse this too.
        with suppress(ProviderError):
            if before[self._section] is None:
                self.remove()
                return
            for path, text in before.items():
                if text is not None:
                    write_file(path, text)
                elif path == self._identity:
                    path.unlink(missing_ok=True)
            if stopped:
                self._daemon.halt(self.name, self._inputs["stopSeconds"])
                self._daemon.begin(self.name)


def script(inputs: Properties, port: int, own: Path) -> str:
    """The script that becomes the program: supervisord's own syntax can't quote everything."""
    words = [str(w).replace("{port}", str(port)).replace("{folder}", str(own)) for w in inputs["command"]]
    exports = [
        f"export {name}={shlex.quote(str(text))}" for name, text in sorted(inputs["environment"].items())
    ]
    return "\n".join(["#!/bin/sh", *exports, f"exec {shlex.join(words)}", ""])
