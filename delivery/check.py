"""`python -m delivery check`: read every file that people edit, and say each mistake in them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from components.environment import ConfigError, read
from delivery.stack_file import ROOT
from policy import enforcement, exemptions, rules

NAME = "check"
HELP = "read every Pulumi.<stack>.yaml and the policy pack's settings, and say each mistake"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments: all files are read."""
    del parser


def run(arguments: argparse.Namespace, root: Path | None = None) -> int:
    """Read the files of a checkout; returns 0, or 2 where one of them has a mistake."""
    del arguments
    mistakes: list[str] = []
    for file in sorted((root or ROOT).glob("Pulumi.*.yaml")):
        try:
            environment = read(file)
        except ConfigError as error:
            mistakes.append(str(error))
        else:
            count = len(environment.models)
            print(f"{file.name}: {count} model{'' if count == 1 else 's'}")
    try:
        every = rules.every()
        enforcement.read(every)
        found = exemptions.read(every, datetime.now(UTC))
    except ConfigError as error:
        mistakes.append(str(error))
    else:
        print(f"policy: {len(every)} rules, {len(found.every)} exemptions")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 2 if mistakes else 0
