"""The time that Google is given to make rights known."""

from __future__ import annotations

import pytest

from provider.settled import Settled
from tests.provider.conftest import Told

INPUTS = {"seconds": 120, "of": "projects/p/keys/k"}


def test_only_an_update_that_gives_the_rights_waits(told: Told) -> None:
    waited: list[float] = []
    kind = Settled(waited.append)
    assert kind.create(told.context("key-rights", preview=True), INPUTS) == ("key-rights", INPUTS)
    assert waited == [] and told.info == []
    assert kind.create(told.context("key-rights"), INPUTS) == ("key-rights", INPUTS)
    assert waited == [120.0]
    assert told.info == ["Google is given 120 s to make rights known to its services"]
    longer = {**INPUTS, "seconds": 300}
    assert kind.update(told.context("key-rights"), "key-rights", INPUTS, longer) == longer
    assert kind.read(told.context("key-rights"), "key-rights", INPUTS) == INPUTS
    assert waited == [120.0]


def test_stand_ins_give_rights_at_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day would end the test."""
    monkeypatch.setenv("MODEL_DELIVERY_STAND_INS", "true")
    Settled().create(told.context("key-rights"), {**INPUTS, "seconds": 86_400})


def test_rights_on_something_else_are_waited_for_anew(told: Told) -> None:
    kind, context = Settled(lambda seconds: None), told.context("key-rights")
    assert kind.diff(context, "key-rights", INPUTS, INPUTS).changes == {}
    assert kind.diff(context, "key-rights", INPUTS, {**INPUTS, "seconds": 0}).changes == {"seconds": False}
    assert kind.diff(context, "key-rights", INPUTS, {**INPUTS, "of": "other"}).changes == {"of": True}
