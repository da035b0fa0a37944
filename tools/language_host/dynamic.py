"""Serve dynamic resources under the program's own Python: a provider's code is pickled and needs its
packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from tools.language_host.pythons import OptionError, python_of  # noqa: E402


def main() -> int:
    """Becomes the provider's process. Returns only when there is no Python for it."""
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
    command = [str(python.executable), "-u", "-m", "pulumi.dynamic", *sys.argv[1:]]
    return os.execve(python.executable, command, python.environment(os.environ))  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
