"""Which steps of a rollout are right, and what is said of those that aren't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.steps import (
    CANARY_STEP,
    PREVIOUS_STABLE_KEPT,
    STABLE_WITHOUT_CANARY,
    Canary,
    Limits,
    Step,
    StepProblem,
    problems,
    step,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMITS = Limits(first=20, increase=50, bake_hours=24)


def at(stable: int, canary: int | None = None, weight: int = 0, shadow: bool = False) -> Step:
    found = None if canary is None else Canary(version=canary, weight=weight, shadow=shadow)
    return Step(stable=stable, canary=found)


def wrong(
    before: Step | None,
    after: Step,
    served: tuple[int, ...] = (),
    hours: float = 0,
    limits: Limits = LIMITS,
) -> list[StepProblem]:
    since = NOW - timedelta(hours=hours)
    return problems("churn", before, after, served=served, since=since, now=NOW, limits=limits)


def rules(*args: object, **named: object) -> list[str]:
    return [problem.rule for problem in wrong(*args, **named)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, at(3)),
        (None, at(3, 4, 100)),
        (at(3), at(3)),
        (at(3), at(3, 4, 20)),
        (at(3), at(3, 4, 0)),
        (at(3), at(3, 4, shadow=True)),
        (at(3, 4, 0), at(3, 4, 20)),
        (at(3, 4, shadow=True), at(3, 4, 20)),
        (at(3, 4, 20), at(3, 4, 70)),
        (at(3, 4, 50), at(4, 3, 0)),
        (at(3, 4, 100), at(4, 3, 0)),
        (at(3, 4, 90), at(3)),
        (at(3, 4, 90), at(3, 5, 20)),
        (at(3, 4, 90), at(3, 4, shadow=True)),
    ],
)
def test_a_step_that_is_right(before: Step | None, after: Step) -> None:
    assert wrong(before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (at(3), at(3, 4, 21), CANARY_STEP),
        (at(3, 4, 0), at(3, 4, 21), CANARY_STEP),
        (at(3, 4, shadow=True), at(3, 4, 21), CANARY_STEP),
        (at(3, 4, 20), at(3, 4, 71), CANARY_STEP),
        (at(3, 4, 49), at(4, 3, 0), CANARY_STEP),
        (at(3, 4, 10), at(3, 5, 21), CANARY_STEP),
        (at(3), at(4, 3, 0), STABLE_WITHOUT_CANARY),
        (at(3, 4, 0), at(4, 3, 0), STABLE_WITHOUT_CANARY),
        (at(3, 4, shadow=True), at(4, 3, 0), STABLE_WITHOUT_CANARY),
        (at(3), at(2, 3, 0), STABLE_WITHOUT_CANARY),
        (at(3, 4, 50), at(4), PREVIOUS_STABLE_KEPT),
        (at(3, 4, 50), at(4, 5, 20), PREVIOUS_STABLE_KEPT),
    ],
)
def test_a_step_that_is_refused(before: Step, after: Step, rule: str) -> None:
    assert rules(before, after) == [rule]


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (at(3, 4, 1), at(4, 3, 99), CANARY_STEP),
        (at(3, 4, 20), at(4, 3, 80), CANARY_STEP),
        (at(3, 4, 49), at(4, 3, 51), CANARY_STEP),
        (at(3, 4, shadow=True), at(4, 3, 100), STABLE_WITHOUT_CANARY),
        (at(3, 4, 0), at(4, 3, 100), STABLE_WITHOUT_CANARY),
        (at(3), at(4, 3, 100), STABLE_WITHOUT_CANARY),
        (at(3, 4, 30), at(4, 5, 20), CANARY_STEP),
    ],
)
def test_versions_that_change_places_are_no_way_around_the_limits(
    before: Step, after: Step, rule: str
) -> None:
    # A stable version may have everything back in one step, so a version with little must not become it.
    assert rule in rules(before, after)
    assert rules(at(4, 3, 80), at(4, 3, 0)) == []


def test_no_way_of_three_steps_gives_a_new_version_more_than_the_limits_add_up_to() -> None:
    weights = (0, 1, 20, 49, 50, 70, 100)
    every = [
        step
        for stable, other in ((1, 2), (2, 1))
        for step in (at(stable), at(stable, other, shadow=True), *(at(stable, other, w) for w in weights))
    ]

    def follow(now: Step, served: tuple[int, ...], most: int, left: int) -> None:
        for after in every if left else ():
            if after != now and not wrong(now, after, served, hours=48):
                share = after.share(2)
                assert share <= (most + LIMITS.increase if most else LIMITS.first), (now, after)
                answering = tuple(version for version in now.declared if now.share(version))
                follow(after, (*served, *answering), max(most, share), left - 1)

    follow(at(1), (), 0, 3)


def test_it_is_said_in_the_words_of_the_file() -> None:
    jump = wrong(at(3, 4, 10), at(3, 4, 90))[0]
    assert jump.message == (
        "churn: v4 goes from 10 % to 90 %, a step may add 50 points: v3 90 %, v4 10 % → v3 10 %, v4 90 %"
    )
    assert jump.fix == "set canary.weight to 60 or less, and go on from there"
    start = wrong(at(3), at(3, 4, 90))[0]
    assert "v4 starts at 90 %, it may start at 20 %" in start.message
    assert start.fix == "set canary.weight to 20 or less"
    straight = wrong(at(3), at(4, 3))[0]
    assert (
        "v4 becomes stable, and has served nobody as a canary: v3 100 % → v4 100 %, v3 0 %"
        in straight.message
    )
    assert "`stable: {version: 3}` and `canary: {version: 4, weight: 20}` first" in straight.fix
    early = wrong(at(3, 4, 40), at(4, 3, 60))[0]
    assert early.message == (
        "churn: v4 becomes stable with 40 % of the requests, and a stable version may take them all; a step"
        " may add 50 points: v3 60 %, v4 40 % → v4 40 %, v3 60 %"
    )
    assert early.fix == "keep it as the canary until it has 50 % or more"
    gone = wrong(at(4, 3, 0), at(4), served=(3, 4), hours=1.5)[0]
    assert "churn: v3 is taken away, and v4 has baked for 1.5 of 24 h" in gone.message
    assert "`canary: {version: 3, weight: 0}` beside `stable: {version: 4}`" in gone.fix


@pytest.mark.parametrize("after", [at(3), at(3, 4, 50), at(3, 4, 0), at(4, 3, 90), at(2), at(4, 2, 100)])
def test_going_back_to_an_older_version_that_served_is_right_in_one_step(after: Step) -> None:
    assert wrong(at(4, 3, 0), after, served=(2, 3, 4)) == []


def test_an_older_version_that_serves_now_may_have_everything_at_once() -> None:
    assert wrong(at(3, 2, 10), at(2)) == []
    assert rules(at(3, 2, 0), at(2)) == [STABLE_WITHOUT_CANARY, PREVIOUS_STABLE_KEPT]


def test_an_older_version_that_gets_no_more_than_before_is_no_way_back() -> None:
    assert rules(at(4, 3, 20), at(5, 3, 20), served=(3, 4)) == [STABLE_WITHOUT_CANARY, PREVIOUS_STABLE_KEPT]


def test_a_newer_version_that_was_taken_back_starts_anew() -> None:
    assert rules(at(3), at(3, 4, 60), served=(3, 4)) == [CANARY_STEP]
    assert rules(at(3), at(4, 3, 0), served=(3, 4)) == [STABLE_WITHOUT_CANARY]


def test_the_previous_stable_version_may_go_when_the_new_one_has_baked() -> None:
    assert rules(at(4, 3, 0), at(4), served=(3, 4), hours=23.9) == [PREVIOUS_STABLE_KEPT]
    assert rules(at(4, 3, 0), at(4), served=(3, 4), hours=24) == []
    assert rules(at(4, 3, 0), at(4, 5, 10), served=(3, 4), hours=1) == [PREVIOUS_STABLE_KEPT]
    no_bake = Limits(bake_hours=0)
    assert wrong(at(4, 3, 0), at(4), served=(3, 4), limits=no_bake) == []
    assert wrong(at(3, 4, 50), at(4), limits=no_bake) == []


def test_a_canary_that_had_all_of_the_traffic_long_enough_has_baked() -> None:
    assert rules(at(3, 4, 100), at(4), served=(3,), hours=24) == []
    assert rules(at(3, 4, 100), at(4), served=(3,), hours=23) == [PREVIOUS_STABLE_KEPT]
    assert rules(at(3, 4, 99), at(4), served=(3,), hours=48) == [PREVIOUS_STABLE_KEPT]


def test_a_new_canary_may_go_at_any_time() -> None:
    assert wrong(at(4, 5, 0), at(4), served=(3, 4)) == []
    assert wrong(at(4, 5, 0), at(4, 6, 5), served=(4, 5)) == []


def test_small_steps_in_a_hurry_are_held_where_that_is_asked_for() -> None:
    hold = Limits(hold_minutes=30, bake_hours=0)
    for before, after in (
        (at(3, 4, 20), at(3, 4, 30)),
        (at(3, 4, 60), at(4)),
        (at(3, 4, 60), at(4, 3, 40)),
    ):
        assert rules(before, after, hours=0.4, limits=hold) == [CANARY_STEP]
        assert rules(before, after, hours=0.5, limits=hold) == []
        assert CANARY_STEP not in rules(before, after), "the default asks for no time"
    (told,) = wrong(at(3, 4, 20), at(3, 4, 30), hours=0.4, limits=hold)
    assert "v4 has had 20 % for 24 of 30 min: v3 80 %, v4 20 % → v3 70 %, v4 30 %" in told.message
    # A first share, less, and the way back wait for nothing.
    for before, after in ((at(3), at(3, 4, 10)), (at(3, 4, 20), at(3, 4, 10)), (at(3, 4, 20), at(3))):
        assert wrong(before, after, limits=hold) == []
    assert wrong(at(4, 3, 0), at(4, 3, 50), served=(3, 4), limits=hold) == []


def test_without_a_time_nothing_has_baked() -> None:
    found = problems("churn", at(4, 3, 0), at(4), served=(3, 4), since=None, now=NOW, limits=LIMITS)
    assert [problem.rule for problem in found] == [PREVIOUS_STABLE_KEPT]


steps = st.builds(at, st.integers(1, 6), st.none() | st.integers(7, 9), st.integers(0, 100), st.booleans())


@given(steps, steps)
def test_no_version_gets_more_than_the_limits_unnoticed(before: Step, after: Step) -> None:
    found = {problem.rule for problem in wrong(before, after)}
    for version in after.declared - {before.stable}:
        had, gets = before.share(version), after.share(version)
        allowed = LIMITS.first if had == 0 else had + LIMITS.increase
        assert gets <= max(had, allowed) or found & {CANARY_STEP, STABLE_WITHOUT_CANARY}


@given(steps)
def test_shares_sum_to_all_of_the_traffic(one: Step) -> None:
    assert sum(one.share(version) for version in one.declared) == 100


def test_a_step_is_read_from_the_properties_of_a_rollout() -> None:
    # The engine's numbers are floats.
    canary = {"version": 4.0, "weight": 10.0, "shadow": False}
    assert step({"stable": {"version": 3.0}, "canary": canary}) == at(3, 4, 10)
    assert step({"stable": {"version": 3.0}}) == at(3)
    assert step({"stable": {"version": 3}, "canary": {"version": 4}}) == at(3, 4, 0)
    assert (
        str(step({"stable": {"version": 3}, "canary": {"version": 4, "shadow": True}}))
        == "v3 100 %, v4 shadow"
    )


@pytest.mark.parametrize("waiting", [at(3, 4, 0), at(3, 4, shadow=True)])
def test_blue_green_switches_where_a_warmed_version_may(waiting: Step) -> None:
    warm = Limits(warm_minutes=30)
    switch = at(3, 4, 100)
    assert wrong(waiting, switch, hours=0.5, limits=warm) == []
    [early] = wrong(waiting, switch, hours=0.25, limits=warm)
    assert early.rule == CANARY_STEP and "has been declared for 15 of 30 min" in early.message
    # By default, so in prod, it goes up by steps; so does one that takes less than all, or was not declared.
    assert rules(waiting, switch, hours=99) == [CANARY_STEP]
    assert rules(waiting, at(3, 4, 90), hours=99, limits=warm) == [CANARY_STEP]
    assert rules(at(3), switch, hours=99, limits=warm) == [CANARY_STEP]
    assert rules(at(3, 5, 0), switch, hours=99, limits=warm) == [CANARY_STEP]
    # And back in one step, or on to stable.
    assert wrong(switch, at(3, 4, 0), limits=warm) == [] == wrong(switch, at(4, 3, 0), limits=warm)
