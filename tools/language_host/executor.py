"""Run one Pulumi program: connect to the engine, run the program in its stack, report how it failed.

Started by the host under the program's own Python, so it uses nothing but the standard library and the SDK.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import runpy
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

REPORTED = 32
"""Exit code that tells the host that the user has already been shown what went wrong."""

THREADS_PER_OPERATION = 4


def main() -> int:
    _end_with_the_host()
    arguments = _arguments()
    try:
        import pulumi
        import pulumi.runtime
    except ImportError as error:
        sys.stderr.write(
            f"The Pulumi SDK can't be imported by {sys.executable} ({error}).\n"
            "Install the project's dependencies first: `pulumi install`, or `uv sync` in the project's "
            "folder.\n"
        )
        return 1

    pulumi.runtime.set_all_config(
        pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env()
    )
    parallel = int(arguments.parallel)
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=arguments.project,
            stack=arguments.stack,
            monitor=arguments.monitor,
            engine=arguments.engine,
            parallel=parallel,
            dry_run=arguments.dry_run == "true",
            organization=arguments.organization,
            root_directory=arguments.root_directory,
        )
    )
    # Futures that a failed program leaves behind are no news to anybody: the failure itself is reported
    # below.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    os.chdir(arguments.pwd)
    sys.argv = [arguments.program, *arguments.arguments]
    program = Path(arguments.program).resolve()

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(parallel, 1) * THREADS_PER_OPERATION)
    loop.set_default_executor(executor)
    try:
        if program.is_dir() and not (program / "__main__.py").exists():
            pulumi.log.error(f"no Python program in {program}: it has no __main__.py")
            return REPORTED
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run(arguments.program)))
        return 0
    except pulumi.RunError as error:
        # The program has said in its own words what is wrong: a traceback would only hide that, and so would
        # the error that the engine adds where a program has reported none.
        pulumi.log.error(str(error))
        return REPORTED
    except KeyboardInterrupt:
        # The engine has cancelled the update, and says so itself. It may never answer what waits for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(REPORTED)
    except Exception as error:
        pulumi.log.error("Program failed with an unhandled exception:\n" + _own_traceback(error, program))
        return REPORTED
    finally:
        executor.shutdown(wait=True)
        loop.close()


def _run(program: str) -> None:
    # The folder of this file is no place for a program's imports.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    runpy.run_path(program, run_name="__main__")


def _own_traceback(error: BaseException, program: Path) -> str:
    """The traceback from the program's first frame on: what ran it is not the user's business."""
    folder = program if program.is_dir() else program.parent
    frame: TracebackType | None = error.__traceback__
    while frame is not None:
        file = Path(frame.tb_frame.f_code.co_filename)
        if file.exists() and file.resolve().parent == folder:
            break
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame or error.__traceback__))


def _end_with_the_host() -> None:
    """Ends this process at once when the host is gone: without an engine a program can do nothing but
    hang."""
    descriptor = os.environ.pop("PULUMI_HOST_LIFELINE", "")
    if not descriptor:
        return
    lifeline = int(descriptor)
    os.set_inheritable(lifeline, False)

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pulumi-language-python-exec")
    for name in (
        "monitor",
        "engine",
        "project",
        "stack",
        "organization",
        "root_directory",
        "pwd",
        "dry_run",
        "parallel",
    ):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)
