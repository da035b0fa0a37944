"""What a model is, once the configuration has been understood: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from components.environment.authentication import Authentication
from components.metric_direction import Direction

Runtime = Literal["local", "kubernetes", "lambda", "sagemaker", "cloud-run", "azure-ml"]
"""Where a model server can run. `local`: processes on this machine; `kubernetes`: pods of the platform's
cluster; the others are services of a cloud."""

Batching = Literal["auto", "on", "off"]
"""Whether requests of different callers may share a call of the model."""
RiskClass = Literal["minimal", "limited", "high"]
"""A model's class under the EU AI Act."""
DEFAULT_TIMEOUT: Final = 60
"""Seconds that a request may take where the file doesn't say."""
LAMBDA_TIMEOUT: Final = 30
"""The same on Lambda, and the most there: an HTTP API of API Gateway waits no longer
(docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html, integration timeout)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRef:
    """A release as the configuration names it: a model version in the registry, 1 or more."""

    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A second release beside the stable one.

    Either it answers `weight` percent of the requests (0..100), or it is a shadow: it gets a copy of every
    request, answers nobody, and its weight is 0.
    """

    version: int
    weight: int = 0
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """How many servers a release that gets every request has; one that gets less has its share of them.

    On the runtime `local` both bounds are equal, and each release has that many.
    """

    min: int = 1
    max: int = 1
    requests_per_second: int | None = None
    """How many a server is to answer before there is another one; None: load alone decides."""
    gpu_utilization: int | None = None
    """The percentage of its GPUs' time that a server is to use before there is another one, 1..100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one server of a model has."""

    cpu: float = 1.0
    """Cores, in steps of 0.001."""
    memory: str = "2Gi"
    """A quantity in Mi or Gi."""
    gpu: int = 0

    @property
    def mebibytes(self) -> int:
        """The memory in MiB."""
        return int(self.memory[:-2]) * (1024 if self.memory.endswith("Gi") else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of an environment. Its name is a DNS label of at most 40 characters."""

    name: str
    runtime: Runtime
    stable: ReleaseRef
    canary: Canary | None = None
    autoscaling: Autoscaling = Autoscaling()
    resources: Resources = Resources()
    owner: str | None = None
    risk_class: RiskClass | None = None
    batching: Batching = "auto"
    """Whether requests may share a call of the model; `auto`: where its server finds that rows don't depend
    on each other."""
    timeout: int | None = None
    """Seconds that a request may take; None: the runtime's default, or that of an existing gateway."""
    authentication: Authentication | Literal["none"] | None = None
    """What callers have to show; None: what the gateway asks; `none`: nothing, whatever the gateway asks."""
    rate_limit: int | None = None
    """How many requests a second are answered at most, of all callers together."""
    registered_model: str | None = None
    """The registered model whose versions serve, where the registry has it under another name than this
    model's; never equal to `name`."""
    metrics: Mapping[str, Direction] = field(default_factory=dict[str, Direction])
    """Which way metrics are better whose names don't tell it."""

    @property
    def server_options(self) -> dict[str, str]:
        """What the file asks of the model's servers, by the server's options (see serving/settings.py).

        Only what isn't the server's default: an option that is left out changes no running server.
        """
        # With a GPU a server isn't ready unless the model runs on it.
        options = {"device": "gpu"} if self.resources.gpu else {}
        if self.batching != "auto":
            options["batching"] = self.batching
        if self.seconds > DEFAULT_TIMEOUT:
            # A server whose oldest request is within its time isn't stuck.
            options["stuck"] = str(self.seconds + DEFAULT_TIMEOUT)
        return options

    @property
    def seconds(self) -> int:
        """How long a request may take, by the file or by default."""
        return self.timeout or (LAMBDA_TIMEOUT if self.runtime == "lambda" else DEFAULT_TIMEOUT)

    @property
    def server_variables(self) -> dict[str, str]:
        """The same as environment variables."""
        return {f"SERVING_{name.upper()}": value for name, value in self.server_options.items()}

    @property
    def server_flags(self) -> tuple[str, ...]:
        """The same as flags."""
        return tuple(word for name, value in self.server_options.items() for word in (f"--{name}", value))

    @property
    def registered_name(self) -> str:
        """The name under which the registry has the model's versions."""
        return self.registered_model or self.name

    @property
    def replicas(self) -> int:
        """The number of servers that each release of the model starts with."""
        return self.autoscaling.min
