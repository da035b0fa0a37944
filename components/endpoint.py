"""What a model's endpoint is on every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

Before = Sequence["pulumi.Input[pulumi.Resource]"]
"""What is done before something else begins."""


class ModelEndpoint(pulumi.ComponentResource):
    """A model's endpoint with all that is declared for it; each runtime has its own kind of it."""

    outputs: pulumi.Output[dict[str, Any]]
    """What is wished; the stack's outputs have it when it is applied, so a component registers none of it.
    ``url`` and ``releases``, each with ``version``, ``digest``, ``weight`` (percent) and ``shadow``."""


def waiting(opts: pulumi.ResourceOptions, after: Before) -> pulumi.ResourceOptions:
    """Return the same options for a resource that also depends on ``after``."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(after)))
