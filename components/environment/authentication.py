"""What callers have to show before a request reaches a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from components.environment.patterns import LABEL, LABEL_RULE
from components.environment.section import Section

JWT_KEYS: Final = ("audience", "claims", "issuer", "jwks")
_ADDRESS: Final = re.compile(r"https://[^\s/?#@]+(/[^\s?#]*)?")
_PUBLIC: Final = frozenset(
    {
        "https://accounts.google.com",
        "https://gitlab.com",
        "https://token.actions.githubusercontent.com",
    }
)
"""Issuers that give any of their users a token for any audience: only claims tell whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A bearer token (JWT) of an issuer."""

    issuer: str
    """An OpenID Connect issuer, as its tokens name it."""
    jwks: str
    """Where the issuer's keys are."""
    audience: str
    """Whom a token must be meant for."""
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a token must say of its bearer, all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """A key that the caller was given, in the header `x-api-key`."""

    secret: str
    """The Secret, in the namespace of the models, that has each caller's key under the caller's name."""


Authentication = Jwt | ApiKeys


def parse_authentication(parent: Section) -> Authentication | None:
    """Understand the key `authentication`; None if it is absent or wrong."""
    section = parent.section(
        "authentication", accepted=("apiKeys", "jwt"), example="{apiKeys: {secret: callers}}"
    )
    if section is None:
        return None
    if section.has("jwt") == section.has("apiKeys"):
        both = section.has("jwt")
        parent.problem(
            "authentication",
            "must have one of jwt and apiKeys"
            + (", not both: a caller would have to show both" if both else ""),
        )
        return None
    keys = section.section("apiKeys", accepted=("secret",), example="{secret: callers}")
    if keys is not None:
        keys.require("secret", "the name of the Secret with each caller's key under the caller's name")
        secret = keys.matching("secret", LABEL, LABEL_RULE)
        return ApiKeys(secret=secret) if secret else None
    token = section.section("jwt", accepted=JWT_KEYS, example="{issuer: https://…, jwks: https://…, …}")
    return parse_jwt(token) if token else None


def parse_jwt(section: Section, *, claims_required: bool = False) -> Jwt | None:
    """Understand the keys `JWT_KEYS` of a map; None if a required one is missing or wrong."""
    section.require("issuer", "an OpenID Connect issuer, such as https://token.actions.githubusercontent.com")
    section.require(
        "jwks", "where the issuer's keys are: jwks_uri in ISSUER/.well-known/openid-configuration"
    )
    section.require("audience", "whom a token must be meant for, such as mlflow")
    issuer = section.matching("issuer", _ADDRESS, "must be the https:// address of an issuer")
    jwks = section.matching("jwks", _ADDRESS, "must be an https:// address")
    audience = section.line("audience", 253)
    example = "what a token must say, such as {repository_owner: acme}"
    if claims_required:
        section.require("claims", example)
    elif issuer and issuer.rstrip("/") in _PUBLIC:
        section.require("claims", f"{example}: this issuer gives anyone a token for any audience")
    claims = _claims(section)
    if not (issuer and jwks and audience):
        return None
    return Jwt(issuer=issuer, jwks=jwks, audience=audience, claims=claims)


def _claims(token: Section) -> Mapping[str, str]:
    if not token.has("claims"):
        return {}
    section = token.inner("claims")
    if not section.values:
        token.problem("claims", "must be a map of claims to what they must be, with at least one")
    found = {name: section.line(name, 253) for name in section.values}
    return {name: value for name, value in found.items() if value}
