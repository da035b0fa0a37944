"""What a plan costs as a fleet grows: the real engine, stand-in providers.

    python -m benchmarks.plan growth [--models 1,10,100] [--first-only 500]   all models in one stack
    python -m benchmarks.plan fleet [--models 5000] [--each 10] [--rounds 5]  split over stacks

A cost is the seconds from the command to its end, and the CPU seconds of the engine, the program and the
plugins together, which other work on the machine changes less. A real provider adds its own work, and a
network.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys

from benchmarks import stopping
from benchmarks.plan import fleet, growth


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plan", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    growing = commands.add_parser("growth", help="one stack with more and more models")
    growing.add_argument("--models", type=_numbers, default=[1, 10, 100], help="planned, applied, promoted")
    growing.add_argument("--first-only", type=_numbers, default=[500], help="planned from nothing alone")
    split = commands.add_parser("fleet", help="a promotion beside few and beside many other stacks")
    split.add_argument("--models", type=int, default=5000, help="in the large fleet")
    split.add_argument(
        "--each", type=int, default=10, help="models in each stack; one stack is the small fleet"
    )
    split.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    print(f"{os.cpu_count()} cores, {machine}, load average {os.getloadavg()[0]:.0f}")
    if arguments.command == "growth":
        growth.run(arguments.models, arguments.first_only)
    else:
        fleet.run(arguments.models, arguments.each, arguments.rounds)
    print(f"load average at the end {os.getloadavg()[0]:.0f}")
    return 0


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word]


if __name__ == "__main__":
    sys.exit(stopping.run(main))
