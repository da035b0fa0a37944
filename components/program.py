"""How the SDK runs a program: one that declares thousands of resources without what grows with their number,
and one that has a mistake with a word on the mistake alone.

Measured with 100 models, 1,800 resources (docs/benchmarks.md, "What a plan costs as a fleet grows").
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pulumi

from components.environment import ConfigError

DEBUG = "MODEL_DELIVERY_DEBUG"
"""Environment variable: any text but the empty one keeps the SDK's own debug messages."""

REPORTED = 32
"""Exit code by which Pulumi's hosts of Python programs learn that the user has been told what is wrong
(pulumi-language-python-exec). After any other but 0 the engine adds an error of its own, "unhandled"."""

_OBJECTS = 100_000


def prepare() -> None:
    """Have the SDK run the program so; called once, before the first resource is declared."""
    # Nearly all objects live until the program ends; the default looks through them again after each 700 new
    # ones.
    gc.set_threshold(_OBJECTS, 10, 10)
    if not os.environ.get(DEBUG):
        # Each message is a request to the engine that the program waits for, several a resource; `--debug`
        # alone shows them.
        pulumi.log.debug = _unsaid
    pulumi.run(_begin)


@contextmanager
def mistakes_told() -> Generator[None]:
    """Tell what a ``ConfigError`` or ``pulumi.RunError`` says as the program's error, and end the program."""
    try:
        yield
    except (ConfigError, pulumi.RunError) as mistake:
        pulumi.log.error(str(mistake))
        sys.exit(REPORTED)


async def _begin() -> None:
    """What the SDK awaits when all is declared.

    It waits for its registrations one by one, unless none has begun yet: then it waits for all outputs
    together, and again after each (pulumi.runtime.stack.wait_for_rpcs). One turn of the loop begins them.
    """
    await asyncio.sleep(0)


def _unsaid(*_: object, **__: object) -> None:
    """In the place of `pulumi.log.debug`."""
