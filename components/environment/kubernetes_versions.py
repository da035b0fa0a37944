"""The versions of Kubernetes that the installed charts support. Raising a chart means looking here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.environment.cluster import Cluster
from components.environment.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """A chart with the minor versions of Kubernetes 1 that its project names for it."""

    title: str
    """The project with the minor version that is installed."""
    oldest: int
    newest: int
    key: str
    """The key by which it isn't installed."""


GATEWAY: Final = Supported(title="Envoy Gateway 1.9", oldest=33, newest=36, key="gateway")
"""https://gateway.envoyproxy.io/news/releases/matrix (27 November 2026; end of life on 14 February 2027)."""
KEDA: Final = Supported(title="KEDA 2.20", oldest=33, newest=35, key="keda")
"""https://keda.sh/docs/2.20/operate/cluster/#kubernetes-compatibility (27 November 2026)."""


def installed(*, gateway: bool, keda: bool) -> tuple[Supported, ...]:
    """What limits the cluster's version, of what is installed."""
    return (*((GATEWAY,) if gateway else ()), *((KEDA,) if keda else ()))


def oldest(*, gateway: bool, keda: bool) -> str:
    """The oldest Kubernetes that all of it supports; ``1.0`` where nothing says one."""
    return f"1.{max((each.oldest for each in installed(gateway=gateway, keda=keda)), default=0)}"


def judge_version(section: Section, key: str, version: str, cluster: Cluster) -> None:
    """Add a problem for a version of Kubernetes that something installed in the cluster doesn't support."""
    minor = int(version.removeprefix("1."))
    for each in installed(gateway=cluster.gateway.name is None, keda=cluster.keda == "install"):
        if not each.oldest <= minor <= each.newest:
            section.problem(
                key,
                f"must be 1.{each.oldest} to 1.{each.newest}, which {each.title} supports;"
                f" platform.{each.key} says whether it is installed",
            )
