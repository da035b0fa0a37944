"""A rollout: who serves what of a model, in the same words on every runtime, and since when."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from components.environment import Model
from components.step import inputs


class Rollout(pulumi.CustomResource):
    """One model's step in the state as it was applied: what answers "who served when".

    The provider adds, already in a preview, ``since``, ``was`` and ``served``; see ``provider/rollout.py``.
    It must wait for the endpoint it tells of: a step that failed to be applied is then not in the state.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        request_log: Mapping[str, int] | None,
        judge: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the rollout of ``model``, whose endpoint keeps requests as ``request_log`` says;
        ``judge`` is the policy pack that judged its step, empty if none did."""
        properties = {**inputs(model, request_log), "judge": judge}
        super().__init__("delivery:registry:Rollout", name, properties, opts)
