"""``delivery:local:Supervisor``: the supervisord that keeps this stack's processes running.

Input ``folder``: the run folder (absolute). Outputs: the same, and ``running``. Deleting it stops every
process that still runs in the folder, unless a later creation has taken the folder over: the id is unique to
each, and the folder's file ``identity`` has the latest.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from provider.daemon import Daemon
from provider.files import read_file, write_file
from provider.resource import Checked, Context, Diff, Failure, Properties, ProviderError
from provider.room import TO_CHANGE, TO_START

_IDENTITY = "identity"


class Supervisor:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        daemon = Daemon(Path(new["folder"]))
        try:
            # Once it is there, each program that is to start is checked by itself.
            daemon.prove(TO_CHANGE if old is not None and daemon.alive() else TO_START)
        except ProviderError as error:
            return Checked(new, (Failure("", str(error)),))
        return Checked(new)

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        if state["folder"] != new["folder"]:
            return Diff({"folder": True}, delete_before_replace=True)
        if not Daemon(Path(new["folder"])).alive():
            return Diff(
                {"running": False},
                remark="supervisord is not running; it will be started again with everything it kept",
            )
        if read_file(Path(new["folder"], _IDENTITY)) not in (None, id):
            return Diff({"running": False}, remark="supervisord is taken back from an interrupted update")
        return Diff() if state.get("running", True) else Diff({"running": False})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if context.preview:
            return "", {**inputs, "running": True}
        id = f"supervisord.{secrets.token_hex(3)}"
        folder = Path(inputs["folder"])
        Daemon(folder).start()
        write_file(folder / _IDENTITY, id)
        return id, {**inputs, "running": True}

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        folder = Path(state["folder"])
        return {**state, "running": Daemon(folder).alive()} if folder.exists() else None

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        if not context.preview:
            folder = Path(new["folder"])
            Daemon(folder).start()
            if read_file(folder / _IDENTITY) not in (None, id):
                write_file(folder / _IDENTITY, id)
        return {**new, "running": True}

    def delete(self, context: Context, id: str, state: Properties) -> None:
        folder = Path(state["folder"])
        if read_file(folder / _IDENTITY) in (None, id):
            Daemon(folder).stop()
