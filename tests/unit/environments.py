"""Hypothesis strategies: environments, and the configurations that say them."""

from typing import Any

from hypothesis import strategies as st

from components.environment import (
    Autoscaling,
    Canary,
    Environment,
    LocalPlatform,
    Model,
    Ports,
    ReleaseRef,
)

versions = st.integers(1, 2**31 - 1)
names = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
owners = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=100)


@st.composite
def ports(draw: st.DrawFn) -> Ports:
    gateway, tracking, prometheus = draw(
        st.lists(st.integers(1024, 65535), min_size=3, max_size=3, unique=True)
    )
    return Ports(gateway=gateway, tracking=tracking, prometheus=prometheus)


@st.composite
def canaries(draw: st.DrawFn, stable: int) -> Canary:
    version = draw(versions.filter(lambda version: version != stable))
    shadow = draw(st.booleans())
    return Canary(version=version, shadow=shadow, weight=0 if shadow else draw(st.integers(0, 100)))


@st.composite
def models(draw: st.DrawFn, name: str) -> Model:
    stable = draw(versions)
    servers = draw(st.integers(1, 16))
    return Model(
        name=name,
        runtime="local",
        stable=ReleaseRef(version=stable),
        canary=draw(st.none() | canaries(stable)),
        autoscaling=Autoscaling(min=servers, max=servers),
        owner=draw(st.none() | owners),
        risk_class=draw(st.none() | st.sampled_from(["minimal", "limited", "high"])),
    )


@st.composite
def environments(draw: st.DrawFn, at_least: int = 0) -> Environment:
    chosen = sorted(draw(st.sets(names, min_size=at_least, max_size=4)))
    return Environment(
        platform=LocalPlatform(ports=draw(ports())),
        models=tuple(draw(models(name)) for name in chosen),
    )


def configuration(environment: Environment) -> dict[str, Any]:
    """Write an environment the way a person would, every key of it."""
    written = environment.platform.ports
    return {
        "platform": {
            "kind": environment.platform.kind,
            "ports": {
                "gateway": written.gateway,
                "tracking": written.tracking,
                "prometheus": written.prometheus,
            },
        },
        "models": {model.name: _model(model) for model in environment.models},
    }


def _model(model: Model) -> dict[str, Any]:
    written: dict[str, Any] = {
        "runtime": model.runtime,
        "stable": {"version": model.stable.version},
        "autoscaling": {"min": model.autoscaling.min, "max": model.autoscaling.max},
    }
    if model.canary:
        share = {"shadow": True} if model.canary.shadow else {"weight": model.canary.weight}
        written["canary"] = {"version": model.canary.version} | share
    if model.owner:
        written["owner"] = model.owner
    if model.risk_class:
        written["riskClass"] = model.risk_class
    return written
