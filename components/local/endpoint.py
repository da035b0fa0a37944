"""A model's endpoint on this machine: server processes for each release, and the route that splits traffic
over them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.endpoint import ModelEndpoint
from components.environment import Model
from components.local.cluster import Process, ProcessArgs
from components.local.gateway import Gateway, Route, RouteArgs
from components.release import Release
from components.traffic import Share, shares

LOGGED_PERCENT = 10
_DRAIN_SECONDS, _GRACE_SECONDS = 10, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointArgs:
    """Where an endpoint's parts go."""

    root: Path
    """The checkout: the model server is the package ``serving`` in it."""
    run: Path
    registry: str
    """The tracking URI at which the model's versions are looked up."""
    gateway: Gateway


class Endpoint(ModelEndpoint):
    """One model behind the gateway.

    A release's processes are named after its version, not after its role: a canary that becomes stable
    keeps running.
    The route depends on every process, so a release is ready before it gets traffic and has lost it before
    it is stopped.
    """

    def __init__(self, model: Model, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:local:Endpoint", model.name, None, opts)
        self._model, self._args = model, args
        split = shares(model)
        releases = [self._release(share) for share in split]
        backends = [self._backend(share, release) for share, release in zip(split, releases, strict=True)]
        Route(
            model.name,
            RouteArgs(gateway=args.gateway, model=model, backends=backends),
            pulumi.ResourceOptions(parent=self),
        )
        self.outputs = pulumi.Output.from_input(
            {
                "url": f"{args.gateway.url}/{model.name}",
                "releases": [
                    {"version": s.version, "digest": r.digest, "weight": s.weight, "shadow": s.shadow}
                    for s, r in zip(split, releases, strict=True)
                ],
            }
        )
        self.register_outputs({})

    def _release(self, share: Share) -> Release:
        name = f"{self._model.name}-v{share.version}"
        child = pulumi.ResourceOptions(parent=self)
        return Release(name, self._model, share.version, self._args.registry, child, local=True)

    def _backend(self, share: Share, release: Release) -> dict[str, Any]:
        name = f"{self._model.name}-v{share.version}"
        processes = [
            Process(
                f"{name}-{replica}",
                self._server(name, share, release, replica),
                pulumi.ResourceOptions(parent=self),
            )
            for replica in range(self._model.replicas)
        ]
        return {
            "version": share.version,
            "weight": share.weight,
            "shadow": share.shadow,
            "addresses": [process.address for process in processes],
        }

    def _server(self, name: str, share: Share, release: Release, replica: int) -> ProcessArgs:
        run, model = self._args.run, self._model
        # A request that came last has its whole time, where the file says how long that is.
        grace = max(_GRACE_SECONDS, _DRAIN_SECONDS + (model.timeout or 0))
        command: Sequence[pulumi.Input[str]] = [
            *(sys.executable, "-m", "serving", "--model", model.name, "--version", str(share.version)),
            *("--artifact", release.artifact, "--digest", release.digest, "--port", "{port}"),
            *("--access-log", str(run / "logs" / f"{name}-{replica}.requests.jsonl")),
            *("--sample", str(LOGGED_PERCENT / 100)),
            *(("--grace", str(grace)) if grace > _GRACE_SECONDS else ()),
            *model.server_flags,
        ]
        return ProcessArgs(
            folder=run,
            command=command,
            ready="/v2/health/ready",
            environment={"PYTHONPATH": str(self._args.root)},
            source=self._args.root / "serving",
            scrape={"job": "models", "model": model.name, "version": str(share.version)},
            stop_seconds=grace + 10,
        )
