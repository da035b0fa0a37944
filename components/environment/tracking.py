"""An MLflow server in the cluster, and who may reach it from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.environment.authentication import JWT_KEYS, Jwt, parse_jwt
from components.environment.image import Build, parse_tracking_image
from components.environment.patterns import HOST, LABEL, LABEL_RULE, STORAGE
from components.environment.section import Section

_ACCESS_KEYS: Final = ("host", "tlsSecret", *JWT_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who reaches MLflow from outside the cluster: who shows a token of an issuer that has the claims."""

    host: str
    """Its own host name at the gateway."""
    tls_secret: str
    """The TLS Secret for it, in the namespace of the models: a token is never sent in the clear."""
    jwt: Jwt
    """What it must be; it has claims, since an issuer's tokens alone may be anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """An MLflow server in the cluster."""

    image: str | Build
    """MLflow's image, pinned by its digest, or how the program builds it."""
    storage: str = "20Gi"
    """The size of its volume, where the platform has no database and bucket for it."""
    access: Access | None = None
    """None: only the models' namespace reaches it."""


def parse_tracking(platform: Section, *, has_registry: bool = True) -> Tracking | None:
    """Understand the key `tracking` of a platform with a cluster; None if it is absent or wrong.

    `has_registry`: whether the platform has an image registry of its own, into which an image is built.
    """
    section = platform.section(
        "tracking", accepted=("access", "image", "storage"), example="{image: …@sha256:…}"
    )
    if section is None:
        return None
    section.require("image", "MLflow's image, pinned by its digest, or {build: {base: …}}")
    image = parse_tracking_image(section, has_registry=has_registry)
    storage = section.matching("storage", STORAGE, "must be a size such as 20Gi")
    access = _access(section)
    return Tracking(image=image, storage=storage or "20Gi", access=access) if image else None


def _access(tracking: Section) -> Access | None:
    section = tracking.section(
        "access", accepted=_ACCESS_KEYS, example="{host: mlflow.example.com, issuer: https://…, …}"
    )
    if section is None:
        return None
    section.require("host", "its own host name, such as mlflow.example.com")
    section.require("tlsSecret", "the name of the TLS Secret for that host")
    host = section.matching("host", HOST, "must be a host name")
    secret = section.matching("tlsSecret", LABEL, LABEL_RULE)
    jwt = parse_jwt(section, claims_required=True)
    if not (host and secret and jwt and jwt.claims):
        return None
    return Access(host=host, tls_secret=secret, jwt=jwt)
