"""The next step of a model: a promotion, or the way back. Pure."""

from __future__ import annotations

from delivery.errors import DeliveryError
from policy.steps import Canary, Limits, Step


def promoted(
    model: str, now: Step, version: int, *, limits: Limits, weight: int | None = None, stable: bool = False
) -> Step:
    """The step in which ``version`` has ``weight`` percent of the requests, or is ``stable``.

    Without either it has as much as one step may give it. A version that becomes stable keeps the one before
    beside it at weight 0 where ``limits`` let it bake; asked again, that one goes. Raises DeliveryError.
    """
    if stable:
        return _made_stable(model, now, version, limits)
    if version == now.stable:
        raise DeliveryError(
            f"models.{model}.stable.version is {version} already; to take the requests back from its canary:"
            f" python -m delivery rollback {model}"
        )
    share = now.share(version)
    if weight is None and share == 100:
        raise DeliveryError(f"{model}: v{version} has every request already. To call it stable, add --stable")
    if weight is None:
        weight = min(100, share + limits.increase) if share else limits.first
    return Step(stable=now.stable, canary=Canary(version=version, weight=weight))


def rolled_back(model: str, now: Step, previous: int | None, *, to: int | None, remove: bool) -> Step:
    """The step back from ``now``: a canary that answers answers no more, else the stable version before.

    ``previous`` is that version, None where nobody knows it; ``to`` names one instead; ``remove`` takes the
    canary out, with its servers. Raises DeliveryError where there is nothing to go back to.
    """
    if to is not None:
        if to == now.stable and not now.canary:
            raise DeliveryError(
                f"{model}: v{to} is stable and has every request; nothing is to be taken back"
            )
        return Step(stable=to)
    canary = now.canary
    if canary and (canary.share or canary.shadow or remove):
        kept = None if remove or canary.shadow else Canary(version=canary.version, weight=0)
        return Step(stable=now.stable, canary=kept)
    if previous is None:
        out = f". To take v{canary.version} out, which answers no request: --remove" if canary else ""
        raise DeliveryError(
            f"{model}: nobody knows which version was stable before v{now.stable}; name it: --to VERSION{out}"
        )
    if canary and canary.version != previous:
        raise DeliveryError(
            f"{model}: v{canary.version} answers no request, so nothing is to be taken back from it. "
            f"To take it out: --remove. To go back from v{now.stable} to v{previous}: --to {previous}"
        )
    return Step(stable=previous)


def _made_stable(model: str, now: Step, version: int, limits: Limits) -> Step:
    if version != now.stable:
        kept = Canary(version=now.stable, weight=0) if limits.bake_hours else None
        return Step(stable=version, canary=kept)
    if now.canary is None:
        return now
    if now.canary.share or now.canary.shadow:
        what = f"has {now.canary.share} %" if now.canary.share else "is a shadow"
        raise DeliveryError(
            f"{model}: v{version} is stable, and its canary v{now.canary.version} {what}. To take that back: "
            f"python -m delivery rollback {model}"
        )
    return Step(stable=version)
