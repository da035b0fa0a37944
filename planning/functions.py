"""The few functions of providers that programs call while they plan."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from planning.outputs import ACCOUNT
from provider.resource import UNKNOWN, Properties

_Function = Callable[[Mapping[str, Any], str], Properties]


class UnknownFunctionError(Exception):
    """A function that the stand-in doesn't have."""


def call(token: str, arguments: Mapping[str, Any], region: str) -> Properties:
    """The answer of a function. Raises UnknownFunctionError."""
    if token not in _FUNCTIONS:
        known = ", ".join(sorted(_FUNCTIONS))
        raise UnknownFunctionError(f"the stand-in doesn't know the function {token}; it knows {known}")
    if UNKNOWN in arguments.values():
        return {}
    return {"id": token, **_FUNCTIONS[token](arguments, region)}


def _identity(arguments: Mapping[str, Any], region: str) -> Properties:
    return {
        "accountId": ACCOUNT,
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/plan/nobody",
        "userId": "NOBODY",
    }


def _region(arguments: Mapping[str, Any], region: str) -> Properties:
    return {
        "name": region,
        "region": region,
        "description": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
    }


def _partition(arguments: Mapping[str, Any], region: str) -> Properties:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _zones(arguments: Mapping[str, Any], region: str) -> Properties:
    names = [f"{region}{letter}" for letter in "abc"]
    return {"names": names, "zoneIds": [f"{region}-az{n}" for n in (1, 2, 3)], "groupNames": [region]}


def _policy(arguments: Mapping[str, Any], region: str) -> Properties:
    asked: list[dict[str, Any]] = arguments.get("statements") or []
    statements: list[dict[str, Any]] = [
        {
            key[0].upper() + key[1:]: value
            for key, value in statement.items()
            if key in ("sid", "effect", "actions", "resources", "principals", "conditions") and value
        }
        for statement in asked
    ]
    text = json.dumps({"Version": arguments.get("version") or "2012-10-17", "Statement": statements})
    return {"json": text, "minifiedJson": text}


def _storage_agent(arguments: Mapping[str, Any], region: str) -> Properties:
    email = f"service-{ACCOUNT}@gs-project-accounts.iam.gserviceaccount.com"
    return {
        "emailAddress": email,
        "member": f"serviceAccount:{email}",
        "project": arguments.get("project") or "nobody",
    }


def _registry_login(arguments: Mapping[str, Any], region: str) -> Properties:
    # Another password each time, as from the real one.
    return {
        "authorizationToken": secrets.token_hex(8),
        "expiresAt": "2030-01-01T00:00:00Z",
        "password": secrets.token_hex(8),
        "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.{region}.amazonaws.com",
        "userName": "AWS",
    }


_FUNCTIONS: dict[str, _Function] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _registry_login,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy,
    "gcp:storage/getProjectServiceAccount:getProjectServiceAccount": _storage_agent,
}
