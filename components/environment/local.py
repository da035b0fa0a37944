"""The platform of kind `local`: everything as processes on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from components.environment.section import Section
from components.environment.values import Runtime

KEYS: Final = ("kind", "ports")
_PORT_KEYS: Final = ("gateway", "tracking", "prometheus")


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

    runtimes: ClassVar[tuple[Runtime, ...]] = ("local",)
    gpus: ClassVar[bool] = False
    uses_gpus: ClassVar[bool] = False
    has_keda: ClassVar[bool] = False
    has_prometheus: ClassVar[bool] = False

    kind: Literal["local"] = "local"
    ports: Ports = Ports()


def parse_local(section: Section) -> LocalPlatform:
    """Understand the keys of the kind `local`."""
    return LocalPlatform(ports=_ports(section))


def _ports(platform: Section) -> Ports:
    section = platform.section("ports", accepted=_PORT_KEYS, example="{gateway: 8080}")
    if section is None:
        return Ports()
    default = Ports()
    chosen = {key: section.whole(key, 1024, 65535) for key in _PORT_KEYS}
    taken: dict[int, str] = {}
    # What is written is compared with the defaults of what isn't: the mistake is in what is written.
    for key in sorted(_PORT_KEYS, key=lambda key: section.has(key)):
        port = chosen[key] if section.has(key) else getattr(default, key)
        if port is None:
            continue
        if port in taken:
            other = taken[port] if section.has(taken[port]) else f"{taken[port]}, by default"
            section.problem(key, f"must differ from the other ports; {port} is the port of {other}")
        taken.setdefault(port, key)
    return Ports(**{key: port for key, port in chosen.items() if port is not None})
