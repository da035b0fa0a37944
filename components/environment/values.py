"""What an environment is, once its configuration has been understood: plain frozen values."""

from dataclasses import dataclass
from typing import Literal

Runtime = Literal["local"]
"""Where a model server can run. `local`: processes on this machine."""

RiskClass = Literal["minimal", "limited", "high"]
"""A model's class under the EU AI Act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The loopback ports of the local platform. They differ from each other; each is within 1024..65535."""

    gateway: int = 8080
    """Envoy, the one address that callers use."""
    tracking: int = 5000
    """The MLflow tracking server and registry."""
    prometheus: int = 9090
    """Prometheus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlatform:
    """Everything as processes on this machine, listening on 127.0.0.1."""

    kind: Literal["local"] = "local"
    ports: Ports = Ports()


Platform = LocalPlatform
"""Every kind of platform that this version supports."""


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
    """How many servers each release of a model has. On the runtime `local` both bounds are equal."""

    min: int = 1
    max: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of an environment. Its name is a DNS label of at most 40 characters."""

    name: str
    runtime: Runtime
    stable: ReleaseRef
    canary: Canary | None = None
    autoscaling: Autoscaling = Autoscaling()
    owner: str | None = None
    risk_class: RiskClass | None = None

    @property
    def replicas(self) -> int:
        """The number of servers that each release of the model starts with."""
        return self.autoscaling.min


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """All that a Pulumi.<stack>.yaml says: one platform and the models on it, sorted by name."""

    platform: Platform
    models: tuple[Model, ...] = ()
