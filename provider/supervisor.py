"""``delivery:local:Supervisor``: the supervisord that keeps this stack's processes running.

Input ``folder``: the run folder (absolute). Outputs: the same, and ``running``. Deleting it stops every
process that still runs in the folder.
"""

from __future__ import annotations

from pathlib import Path

from provider.daemon import Daemon
from provider.resource import Checked, Context, Diff, Properties


class Supervisor:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        return Checked(new)

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        if state["folder"] != new["folder"]:
            return Diff({"folder": True}, delete_before_replace=True)
        if not Daemon(Path(new["folder"])).alive():
            return Diff(
                {"running": False},
                remark="supervisord is not running; it will be started again with everything it kept",
            )
        return Diff() if state.get("running", True) else Diff({"running": False})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if not context.preview:
            Daemon(Path(inputs["folder"])).start()
        return "supervisord", {**inputs, "running": True}

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        folder = Path(state["folder"])
        return {**state, "running": Daemon(folder).alive()} if folder.exists() else None

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        if not context.preview:
            Daemon(Path(new["folder"])).start()
        return {**new, "running": True}

    def delete(self, context: Context, id: str, state: Properties) -> None:
        Daemon(Path(state["folder"])).stop()
