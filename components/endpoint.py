"""What a model's endpoint is on every place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi


class ModelEndpoint(pulumi.ComponentResource):
    """A model's endpoint with all that is declared for it; each runtime has its own kind of it."""

    outputs: pulumi.Output[dict[str, Any]]
    """``url`` and ``releases``, each with ``version``, ``digest``, ``weight`` (percent) and ``shadow``."""
    request_log: Mapping[str, int] | None = None
    """How much of the requests is kept, ``percent``, and for how long, ``retentionDays`` (without it: nobody
    takes them away); None: none is."""
