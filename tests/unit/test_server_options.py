"""On every runtime, what the file asks of a model's servers reaches them, and a default changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from tests.unit import azure
from tests.unit.test_registered_model import declared, environment

EVERY = pytest.mark.parametrize(
    "name", ["local", "dev", "prod", "gcp", pytest.param("azure", marks=azure.needs_sdk)]
)


def asked(text: str) -> int:
    """How many servers a declaration asks for batching, by a flag or by a variable."""
    ways = ('"--batching", "off"', '"SERVING_BATCHING": "off"', '"name": "SERVING_BATCHING", "value": "off"')
    return sum(text.count(way) for way in ways)


@EVERY
def test_batching_reaches_the_servers_of_every_release(name: str) -> None:
    plain = environment(name)
    models = tuple(replace(model, batching="off") for model in plain.models)
    texts = [
        json.dumps([asdict(found) for found in declared(one).resources], default=sorted, sort_keys=True)
        for one in (plain, replace(plain, models=models))
    ]
    releases = sum(2 if model.canary else 1 for model in plain.models)
    assert asked(texts[0]) == 0 and "BATCHING" not in texts[0]
    assert asked(texts[1]) >= releases > 0
