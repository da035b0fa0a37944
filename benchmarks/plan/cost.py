"""The cost of a command, and the files that are planned."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

CLUSTER = {
    "kind": "kubernetes",
    "context": "fleet",
    "image": "registry.example.com/serving@sha256:" + "0" * 64,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
}


@dataclass(frozen=True)
class Cost:
    wall: float
    """Seconds."""
    cpu: float
    """Seconds, of all processes that the command has started and waited for."""


def cost(command: Callable[[], object]) -> Cost:
    """Run a command in processes of its own."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def file(platform: dict[str, Any], count: int, weight: int = 10) -> str:
    """A file with models, of which the first has a canary with this weight and the others have 10."""
    models = {
        name(index): {
            "stable": {"version": 1},
            "canary": {"version": 2, "weight": weight if index == 0 else 10},
        }
        for index in range(count)
    }
    return yaml.safe_dump({"config": {"model-delivery:platform": platform, "model-delivery:models": models}})


def name(index: int) -> str:
    """Of a model."""
    return f"m{index:04}"
