"""What people run around Pulumi: `python -m delivery COMMAND`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

from delivery import check, output, promote, rollback, status
from delivery.review import command as review


class Command(NamedTuple):
    """A subcommand: its name, one line of help, its arguments, and what it does (an exit code)."""

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS = tuple(
    Command(module.NAME, module.HELP, module.configure, module.run)
    for module in (review, promote, rollback, status, check)
)


def main(words: list[str] | None = None) -> int:
    """Run a subcommand; returns its exit code, 2 for a mistake in the arguments."""
    parser = argparse.ArgumentParser(prog="python -m delivery", description="Work on model releases.")
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        described = command.help[0].upper() + command.help[1:] + "."
        command.configure(subcommands.add_parser(command.name, help=command.help, description=described))
    arguments = parser.parse_args(words)
    chosen = next(command for command in COMMANDS if command.name == arguments.command)
    output.prepare()
    try:
        code = int(chosen.run(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        output.abandon()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
