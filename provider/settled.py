"""``delivery:gcp:Settled``: a time that has passed since what is declared before it was done.

Google answers that a right is given before every one of its services knows of it: typically 2 minutes before,
potentially 7 or more (IAM, "Access change propagation", read on 2026-11-28), and there is nothing to ask
whether it is in effect for another principal. What needs the right depends on this, and so comes later.

Inputs: ``seconds``, how long; ``of``, a text that says what was done: another one is another wait. Outputs
are the inputs. Only a creation waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from provider.resource import Checked, Context, Diff, Properties, changed_paths
from provider.waiting import wait_until

_POLL = 0.2


def _wait(seconds: float) -> None:
    # planning/ says so, where no Google gives any right.
    if not os.environ.get("MODEL_DELIVERY_STAND_INS"):
        wait_until(lambda: False, seconds, _POLL)


class Settled:
    """See the module's text for inputs and outputs. ``wait`` lets a number of seconds pass."""

    def __init__(self, wait: Callable[[float], None] = _wait) -> None:
        self._wait = wait

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        return Checked(new)

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        paths = [
            path for key in ("seconds", "of") for path in changed_paths(state.get(key), new.get(key), key)
        ]
        return Diff({path: path == "of" for path in paths})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if not context.preview:
            context.info(f"Google is given {inputs['seconds']} s to make rights known to its services")
            self._wait(float(inputs["seconds"]))
        return context.name, inputs

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        return state

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        return new

    def delete(self, context: Context, id: str, state: Properties) -> None:
        """Nothing to do: it is only in the state."""
