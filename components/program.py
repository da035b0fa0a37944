"""How the SDK runs a program that declares thousands of resources: without what grows with their number.

Measured with 100 models, 1,800 resources (docs/benchmarks.md, "What a plan costs as a fleet grows").
"""

from __future__ import annotations

import asyncio
import gc
import os

import pulumi

DEBUG = "MODEL_DELIVERY_DEBUG"
"""Environment variable: any text but the empty one keeps the SDK's own debug messages."""

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


async def _begin() -> None:
    """What the SDK awaits when all is declared.

    It waits for its registrations one by one, unless none has begun yet: then it waits for all outputs
    together, and again after each (pulumi.runtime.stack.wait_for_rpcs). One turn of the loop begins them.
    """
    await asyncio.sleep(0)


def _unsaid(*_: object, **__: object) -> None:
    """In the place of `pulumi.log.debug`."""
