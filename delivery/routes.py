"""What the local gateway really does with a model's requests, whatever the stack's state says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from policy.steps import Canary, Step
from provider.gateway import Gateway

_ROUTE = "delivery:local:Route"


def routed(export: Mapping[str, Any], model: str) -> Step | None:
    """Return the step that the gateway goes by for a model of an exported state; None if the model has no
    route on this machine, or the gateway can't be asked."""
    resources = cast("Sequence[Mapping[str, Any]]", (export.get("deployment") or {}).get("resources") or ())
    for found in resources:
        outputs: Mapping[str, Any] = found.get("outputs") or {}
        if found.get("type") == _ROUTE and outputs.get("model") == model:
            gateway = Gateway(Path(str(outputs["folder"])))
            route = gateway.recorded(model)
            if route is None or gateway.trouble(route):
                return None
            return _step(route["backends"])
    return None


def _step(backends: list[Mapping[str, Any]]) -> Step | None:
    """A route as a step; its first backend is the stable version."""
    first, *others = backends
    if not others:
        return Step(stable=int(first["version"]))
    (other,) = others
    canary = Canary(version=int(other["version"]), weight=int(other["weight"]), shadow=bool(other["shadow"]))
    return Step(stable=int(first["version"]), canary=canary)
