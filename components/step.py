"""A step: what a model is to serve next, declared before anything of it is done, so that it can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pulumi

from components.environment import Model

_ROLLOUT = "delivery:registry:Rollout"
_READ = "pulumi:pulumi:readStackResourceOutputs"
_APPLIED = ("stable", "canary", "registeredModel", "since", "was", "served")


class Step(pulumi.CustomResource):
    """One model's step as its file wishes it, beside the step that the stack has applied.

    Policies judge it. The engine asks them when a resource is declared, before it does anything about it, and
    a mandatory violation ends an update there; the model's endpoint depends on its step, so nothing of a
    refused step begins, also without a preview. The provider adds ``was``, ``unfinished`` and ``served``; see
    ``provider/step.py``.
    """

    judge: pulumi.Output[str]
    """The policy pack that judged this step, as ``NAME VERSION``; empty if none did."""

    def __init__(
        self,
        name: str,
        model: Model,
        request_log: Mapping[str, int] | None,
        applied: pulumi.Input[Mapping[str, Any] | None],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the step of ``model``, whose endpoint keeps requests as ``request_log`` says; ``applied``
        is what its last rollout recorded."""
        properties = {**inputs(model, request_log), "applied": applied, "judge": None}
        super().__init__("delivery:registry:Step", name, properties, opts)


def inputs(model: Model, request_log: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return what a step says of a model, in literals. Keys that are absent: ``canary`` if the stable version
    has all of the traffic, ``owner`` and ``riskClass`` if the file has none, ``registeredModel`` if it has
    the model's name, ``requestLog`` if no request is kept, ``metrics`` if the file names none."""
    canary = model.canary
    found = {
        "model": model.name,
        "runtime": model.runtime,
        "owner": model.owner,
        "riskClass": model.risk_class,
        "registeredModel": model.registered_model,
        "minReplicas": model.autoscaling.min,
        "requestLog": request_log and dict(request_log),
        "metrics": dict(model.metrics) or None,
        "stable": {"version": model.stable.version},
        "canary": canary and {"version": canary.version, "weight": canary.weight, "shadow": canary.shadow},
    }
    return {key: value for key, value in found.items() if value is not None}


def recorded() -> pulumi.Output[dict[str, dict[str, Any]]]:
    """Return what this stack's state has of every model's last applied step, by model: ``stable``,
    ``canary``, ``registeredModel``, ``since``, ``was``, ``served``. Empty for a stack that is new.

    A rollout is recorded when its endpoint is done, so a step that failed half-way is not among them. The
    state is read once, by the engine, with the backend and the secrets of this very update.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    return pulumi.runtime.invoke_output(_READ, {"stackName": stack}).apply(_steps)


def _steps(answer: object) -> dict[str, dict[str, Any]]:
    resources = cast("Mapping[str, Mapping[str, Any]]", cast("Mapping[str, Any]", answer)["outputs"])
    rollouts = [found["outputs"] for found in resources.values() if found["type"] == _ROLLOUT]
    return {str(found["model"]): {key: found[key] for key in _APPLIED if key in found} for found in rollouts}
