"""`python -m delivery promote`: gives a version more of a model's requests, in the stack's file.

Exit codes: 0 the file says it; 2 a mistake, nothing was changed; 3 a mandatory rule refuses it.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from components.environment import ConfigError
from delivery.errors import DeliveryError
from delivery.judging import held_to, objections, unjudged
from delivery.moves import promoted
from delivery.past import Past, past
from delivery.stack_file import StackFile, load, step_of
from policy.steps import Step

NAME = "promote"
HELP = "give a version more of a model's requests, in the stack's file"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model")
    parser.add_argument("version", type=version, help="the version of the registry, such as 4")
    share = parser.add_mutually_exclusive_group()
    share.add_argument(
        "--weight", type=_percent, metavar="N", help="percent of the requests (default: one step)"
    )
    share.add_argument("--stable", action="store_true", help="make it the stable version")
    common(parser)


def version(text: str) -> int:
    """A version as an argument. Raises ArgumentTypeError for anything but a whole number, 1 or more."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a version is a whole number, 1 or more, such as 4")
    return int(text)


def _percent(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > 100:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 0 to 100")
    return int(text)


def common(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of every command that edits a stack's file."""
    parser.add_argument("--stack", default="local", help="the stack whose file is edited (default: local)")
    parser.add_argument("--config-file", type=Path, help="another file than Pulumi.<stack>.yaml")
    parser.add_argument("--offline", action="store_true", help="judge by git, without asking for the state")


def run(arguments: argparse.Namespace) -> int:
    """Write the next step, if it is right. Returns the exit code."""
    try:
        file = load(arguments.stack, arguments.config_file)
        model = file.model(arguments.model)
        now = step_of(model)
        step = promoted(
            model.name,
            now,
            arguments.version,
            limits=held_to(arguments.stack, datetime.now(UTC)).settings.limits,
            weight=arguments.weight,
            stable=arguments.stable,
        )
        known = past(
            arguments.stack,
            file.path,
            model.name,
            now.stable,
            ask=not arguments.offline,
            assumed=now,
            registered_model=model.registered_model,
        )
        return write(file, arguments.stack, model.name, step, known)
    except (ConfigError, DeliveryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def write(file: StackFile, stack: str, name: str, step: Step, known: Past, *, advise: bool = True) -> int:
    """Write a step that no mandatory rule refuses, and say so; ``advise``: also what only warns. Returns the
    exit code."""
    model = file.model(name)
    now = step_of(model)
    if step == now:
        print(f"{file.path.name} says it already: {name} {now}")
        return 0
    found = objections(stack, name, known, step, datetime.now(UTC), model.registered_model)
    for objection in (each for each in found if each.stops or advise):
        said = (
            f"refused: {objection.text}\n"
            if objection.stops
            else f"warning: {objection.rule}: {objection.text}"
        )
        print(said, file=sys.stderr)
    new = ", ".join(f"v{version}" for version in unjudged(known, step))
    rest = f"; the preview judges what the registry says of {new}" if new else ""
    print(f"judged by {known.source}{rest}", file=sys.stderr)
    if any(objection.stops for objection in found):
        print(f"{file.path.name} was not changed", file=sys.stderr)
        return 3
    file.write(name, step)
    print(f"{file.path.name}: {name} {now} → {step}")
    print(f"Next: git diff {file.path.name}, make review ENV={stack}, ./pulumiw up --stack {stack}")
    return 0
