"""A rollout: who serves what of a model, in the same words on every runtime, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.environment import Model


class Rollout(pulumi.CustomResource):
    """One model's step in the state: what policies judge, and what answers "who served when".

    The provider adds, already in a preview, ``since``, ``was`` and ``served``; see ``provider/rollout.py``.
    It must wait for the endpoint it tells of: a step that failed to be applied is then not in the state.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        request_log: Mapping[str, int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the rollout of ``model``, whose endpoint keeps requests as ``request_log`` says. All its
        inputs are literals, known in every preview."""
        super().__init__("delivery:registry:Rollout", name, inputs(model, request_log), opts)


def inputs(model: Model, request_log: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What a rollout says of a model. Keys that are absent: ``canary`` where all of the traffic is stable's,
    ``owner`` and ``riskClass`` where the file has none, ``registeredModel`` where it has the model's name,
    ``requestLog`` where no request is kept."""
    canary = model.canary
    found = {
        "model": model.name,
        "runtime": model.runtime,
        "owner": model.owner,
        "riskClass": model.risk_class,
        "registeredModel": model.registered_model,
        "minReplicas": model.autoscaling.min,
        "requestLog": request_log and dict(request_log),
        "stable": {"version": model.stable.version},
        "canary": canary and {"version": canary.version, "weight": canary.weight, "shadow": canary.shadow},
    }
    return {key: value for key, value in found.items() if value is not None}
