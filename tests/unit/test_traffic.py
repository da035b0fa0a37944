"""Who gets which share of the requests, and how many servers that is."""

import pytest

from components.environment import Model, parse
from components.traffic import Share, minimum_replicas, shares


def model(least: int, canary: dict[str, object] | None = None) -> Model:
    block: dict[str, object] = {"stable": {"version": 3}, "autoscaling": {"min": least}}
    block |= {"canary": {"version": 4, **canary}} if canary else {}
    platform = {"stack": "team/platform/prod", "keda": "existing"}
    return parse(platform, {"churn": block}).models[0]


def test_everything_goes_to_stable_where_there_is_no_canary() -> None:
    assert shares(model(1)) == (Share(version=3, weight=100),)


def test_a_canary_takes_its_weight_from_stable() -> None:
    assert shares(model(1, {"weight": 30})) == (Share(version=3, weight=70), Share(version=4, weight=30))


def test_a_shadow_takes_nothing_from_stable() -> None:
    assert shares(model(1, {"shadow": True})) == (
        Share(version=3, weight=100),
        Share(version=4, weight=0, shadow=True),
    )


@pytest.mark.parametrize(
    ("least", "canary", "stable_servers", "canary_servers"),
    [
        (4, {"weight": 50}, 2, 2),
        (4, {"weight": 26}, 3, 2),  # 2.96 and 1.04: rounded up
        (200, {"weight": 50}, 100, 100),
        (200, {"weight": 100}, 1, 200),
        (4, {"weight": 0}, 4, 1),  # declared, and so there
        (4, {"weight": 100}, 1, 4),
        (1, {"weight": 1}, 1, 1),
        (0, {"weight": 50}, 0, 0),  # both may sleep
        (4, {"shadow": True}, 4, 4),  # a copy of every request
    ],
)
def test_a_release_has_servers_for_its_share(
    least: int, canary: dict[str, object], stable_servers: int, canary_servers: int
) -> None:
    asked = model(least, canary)
    assert [minimum_replicas(asked, share) for share in shares(asked)] == [stable_servers, canary_servers]
