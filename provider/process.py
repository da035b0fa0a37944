"""``delivery:local:Process``: one supervised process on this machine, ready before its creation returns.

Inputs
    folder        the run folder (absolute)
    command       words; ``{port}`` stands for the port and ``{folder}`` for the process' own folder
    environment   variables by name, added to a minimal environment
    port          a fixed loopback port, or 0: a free one is chosen once and kept
    ready         the path that answers 2xx when the process can take work
    files         text by file name, written to the process' own folder before it starts
    seeds         the same, but only where the file is missing: others own it afterwards
    source        a folder of Python code that the process runs, or null; the check adds ``sourceDigest``
    scrape        labels for Prometheus, or null; the metrics path is ``__metrics_path__``
    stopSeconds   how long it may take to end by itself after SIGTERM
    readySeconds  how long it may take to become ready

Outputs: the inputs, ``port`` as taken, ``address`` (``127.0.0.1:PORT``), ``program`` (supervisord's name of it).

A process on a fixed port restarts in place when it changes. One on a chosen port is replaced: the new process is ready
before the old one is stopped, so a changed server never leaves its endpoint empty.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import socket
from pathlib import Path

from provider.daemon import Daemon, make_folder, tail, wait_until, write_file
from provider.resource import (
    UNKNOWN,
    Checked,
    Context,
    Diff,
    Failure,
    Properties,
    ProviderError,
    changed_paths,
)

_DEFAULTS: Properties = {
    "environment": {},
    "port": 0,
    "files": {},
    "seeds": {},
    "source": None,
    "sourceDigest": None,
    "scrape": None,
    "stopSeconds": 30,
    "readySeconds": 60,
}
_NO_RESTART = ("scrape", "stopSeconds", "readySeconds", "seeds")
_UP = ("RUNNING", "STARTING")
_CHOSEN_PORTS = range(20000, 32000)


class Process:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        inputs = {**_DEFAULTS, **{k: v for k, v in new.items() if v is not None}}
        inputs["sourceDigest"] = _source_digest(inputs["source"])
        failures: list[Failure] = []
        port = inputs["port"]
        taken = old is None or old.get("port") != port
        if (
            taken
            and isinstance(port, int)
            and port
            and not _own_program(inputs, context.name)
            and not _free(port)
        ):
            failures.append(
                Failure(
                    "port",
                    f"port {port} on 127.0.0.1 is in use by another program; stop it, or choose another port for {context.name}",
                )
            )
        program: object = inputs["command"][0]
        if isinstance(program, str) and not shutil.which(program):
            failures.append(Failure("", f"{program} is missing or not executable; run 'make tools'"))
        return Checked(inputs, tuple(failures))

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        fixed = bool(new["port"])
        paths = [p for key in _DEFAULTS.keys() | new.keys() for p in _changed(key, state, new)]
        changes = {p: not fixed and _top(p) not in _NO_RESTART for p in sorted(paths)}
        if "folder" in changes:
            changes["folder"] = True
        if changes:
            return Diff(changes)
        if (trouble := _trouble(state, id)) is None:
            return Diff()
        return Diff({"program": False}, remark=f"{context.name} {trouble}; it will be repaired")

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if context.preview:
            port = inputs["port"] or UNKNOWN
            return "", _outputs(inputs, UNKNOWN if not inputs["port"] else context.name, port)
        program = _program(context.name, inputs)
        port = inputs["port"] or _choose_port(program)
        self._start(program, port, inputs)
        return program, _outputs(inputs, program, port)

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        if _status(state, id) == "ABSENT":
            return None
        own = _own_folder(state, id)
        files = {name: (own / name).read_text() if (own / name).exists() else "" for name in state["files"]}
        return {**state, "files": files}

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        port = new["port"] or state["port"]
        restart = any(_top(p) not in _NO_RESTART for key in new for p in _changed(key, state, new))
        if not context.preview:
            if restart or _status(state, id) not in _UP:
                self._start(id, port, new)
            else:
                self._await_ready(id, port, new)
        return _outputs(new, id, port)

    def delete(self, context: Context, id: str, state: Properties) -> None:
        folder = Path(state["folder"])
        _scrape_file(folder, id).unlink(missing_ok=True)
        Daemon(folder).remove(id)
        shutil.rmtree(_own_folder(state, id), ignore_errors=True)

    def _start(self, program: str, port: int, inputs: Properties) -> None:
        folder = Path(inputs["folder"])
        own = _own_folder(inputs, program)
        make_folder(own)
        for name, text in inputs["files"].items():
            write_file(own / name, text)
        for name, text in inputs["seeds"].items():
            if not (own / name).exists():
                write_file(own / name, text)
        daemon = Daemon(folder)
        if not daemon.alive():
            raise ProviderError(
                f"supervisord of {folder} is not running; run the same command again to start it"
            )
        daemon.launch(program, _section(program, port, inputs))
        try:
            self._await_ready(program, port, inputs)
        except ProviderError:
            daemon.remove(program)
            raise

    def _await_ready(self, program: str, port: int, inputs: Properties) -> None:
        daemon = Daemon(Path(inputs["folder"]))
        log = daemon.logs / f"{program}.log"

        def ready() -> bool:
            if (state := daemon.state(program)) in ("FATAL", "ABSENT"):
                raise ProviderError(
                    f"{program} ends right after its start (supervisord says {state}). "
                    f"Its log {log} ends with:\n{tail(log)}"
                )
            return _answers(port, inputs["ready"])

        if not wait_until(ready, inputs["readySeconds"]):
            raise ProviderError(
                f"{program} was not ready on port {port} within {inputs['readySeconds']} s. "
                f"Its log {log} ends with:\n{tail(log)}"
            )
        _write_scrape(inputs, program, port)


def _outputs(inputs: Properties, program: object, port: object) -> Properties:
    address = f"127.0.0.1:{port}" if port is not UNKNOWN else UNKNOWN
    return {**inputs, "chosen": not inputs["port"], "port": port, "program": program, "address": address}


def _changed(key: str, state: Properties, new: Properties) -> list[str]:
    if key == "port" and not new["port"] and state.get("chosen"):
        return []
    return changed_paths(state.get(key), new.get(key), key)


def _top(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _program(name: str, inputs: Properties) -> str:
    # A replacement runs beside its predecessor for a while, so its name says what it runs; a fixed port never doubles.
    if inputs["port"]:
        return name
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return f"{name}.{digest[:6]}"


def _source_digest(folder: str | None) -> str | None:
    """A digest over the folder's Python files: a new server is a change of the process, although its command is the same."""
    if folder is None:
        return None
    total = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        total.update(f"{path.relative_to(folder)}\0{path.read_text()}\0".encode())
    return total.hexdigest()[:16]


