"""Plan an environment with no cloud account: `make plan ENV=prod`.

    python -m planning ENV [--since REF [--program]]

Prints what `pulumi preview` finds for the checkout's program and Pulumi.<ENV>.yaml, on an empty state, or,
with --since, on the state that the file as of a git commit gives, and with --program, the program as of that
commit, which shows what a newer version of this project changes: each resource with what is done to it, and
each property that changes. Then everything is applied to the stand-ins, since a first preview can't check
what depends on a cluster that isn't there yet, and the policy pack judges what that gives.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from components.environment import ConfigError, LocalPlatform, read
from planning.rendering import changes
from planning.schema import PACKAGES
from planning.stack import PlanError, PlannedStack, as_of, program_as_of
from planning.stand_ins import ROOT

_REAL = "the engine, the program, the file, the release lookup and its digests, previews and diffs"
_STANDING_IN = (
    f"the providers {', '.join(PACKAGES)}: each input is checked against what the official SDK declares;"
    " ids, ARNs and addresses are made up",
    "the model registry: every version that the file names is taken to exist",
    "the state: {state}, thrown away after this",
    "the secrets provider: values under `secure:` are not decrypted",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make plan", description="Plan an environment with no cloud account."
    )
    parser.add_argument("environment", help="prod for Pulumi.prod.yaml")
    parser.add_argument("--since", help="start from the file as of this git commit, instead of from nothing")
    parser.add_argument(
        "--program", action="store_true", help="with --since: that state is of the program as of then, too"
    )
    arguments = parser.parse_args()
    if arguments.program and not arguments.since:
        parser.error("--program needs --since")
    file = ROOT / f"Pulumi.{arguments.environment}.yaml"
    try:
        if isinstance(read(file).platform, LocalPlatform):
            # Its providers are real: applying it to stand-ins would start its servers.
            print(f"{file.name} is of this machine and needs no account: ./pulumiw preview", file=sys.stderr)
            return 2
        before = as_of(arguments.since, file) if arguments.since else None
    except (ConfigError, PlanError) as error:
        print(error, file=sys.stderr)
        return 2
    also = " and the program" if arguments.program else ""
    state = f"what {file.name}{also} as of {arguments.since} gives" if arguments.since else "empty"
    print(f"A plan of {file.name} with no cloud account.\n  Real: {_REAL}.")
    for part in _STANDING_IN:
        print(f"  Standing in: {part.format(state=state)}.")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        try:
            then = program_as_of(arguments.since, Path(folder)) if arguments.program else ROOT
            stack = PlannedStack(Path(folder) / "stack", arguments.environment, program=then)
            if before is not None:
                _step(f"Applying {file.name}{also} as of {arguments.since} to the stand-ins")
                stack.declare(before)
                stack.up()
                stack.go_on_with(ROOT)
            _step(f"Planning {file.name}")
            stack.declare(file.read_text())
            print(f"\n{changes(stack.steps(), {folder: '<folder>', str(ROOT): '<checkout>'})}", flush=True)
            _step("Applying it to the stand-ins, with the policy pack")
            applied = stack.up("--policy-pack", str(ROOT / "policy"))
        except PlanError as error:
            print(error, file=sys.stderr)
            return 1
    print("Applied to the stand-ins as well: every input is one that the SDKs declare.")
    print(f"The policy pack stops nothing of it; what it says:\n\n{policies(applied.text)}")
    return 0


def _step(what: str) -> None:
    print(f"{what} (usually half a minute) …", flush=True)


def policies(text: str) -> str:
    """What the policy pack says in an output of Pulumi."""
    found = re.search(r"^Policies:\n((?: {4}.*\n?|\n)*)", text, re.MULTILINE)
    return found[1].rstrip() if found else "    nothing: Pulumi didn't run it"


if __name__ == "__main__":
    sys.exit(main())
