"""Serve a module of the SDK (dynamic resources, policy packs) under the program's own Python, whose packages
it needs.

    module.py MODULE ARGUMENTS    runs `python -m MODULE ARGUMENTS` for as long as the engine lives

The SDK's provider outlives an engine that was killed, so it runs as a child here, and ends with the engine.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

# Runs as a file, from any working directory.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from tools.language_host.children import Children  # noqa: E402
from tools.language_host.engine import Engine  # noqa: E402
from tools.language_host.pythons import OptionError, python_of  # noqa: E402

OPTIONS = {"virtualenv": "PULUMI_RUNTIME_VIRTUALENV", "toolchain": "PULUMI_RUNTIME_TOOLCHAIN"}


def main() -> int:
    """Runs the module; returns its exit code, or 1 when there is no Python for it."""
    options = {name: os.environ[variable] for name, variable in OPTIONS.items() if os.environ.get(variable)}
    try:
        python = python_of(Path.cwd(), options)
    except OptionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    engine, children = Engine(), Children()
    process = children.start(
        [str(python.executable), "-u", "-m", *sys.argv[1:]],
        cwd=Path.cwd(),
        env=python.environment(os.environ),
    )

    def end() -> None:
        engine.wait()
        children.stop_all(told=engine.interrupted)

    threading.Thread(target=end, daemon=True).start()
    return children.wait(process)


if __name__ == "__main__":
    sys.exit(main())