def _own_program(inputs: Properties, name: str) -> bool:
    folder = inputs.get("folder")
    return isinstance(folder, str) and Daemon(Path(folder)).has(name)


def _own_folder(properties: Properties, program: str) -> Path:
    return Path(properties["folder"]) / "processes" / program


def _status(state: Properties, program: str) -> str:
    return Daemon(Path(state["folder"])).state(program)


def _trouble(state: Properties, program: str) -> str | None:
    found = _status(state, program)
    if found not in _UP:
        return f"is not running (supervisord says {found})"
    return None if _answers(state["port"], state["ready"]) else "does not answer"


def _section(program: str, port: int, inputs: Properties) -> str:
    own = _own_folder(inputs, program)
    words = [str(w).replace("{port}", str(port)).replace("{folder}", str(own)) for w in inputs["command"]]
    environment = ",".join(f"{key}={_quoted(value)}" for key, value in sorted(inputs["environment"].items()))
    return "\n".join(
        [
            f"[program:{program}]",
            f"command = {' '.join(_quoted(w) for w in words)}",
            f"directory = {_escaped(str(own))}",
            f"environment = {environment}",
            "autorestart = true",
            # Three quick failures in a row are a broken program; a killed one comes back at once.
            "startsecs = 1",
            "startretries = 3",
            f"stopwaitsecs = {inputs['stopSeconds']}",
            "stopasgroup = true",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_escaped(str(Path(inputs['folder']) / 'logs' / f'{program}.log'))}",
            "stdout_logfile_maxbytes = 10MB",
            "stdout_logfile_backups = 1",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _scrape_file(folder: Path, program: str) -> Path:
    return folder / "targets" / f"{program}.json"


def _write_scrape(inputs: Properties, program: str, port: int) -> None:
    path = _scrape_file(Path(inputs["folder"]), program)
    if inputs["scrape"] is None:
        path.unlink(missing_ok=True)
        return
    make_folder(path.parent)
    write_file(path, json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": inputs["scrape"]}]))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _choose_port(program: str) -> int:
    # Below the range that the kernel hands to clients, and from a start of the program's own, so that processes which are
    # created side by side don't all ask for the same port.
    start = int.from_bytes(hashlib.sha256(program.encode()).digest()[:4]) % len(_CHOSEN_PORTS)
    for offset in range(len(_CHOSEN_PORTS)):
        port = _CHOSEN_PORTS[(start + offset) % len(_CHOSEN_PORTS)]
        if _free(port):
            return port
    raise ProviderError(f"no port is free between {_CHOSEN_PORTS[0]} and {_CHOSEN_PORTS[-1]} on 127.0.0.1")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
