"""Review a change of an environment with no cloud account: `make review ENV=prod SINCE=main`.

    python -m tests.plan.review ENV --since REF [arguments of `delivery review`]

The state is what the file as of a git commit gives, on stand-ins for the providers (see tests/plan); the
preview of the checkout's file on that state, with the policy pack, is reviewed as a real one is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from components.environment import ConfigError, read
from delivery.review import command
from tests.plan.stack import PlanError, PlannedStack
from tests.plan.stand_ins import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(prog="make review")
    parser.add_argument("environment", help="prod for Pulumi.prod.yaml")
    parser.add_argument("--since", required=True, help="the git commit whose file is taken as applied")
    command.configure(parser)
    arguments = parser.parse_args()
    file = ROOT / f"Pulumi.{arguments.environment}.yaml"
    try:
        read(file)
        before = subprocess.run(
            ["git", "show", f"{arguments.since}:{file.name}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"{file.name} as of {arguments.since} can't be read: {error.stderr.strip()}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="review-") as folder:
        stack = PlannedStack(Path(folder) / "stack", arguments.environment)
        try:
            stack.declare(before)
            stack.up()
        except PlanError as error:
            print(error, file=sys.stderr)
            return 1
        stack.declare(file.read_text())
        arguments.stack = arguments.environment
        arguments.config_file = stack.config
        arguments.note = (
            f"A plan without an account: the state is what {file.name} as of {arguments.since} gives, the "
            "providers and the model registry are stand-ins, and so is what policy says of releases."
        )
        return command.run(arguments, environment=stack.env)


if __name__ == "__main__":
    sys.exit(main())
