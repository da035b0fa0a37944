"""How the tools fail: one message that says what is wrong and what to do next."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable


class ToolError(Exception):
    """Something that the user can put right. The message is complete: no traceback is needed."""


def explain(error: OSError, doing: str) -> ToolError:
    """What an operating system error means for the user, while `doing` something ("writing PATH")."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return ToolError(f"The disk is full: {doing} failed{where}. Free some space and run this again.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ToolError(
            f"No permission to write: {doing} failed{where}. "
            "Use a checkout in a folder that you may write to, or give yourself the right to write there."
        )
    return ToolError(f"{doing} failed: {os.strerror(error.errno or 0)}{where}.")


def run(main: Callable[[], int]) -> int:
    """Runs a command's main function; prints a ToolError or an interruption as one message. Returns the exit
    code."""
    # A terminated command must end what it has started, as an interrupted one does.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except ToolError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {explain(error, 'an operation on a file')}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; run the same command again to go on from here\n")
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
