"""What every place that models run on fulfils, and the one spot that picks the place."""

from __future__ import annotations

from typing import Any, Protocol

import pulumi

from components.environment import LocalPlatform, Model, Platform


class Place(Protocol):
    """A platform with everything that models need around them."""

    @property
    def outputs(self) -> dict[str, pulumi.Input[str]]:
        """The stack outputs of the platform itself: ``gatewayUrl``, ``trackingUrl``, ``prometheusUrl``."""
        ...

    def serve(self, model: Model) -> pulumi.Output[dict[str, Any]]:
        """Declare a model's endpoint. Returns its stack output: ``url`` and ``releases``, each with
        ``version``,
        ``digest``, ``weight`` (percent) and ``shadow``."""
        ...


def declare(platform: Platform) -> Place:
    """Declare the platform of an environment. A floor, and the SDKs under it, is imported only when it is
    chosen."""
    match platform:
        case LocalPlatform():
            from components.local.platform import LocalPlace

            return LocalPlace("local", platform)
