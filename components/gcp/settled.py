"""Time for rights to take effect."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.gcp.scope import Scope


class _Settled(pulumi.CustomResource):
    def __init__(self, name: str, seconds: int, of: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        super().__init__("delivery:gcp:Settled", name, {"seconds": seconds, "of": of}, opts)


def settled(
    name: str,
    scope: Scope,
    rights: Sequence[pulumi.Resource],
    of: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Sequence[pulumi.Resource]:
    """What to depend on so that ``rights`` are in effect: they themselves, and the time that Google takes.

    ``of`` is what they are rights on. Once it has been waited for, further rights on it are not: who has one
    already isn't kept waiting.
    """
    if not rights or not scope.settle_seconds:
        return rights
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(rights)))
    return (*rights, _Settled(name, scope.settle_seconds, of, after))
