"""How the SDK runs a program that declares thousands of resources: without what grows with their number.

Measured with 100 models, 1,800 resources (docs/benchmarks.md, "What a plan costs as a fleet grows").
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

DEBUG = "MODEL_DELIVERY_DEBUG"
"""Environment variable: any text but the empty one keeps the SDK's own debug messages."""

_OBJECTS = 100_000


def run(declare: Callable[[], Mapping[str, Any]]) -> None:
    """Have the SDK run ``declare``, which declares the resources and returns the stack's outputs.

    Call it once, at the end of the program.
    """
    # Nearly all objects live until the program ends; the default looks through them again after each 700 new
    # ones.
    gc.set_threshold(_OBJECTS, 10, 10)
    if not os.environ.get(DEBUG):
        # Each message is a request to the engine that the program waits for, several a resource; `--debug`
        # alone shows them.
        pulumi.log.debug = _unsaid

    async def main() -> Mapping[str, Any]:
        outputs = declare()
        # The SDK waits for its registrations one by one, unless none has begun yet: then it waits for all
        # outputs together, and again after each (pulumi.runtime.stack.wait_for_rpcs). One turn of the loop
        # begins them.
        await asyncio.sleep(0)
        return outputs

    pulumi.run(main)


def _unsaid(*_: object, **__: object) -> None:
    """In the place of `pulumi.log.debug`."""
