"""What a rollout remembers: where a step comes from, since when it serves, and who served before."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.rollout import Rollout
from tests.provider.conftest import Told


def step(stable: int, canary: int | None = None, weight: int = 0, **more: Any) -> dict[str, Any]:
    found = {"model": "churn", "runtime": "local", "minReplicas": 1, "stable": {"version": stable}, **more}
    if canary is not None:
        found["canary"] = {"version": canary, "weight": weight, "shadow": False}
    return found


SHADOW = {"version": 4, "weight": 0, "shadow": True}


class Model:
    """A rollout as the engine keeps it; an hour goes by with every look at the clock."""

    def __init__(self, told: Told) -> None:
        self._context = told.context("churn")
        self._hour = 0
        self.kind = Rollout(self._now)
        self.state: dict[str, Any] | None = None

    def _now(self) -> str:
        self._hour += 1
        return f"2026-01-01T{self._hour:02}:00:00Z"

    def planned(self, new: dict[str, Any]) -> dict[str, Any]:
        checked = self.kind.check(self._context, self.state, new)
        assert checked.failures == ()
        return checked.inputs

    def applied(self, *steps: dict[str, Any]) -> dict[str, Any]:
        for new in steps:
            self.state = self.planned(new)
        assert self.state is not None
        return self.state

    def changes(self, new: dict[str, Any]) -> dict[str, bool]:
        assert self.state is not None
        return dict(self.kind.diff(self._context, "churn", self.state, self.planned(new)).changes)


@pytest.fixture
def model(told: Told) -> Model:
    return Model(told)


def test_a_first_step_comes_from_nowhere_and_nobody_served(model: Model) -> None:
    first = step(3, owner="risk-team", riskClass="high")
    assert model.planned(first) == {**first, "since": "2026-01-01T01:00:00Z", "served": [], "judge": ""}


def test_the_next_step_says_what_was_since_when_and_who_served(model: Model) -> None:
    model.applied(step(3), step(3, 4, 10))
    assert model.planned(step(3, 4, 50)) == {
        **step(3, 4, 50),
        "since": "2026-01-01T03:00:00Z",
        "was": {
            "stable": {"version": 3},
            "canary": {"version": 4, "weight": 10, "shadow": False},
            "since": "2026-01-01T02:00:00Z",
        },
        "served": [3, 4],
        "judge": "",
    }


def test_a_step_that_stays_plans_nothing_and_keeps_its_history(model: Model) -> None:
    state = model.applied(step(3), step(3, 4, 10))
    assert model.planned(step(3, 4, 10)) == state
    assert model.changes(step(3, 4, 10)) == {}
    # Another owner is a change, but not another step.
    assert model.changes(step(3, 4, 10, owner="new-team")) == {"owner": False}
    assert model.planned(step(3, 4, 10, owner="new-team"))["since"] == state["since"]


def test_a_change_of_weight_is_shown_with_what_comes_from_it(model: Model) -> None:
    model.applied(step(3), step(3, 4, 10))
    changes = model.changes(step(3, 4, 50))
    assert {"canary.weight", "since", "was.canary", "was.since", "served[1]"} <= changes.keys()
    assert not any(changes.values()), "no change of a step replaces its rollout"


def test_a_version_has_served_only_once_its_step_is_the_one_before(model: Model) -> None:
    assert model.planned(step(3, 4, 10))["served"] == []
    model.applied(step(3))
    assert model.planned(step(3, 4, 10))["served"] == [3]
    model.applied(step(3, 4, 10))
    assert model.planned(step(4))["served"] == [3, 4]


@pytest.mark.parametrize(
    ("before", "served"),
    [
        (step(3, 4, 0), [3]),
        (step(3, 4, 1), [3, 4]),
        (step(3, 4, 99), [3, 4]),
        (step(3, 4, 100), [4]),
        ({**step(3), "canary": SHADOW}, [3]),
    ],
)
def test_who_answers_nobody_has_not_served(model: Model, before: dict[str, Any], served: list[int]) -> None:
    model.applied(before)
    assert model.planned(step(9))["served"] == served


def test_a_step_that_was_only_planned_leaves_no_trace(model: Model) -> None:
    state = model.applied(step(3))
    model.planned(step(3, 4, 100))
    after = model.planned(step(5))
    assert after["was"] == {"stable": {"version": 3}, "since": state["since"]}
    assert after["served"] == [3]


def test_versions_are_named_once_where_they_served_last(model: Model) -> None:
    model.applied(step(3), step(4), step(3), step(5))
    assert model.planned(step(3))["served"] == [4, 3, 5]


def test_a_history_has_an_end(model: Model) -> None:
    model.applied(*(step(version) for version in range(1, 31)))
    assert model.planned(step(99))["served"] == list(range(11, 31))


def test_a_history_is_made_here_and_not_declared(model: Model) -> None:
    claimed = {**step(3), "since": "1999-01-01T00:00:00Z", "served": [7], "was": {"stable": {"version": 7}}}
    assert model.planned(claimed) == {**step(3), "since": "2026-01-01T01:00:00Z", "served": [], "judge": ""}


def test_a_state_of_no_rollout_has_no_history(model: Model) -> None:
    model.state = {}
    assert model.planned(step(3))["served"] == []


def test_another_model_is_another_rollout(model: Model) -> None:
    model.applied(step(3))
    assert model.changes({**step(3), "model": "fraud"}) == {"model": True}


@pytest.mark.parametrize(
    ("before", "after", "remark"),
    [
        (step(3, 4, 10), step(3, 4, 50), "churn: v3 90 %, v4 10 % → v3 50 %, v4 50 %"),
        (step(3), {**step(3), "canary": SHADOW}, "churn: v3 100 % → v3 100 %, v4 shadow"),
        (step(3, 4, 0), step(4), "churn: v3 100 %, v4 0 % → v4 100 %"),
        (step(3), step(3, owner="new-team"), ""),
    ],
)
def test_a_change_of_traffic_is_told_in_one_line(
    model: Model, told: Told, before: dict[str, Any], after: dict[str, Any], remark: str
) -> None:
    state = model.applied(before)
    assert model.kind.diff(told.context("churn"), "churn", state, model.planned(after)).remark == remark


def test_it_is_only_in_the_state(model: Model, told: Told) -> None:
    state, context = model.applied(step(3)), told.context("churn")
    assert model.kind.create(context, state) == ("churn", state)
    assert model.kind.read(context, "churn", state) == state
    assert model.kind.update(context, "churn", state, step(4)) == step(4)
    model.kind.delete(context, "churn", state)
    assert told.info == told.warnings == []


def test_times_are_utc_to_the_second(told: Told) -> None:
    since = Rollout().check(told.context("churn"), None, step(1)).inputs["since"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", since)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(10, 19), st.integers(0, 100)), min_size=1))
def test_who_served_is_always_who_had_traffic_in_an_applied_step(steps: list[tuple[int, int, int]]) -> None:
    model = Model(Told())
    had: list[int] = []
    for stable, canary, weight in steps:
        model.applied(step(stable, canary, weight))
        assert set(model.planned(step(99))["served"]) <= {*had, stable, canary}
        had += [stable] * (weight < 100) + [canary] * (weight > 0)
        after = model.planned(step(99))["served"]
        assert set(after) == set(had) and len(after) == len(set(after))


def test_a_step_keeps_the_judge_that_it_had_when_it_was_taken(model: Model) -> None:
    model.applied({**step(3), "judge": "rules 1.0"}, {**step(3, 4, 10), "judge": ""})
    assert model.planned({**step(3, 4, 10), "judge": "rules 1.0"})["judge"] == ""
    assert model.planned({**step(3, 4, 20), "judge": "rules 1.0"})["judge"] == "rules 1.0"
    # One that was applied before this was recorded claims nothing.
    assert model.state is not None
    del model.state["judge"]
    assert "judge" not in model.planned({**step(3, 4, 10), "judge": "rules 1.0"})


NAMED = "main.ml.churn"


def test_another_registered_model_is_another_step_of_versions_that_never_served(model: Model) -> None:
    model.applied(step(3), step(3, 4, 10))
    state = model.state
    after = model.planned(step(3, 4, 10, registeredModel=NAMED))
    assert state and after["since"] != state["since"] and after["served"] == []
    assert after["was"] == {key: state[key] for key in ("stable", "canary", "since")}
    assert model.changes(step(3, 4, 10, registeredModel=NAMED))["registeredModel"] is False
    model.applied(step(3, 4, 10, registeredModel=NAMED))
    assert model.planned(step(3, 4, 50, registeredModel=NAMED))["served"] == [3, 4], "then it goes on as ever"


def test_straight_back_to_the_registered_model_before_its_versions_have_served(model: Model) -> None:
    model.applied(step(3), step(3, registeredModel=NAMED))
    back = model.planned(step(3))
    assert back["was"]["registeredModel"] == NAMED and back["served"] == [3]
    model.applied(step(4, registeredModel=NAMED))
    assert model.planned(step(3))["served"] == [], "a step later it isn't known any more"


def test_another_registered_model_is_told_though_the_versions_are_the_same(model: Model, told: Told) -> None:
    state = model.applied(step(3))
    found = model.kind.diff(
        told.context("churn"), "churn", state, model.planned(step(3, registeredModel=NAMED))
    )
    assert found.remark == "churn: v3 100 % of churn → v3 100 % of main.ml.churn"
