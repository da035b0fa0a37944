"""`python -m delivery rollback`: takes a model's requests back, in the stack's file.

A canary that answers requests gets none; without one, the stable version before is stable again. Exit codes
are those of `promote`.
"""

from __future__ import annotations

import argparse
import sys

from components.environment import ConfigError
from delivery.errors import DeliveryError
from delivery.moves import rolled_back
from delivery.past import committed, past
from delivery.promote import common, version, write
from delivery.stack_file import load, step_of

NAME = "rollback"
HELP = "take a model's requests back from its canary, or from its stable version, in the stack's file"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--remove", action="store_true", help="take the canary out, instead of weight 0")
    way.add_argument(
        "--to", type=version, metavar="VERSION", help="the version to be stable, without a canary"
    )
    common(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the step back. Returns the exit code."""
    try:
        file = load(arguments.stack, arguments.config_file)
        model = file.model(arguments.model)
        now = step_of(model)
        of = model.registered_model
        known = past(
            arguments.stack,
            file.path,
            model.name,
            now.stable,
            ask=not arguments.offline,
            registered_model=of,
        )
        previous, source = known.previous, known.previous_source
        if previous is None and (git := committed(file.path, model.name, now.stable, of)):
            # A state remembers one step; git has them all.
            previous, source = git.previous, git.previous_source
        step = rolled_back(model.name, now, previous, to=arguments.to, remove=arguments.remove)
        if arguments.to is None and step.stable != now.stable:
            print(f"v{previous} was stable before v{now.stable}, by {source}")
        # Whoever goes back is in a hurry, and every version that gets more has served before.
        return write(file, arguments.stack, model.name, step, known, advise=False)
    except (ConfigError, DeliveryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
