"""Review a change of an environment with no cloud account: `make review ENV=prod SINCE=main`.

    python -m planning.review ENV --since REF [arguments of `delivery review`]

The state is what the file as of a git commit gives, on stand-ins for the providers (see `planning`); the
preview of the checkout's file on that state, with the policy pack, is reviewed as a real one is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from components.environment import ConfigError, LocalPlatform, read
from delivery.review import command
from planning.stack import PlanError, PlannedStack, as_of
from planning.stand_ins import ROOT


def main() -> int:
    arguments = parsed()
    file = ROOT / f"Pulumi.{arguments.environment}.yaml"
    try:
        if isinstance(read(file).platform, LocalPlatform):
            print(f"{file.name} is of this machine: leave SINCE= out", file=sys.stderr)
            return 2
        before = as_of(arguments.since, file)
    except (ConfigError, PlanError) as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="review-") as folder:
        stack = PlannedStack(Path(folder) / "stack", arguments.environment)
        try:
            stack.declare(before)
            stack.up()
        except PlanError as error:
            print(error, file=sys.stderr)
            return 1
        return review(stack, file.read_text(), arguments)


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's arguments, or those in ``words``."""
    parser = argparse.ArgumentParser(prog="make review")
    parser.add_argument("environment", help="prod for Pulumi.prod.yaml")
    parser.add_argument("--since", required=True, help="the git commit whose file is taken as applied")
    command.configure(parser)
    return parser.parse_args(words)


def review(stack: PlannedStack, text: str, arguments: argparse.Namespace) -> int:
    """Review what the text of a Pulumi.<stack>.yaml changes in an applied stack; the exit code."""
    stack.declare(text)
    arguments.stack = stack.name
    arguments.config_file = stack.config
    arguments.note = (
        f"A plan without an account: the state is what Pulumi.{stack.name}.yaml as of {arguments.since} "
        "gives, the providers and the model registry are stand-ins, and so is what policy says of releases."
    )
    return command.run(arguments, environment=stack.env)


if __name__ == "__main__":
    sys.exit(main())
