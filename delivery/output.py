"""The standard output of a command, as terminals, pipes and old locales are."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def prepare() -> None:
    """Let a terminal that can't show a letter show another one, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # not every stream has it


def write(text: str) -> None:
    """Write a text; whoever reads it may have gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon()


def abandon() -> None:
    """Send what is still to come nowhere: the interpreter would complain when it closes a broken pipe."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
