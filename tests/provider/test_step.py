"""What a planned step is judged against: what is in force by the record, and what was begun."""

from __future__ import annotations

from typing import Any

import pytest

from provider.step import Step
from tests.provider.conftest import Told


def step(stable: int, canary: int | None = None, weight: int = 0, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"model": "churn", "runtime": "local", "stable": {"version": stable}, **more}
    if canary is not None:
        found["canary"] = {"version": canary, "weight": weight, "shadow": False}
    return found


def record(
    stable: int, canary: int | None = None, weight: int = 0, served: tuple[int, ...] = ()
) -> dict[str, Any]:
    found = step(stable, canary, weight)
    kept = {key: found[key] for key in ("stable", "canary") if key in found}
    return {**kept, "since": "2026-01-01T00:00:00Z", "served": list(served)}


class Checked:
    def __init__(self, told: Told) -> None:
        self._told = told
        self.kind = Step(lambda: "2026-01-02T00:00:00Z")

    def __call__(
        self, wish: dict[str, Any], applied: dict[str, Any] | None = None, old: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        given = wish if applied is None else {**wish, "applied": applied}
        return self.kind.check(self._told.context("churn"), old, given).inputs

    def changes(self, state: dict[str, Any], new: dict[str, Any]) -> dict[str, bool]:
        return dict(self.kind.diff(self._told.context("churn"), "churn", state, new).changes)


@pytest.fixture
def checked(told: Told) -> Checked:
    return Checked(told)


def test_a_first_step_has_nothing_before_it(checked: Checked) -> None:
    assert checked(step(3)) == {
        **step(3),
        "since": "2026-01-02T00:00:00Z",
        "served": [],
        "judge": "",
        "settled": False,
    }


def test_history_is_what_was_applied_and_not_what_was_wished(checked: Checked) -> None:
    failed = checked(step(3, 4, 60), record(3, 4, 10, served=(2,)))
    found = checked(step(3, 4, 70), record(3, 4, 10, served=(2,)), old=failed)
    assert found["was"] == {key: value for key, value in record(3, 4, 10).items() if key != "served"}
    assert found["served"] == [2, 3, 4]
    assert found["unfinished"]["canary"]["weight"] == 60 and found["unfinished"]["since"] == failed["since"]


@pytest.mark.parametrize("wish", [step(3, 4, 10), step(3, 4, 60)])
def test_back_to_the_record_and_on_with_what_was_begun_have_nothing_unfinished(
    checked: Checked, wish: dict[str, Any]
) -> None:
    begun = checked(step(3, 4, 60), record(3, 4, 10))
    found = checked(wish, record(3, 4, 10), old=begun)
    assert "unfinished" not in found
    assert ("was" in found) == (wish == step(3, 4, 60))


def test_a_first_step_that_failed_is_unfinished_too(checked: Checked) -> None:
    begun = checked(step(3))
    found = checked(step(4), None, old=begun)
    assert "was" not in found and found["unfinished"]["stable"] == {"version": 3}


def test_what_stays_is_settled_and_no_change(checked: Checked) -> None:
    applied = {**checked(step(3, 4, 10), record(3, 4, 5)), "judge": "rules 1.0"}
    again = checked(step(3, 4, 10), record(3, 4, 10), old=applied)
    assert again["settled"] and checked.changes(applied, again) == {}
    # A pack that says another name changes nothing of a step that was taken.
    assert checked.changes(applied, {**again, "judge": "rules 2.0"}) == {}
    owned = checked(step(3, 4, 10, owner="risk-team"), record(3, 4, 10), old=applied)
    assert not owned["settled"] and "owner" in checked.changes(applied, owned)


def test_a_retried_step_takes_the_judge_that_it_has_now(checked: Checked) -> None:
    begun = checked(step(3, 4, 60), record(3, 4, 10))
    again = {**checked(step(3, 4, 60), record(3, 4, 10), old=begun), "judge": "rules 1.0"}
    assert checked.changes(begun, again) == {"judge": False}
