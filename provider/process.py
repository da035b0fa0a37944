"""``delivery:local:Process``: one supervised process on this machine, ready before its creation returns.

Inputs
    folder        the run folder (absolute)
    command       words; ``{port}`` stands for the port and ``{folder}`` for the process' own folder
    environment   variables by name, added to a minimal environment
    port          a fixed loopback port, or 0: a free one is chosen and kept, unless another program takes it
                  while the process is down
    ready         the path that answers 2xx when the process can take work
    files         text by file name, written to the process' own folder before it starts
    seeds         the same, but only where the file is missing: others own it afterwards
    source        a folder of Python code that the process runs, or null; the check adds ``sourceDigest``
    scrape        labels for Prometheus, or null
    metricsPath   where it is scraped
    stopSeconds   how long it may take to end by itself after SIGTERM
    readySeconds  how long it may take to become ready

Outputs: the inputs, ``port`` as taken, ``chosen`` (whether it was), ``address`` (``127.0.0.1:PORT``),
``program`` (supervisord's name of it), ``running``.

A process on a fixed port restarts in place when it changes. One on a chosen port is replaced: the new
process is ready before the old one is stopped, so a changed server never leaves its endpoint empty.

The id is unique to each creation, so that the engine, which deletes a replaced resource after it has created
its successor, never ends the successor. On a chosen port the id is the program's name too. On a fixed port
there is one program, named after the resource; it notes the id of the creation that it belongs to, and the
deletion of a former one leaves it alone.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import threading
from pathlib import Path

from provider import ports
from provider.daemon import Daemon
from provider.gateway import routed_addresses
from provider.orphans import marked
from provider.program import Program
from provider.resource import (
    UNKNOWN,
    Checked,
    Context,
    Diff,
    Failure,
    Properties,
    ProviderError,
    changed_paths,
    top,
)

_DEFAULTS: Properties = {
    "environment": {},
    "port": 0,
    "files": {},
    "seeds": {},
    "source": None,
    "sourceDigest": None,
    "scrape": None,
    "metricsPath": "/metrics",
    "stopSeconds": 30,
    "readySeconds": 60,
}
_NO_RESTART = ("scrape", "metricsPath", "stopSeconds", "readySeconds", "seeds")


class Process:
    """See the module's text for inputs and outputs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By run folder and resource name: the programs in this engine's state. Others are strays.
        self._known: dict[tuple[str, str], set[str]] = {}

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        inputs = {**_DEFAULTS, **{k: v for k, v in new.items() if v is not None}}
        failures: list[Failure] = []
        try:
            inputs["sourceDigest"] = source_digest(inputs["source"])
        except OSError as error:
            failures.append(Failure("", f"{error.filename} can't be read: {error.strerror}"))
        failures += _port_failures(context.name, inputs)
        failures += _room_failures(old, inputs)
        command, environment = inputs["command"], inputs["environment"]
        program: object = UNKNOWN if command is UNKNOWN else command[0]
        if isinstance(program, str) and not shutil.which(program):
            failures.append(Failure("", f"{program} is missing or not executable; run 'make setup'"))
        names = () if environment is UNKNOWN else environment
        bad = [n for n in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", n)]
        failures += [Failure("", f"environment: {n!r} is no name of a variable") for n in bad]
        return Checked(inputs, tuple(failures))

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        self._know(new["folder"], context.name, id)
        if changes := input_changes(state, new):
            return Diff(changes, delete_before_replace="folder" in changes and bool(new["port"]))
        program = _program(id, state, state)
        by_hand = changed_paths(program.files(), state["files"], "files")
        if by_hand:
            names = ", ".join(
                name for name in state["files"] if state["files"][name] != program.files().get(name)
            )
            return Diff(
                dict.fromkeys(by_hand, False),
                remark=f"{context.name}: {names} changed by hand; what was declared will be written again",
            )
        if program.identity() not in (None, id):
            # An engine that was killed after it had created a successor, and before it noted that.
            return Diff({"running": False}, remark=f"{context.name} will be started anew")
        trouble = program.trouble()
        if not trouble and state.get("running", True):
            return Diff()
        if not trouble:
            return Diff({"running": False}, remark=f"{context.name} is running again")
        changes, remark = {"running": False}, f"{context.name} {trouble}; it will be repaired"
        if state["chosen"] and program.must_move():
            changes |= {"port": False, "address": False}
            remark += f", on another port since {state['port']} was taken meanwhile"
        return Diff(changes, remark=remark)

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        fixed = inputs["port"]
        if context.preview:
            return "", outputs(inputs, context.name if fixed else UNKNOWN, fixed or UNKNOWN)
        id = new_id(context.name)
        name = context.name if fixed else id
        port = Program(name, inputs).start(id)
        self._know(inputs["folder"], context.name, id)
        # Only now: what is replaced may be among them, unknown to this process, and must not end before.
        self._remove_strays(context.name, inputs)
        return id, outputs(inputs, name, port)

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        program = _program(id, state, state)
        if not program.exists or program.identity() not in (None, id):
            return None
        return {**state, "files": program.files(), "running": program.running()}

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        program = _program(id, state, new)
        if context.preview:
            moves = not new["port"] and program.must_move()
            return outputs(new, program.name, UNKNOWN if moves else new["port"] or state["port"])
        port = new["port"] or state["port"]
        changed = any(top(path) not in _NO_RESTART for path in input_changes(state, new))
        own = program.identity() in (None, id)
        if changed or not own or program.files() != new["files"] or not program.running() or program.hangs():
            port = program.start(id)
        else:
            program.await_ready(port)
        return outputs(new, program.name, port)

    def delete(self, context: Context, id: str, state: Properties) -> None:
        program = _program(id, state, state)
        if program.identity() in (None, id):
            program.remove()
        with self._lock:
            known = self._known.get((state["folder"], context.name), set())
            known.discard(id)
        if known:
            self._remove_strays(context.name, state)

    def _know(self, folder: str, name: str, program: str) -> None:
        with self._lock:
            self._known.setdefault((folder, name), set()).add(program)

    def _remove_strays(self, name: str, inputs: Properties) -> None:
        """Remove what a killed engine started and never noted: unknown to this engine, named by no route."""
        folder = Path(inputs["folder"])
        claims = ports.Claims(folder)
        with self._lock:
            known = set(self._known.get((inputs["folder"], name), ()))
        routed = routed_addresses(folder)
        for program in claims.programs(name):
            if program not in known and f"127.0.0.1:{claims.of(program)}" not in routed:
                Program(program, inputs).remove()


def input_changes(state: Properties, new: Properties) -> dict[str, bool]:
    """Input paths that differ from the last apply, to whether that needs a new process beside the old one."""
    if state["chosen"] != (not new["port"]):
        return {"port": True}
    replaces = not new["port"]
    paths: list[str] = []
    for key in sorted(_DEFAULTS.keys() | new.keys()):
        if key != "port" or new["port"]:
            paths += changed_paths(state.get(key), new.get(key), key)
    return {p: p == "folder" or (replaces and top(p) not in _NO_RESTART) for p in paths}


def outputs(inputs: Properties, program: object, port: object) -> Properties:
    """What is known of a process with these inputs."""
    address = UNKNOWN if port is UNKNOWN else f"127.0.0.1:{port}"
    taken: Properties = {"chosen": not inputs["port"], "port": port, "address": address}
    return {**inputs, **taken, "program": program, "running": True}


def _program(id: str, state: Properties, inputs: Properties) -> Program:
    """The program of a process in the state, as ``inputs`` describe it."""
    return Program(str(state.get("program") or id), inputs)


def new_id(name: str) -> str:
    """An id that no other creation has: the resource's name and six random hex digits."""
    return f"{name}.{secrets.token_hex(3)}"


def source_digest(folder: str | None) -> str | None:
    """A digest over the folder's Python files: new code is a change, although the command is the same."""
    if folder is None:
        return None
    total = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        name, content = str(path.relative_to(folder)).encode(), path.read_bytes()
        total.update(b"%d %d " % (len(name), len(content)) + name + content)
    return total.hexdigest()[:16]


def _room_failures(old: Properties | None, inputs: Properties) -> list[Failure]:
    """What a plan already knows: that the disk doesn't take a program that this change starts."""
    keys = [key for key in _DEFAULTS.keys() | inputs.keys() if key not in _NO_RESTART]
    daemon = Daemon(Path(inputs["folder"]))
    # In another folder, nothing runs that could be ended.
    if not daemon.programs.exists() or (old and all(old.get(key) == inputs.get(key) for key in keys)):
        return []
    try:
        daemon.prove()
    except ProviderError as error:
        return [Failure("", str(error))]
    return []


def _port_failures(name: str, inputs: Properties) -> list[Failure]:
    port = inputs["port"]
    if not isinstance(port, int) or not port or ports.free(port):
        return []
    folder = Path(inputs["folder"])
    pid = ports.holder(port)
    # Its own program, or what a killed supervisord left of it, which ends when the next one starts.
    own = ports.Claims(folder).of(name) == port and pid is not None and marked(pid, folder)
    return [] if own else [Failure("", ports.in_use(port, name))]
