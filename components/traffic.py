"""Who gets which share of a model's requests. Pure: a model in, shares out, the same on every runtime."""

from __future__ import annotations

from dataclasses import dataclass

from components.environment import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One release's part in the traffic: ``weight`` percent of the requests, or a copy of every one as
    ``shadow``."""

    version: int
    weight: int
    shadow: bool = False


def shares(model: Model) -> tuple[Share, ...]:
    """A model's releases with their shares, the stable one first. Weights sum to 100; a shadow's is 0.

    A canary of weight 0 or 100 keeps its partner running at the rest: that is what blue-green switches
    between.
    """
    canary = model.canary
    if canary is None:
        return (Share(version=model.stable.version, weight=100),)
    return (
        Share(version=model.stable.version, weight=100 - canary.weight),
        Share(version=canary.version, weight=canary.weight, shadow=canary.shadow),
    )


def minimum_replicas(model: Model, share: Share) -> int:
    """The servers that a release has at least: its share of ``autoscaling.min``, rounded up.

    A release that is declared has one server, whatever its weight, unless the model may have none at all; a
    shadow gets as many requests as the stable release, and so as many servers.
    """
    percent = 100 if share.shadow else share.weight
    return max(-(-model.autoscaling.min * percent // 100), min(model.autoscaling.min, 1))
