"""Serve dynamic resources under the program's own Python: a provider's code is pickled and needs its packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from tools.language_host.pythons import OptionError, python_of


def main() -> int:
    options = {
        name: os.environ[variable]
        for name, variable in (
            ("virtualenv", "PULUMI_RUNTIME_VIRTUALENV"),
            ("toolchain", "PULUMI_RUNTIME_TOOLCHAIN"),
        )
        if os.environ.get(variable)
    }
    try:
        python = python_of(Path.cwd(), options)
    except OptionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    os.execve(
        python.executable,
        [str(python.executable), "-u", "-m", "pulumi.dynamic", *sys.argv[1:]],
        python.environment(os.environ),
    )


if __name__ == "__main__":
    sys.exit(main())
