"""What a provider would answer: names it chooses, and outputs that no input gives.

Values are made up, but of the declared type, the same each time, and of the right form where a program may
take them apart (ARNs, URLs, certificates).
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import typing
from collections.abc import Callable, Container, Mapping
from typing import Any, cast

from pulumi import _types as sdk  # pyright: ignore[reportPrivateUsage]

from planning.schema import Kind, alternatives
from provider.resource import UNKNOWN, Properties

ACCOUNT = "123456789012"
_GKE = "gcp:container/cluster:Cluster"
_DEEPEST = 4

_NAMED_BY: dict[str, str] = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:rds/instance:Instance": "identifier",
}
"""The property that the provider fills in when it isn't `name`."""

_DECIDED: dict[str, dict[str, str]] = {
    "gcp:compute/forwardingRule:ForwardingRule": {"ipAddress": "10.0.0.5"},
}
"""Optional inputs that the provider decides where they are absent, and keeps."""

_INNER: dict[str, dict[str, dict[str, str]]] = {
    # EKS makes the nodes' security group itself.
    "aws:eks/cluster:Cluster": {"vpcConfig": {"clusterSecurityGroupId": "sg-"}},
    "gcp:container/cluster:Cluster": {"masterAuth": {"clusterCaCertificate": "certificate-of-"}},
}
"""Outputs that are inside of an input, each with what its value begins with."""

_KEEPS_NO_NAME = ("aws:ec2/", "aws:apigatewayv2/route", "aws:eks/addon", "aws:route53/")
"""Types with an optional `name` that the provider leaves empty."""

_RENEWED: dict[str, dict[str, frozenset[str]]] = {
    # A version can't be changed; its tags are the resource's own and are in none.
    "aws:ec2/launchTemplate:LaunchTemplate": {
        "latestVersion": frozenset({"blockDeviceMappings", "metadataOptions", "tagSpecifications"}),
    },
    # A published version is a new one with each change of the code or of the configuration.
    "aws:lambda/function:Function": {
        "version": frozenset({"imageUri", "environment", "memorySize", "timeout", "imageConfig", "code"}),
        "qualifiedArn": frozenset(
            {"imageUri", "environment", "memorySize", "timeout", "imageConfig", "code"}
        ),
    },
    "docker-build:index:Image": {
        name: frozenset({"context", "dockerfile", "buildArgs", "tags", "labels", "target", "platforms"})
        for name in ("ref", "digest", "contextHash")
    },
}
"""Outputs that are known only after an update of certain inputs; every other output stays as it was."""


def named(
    kind: Kind, name: str, old: Properties | None, new: Properties, taken: Container[str] = ()
) -> Properties:
    """Inputs with the name that the provider chooses where none is given: the last one, or a free one."""
    if kind.token.startswith("kubernetes:"):
        given: Any = new.get("metadata")
        if given is not None and not isinstance(given, dict):
            return new
        metadata = _within(new, "metadata")
        if metadata.get("name") or metadata.get("generateName"):
            return new
        before = _within(old or {}, "metadata").get("name")
        return {**new, "metadata": {**metadata, "name": before or _free(kind.token, name, 8, taken)}}
    at = _NAMED_BY.get(kind.token, "name")
    if kind.inputs is None or at not in kind.inputs.types or at in kind.inputs.required:
        return new
    if new.get(at) is not None or new.get(f"{at}Prefix") is not None:
        return new
    if kind.inputs.types[at] is not str or kind.token.startswith(_KEEPS_NO_NAME):
        return new
    return {**new, at: (old or {}).get(at) or _free(kind.token, name, 7, taken)}


def own_name(kind: Kind, inputs: Properties) -> str:
    """The name by which the provider would find a resource with these inputs."""
    if kind.token.startswith("kubernetes:"):
        return str(_within(inputs, "metadata").get("name"))
    return str(inputs.get(_NAMED_BY.get(kind.token, "name")))


def preview(kind: Kind, inputs: Properties) -> Properties:
    """What is known of a resource before it is there: its inputs."""
    return {**dict.fromkeys(kind.computed, UNKNOWN), **_with_inner(kind, inputs, lambda _, __: UNKNOWN)}


def created(kind: Kind, name: str, inputs: Properties) -> Properties:
    """What a resource has once it is there."""
    made = {key: _made(kind.token, name, key, found) for key, found in kind.computed.items()}
    whole = _with_inner(kind, inputs, lambda _, form: f"{form}{_letters(kind.token, name, 17)}")
    return {**made, **_DECIDED.get(kind.token, {}), **_special(kind.token, name, inputs), **whole}


def updated(kind: Kind, name: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
    """What a resource has after an update."""
    given = kind.inputs.types if kind.inputs else state
    kept = {key: value for key, value in state.items() if key not in given}
    for key, causes in _RENEWED.get(kind.token, {}).items():
        if any(state.get(cause) != inputs.get(cause) for cause in causes):
            kept[key] = UNKNOWN if preview else _next(state.get(key))
    if not preview:
        kept |= _moved(kind.token, inputs)
    decided = {key: state[key] for key in _DECIDED.get(kind.token, {}) if key in state}
    before: Properties = {
        key: value for at in _INNER.get(kind.token, {}) for key, value in _within(state, at).items()
    }
    return {**decided, **kept, **_with_inner(kind, inputs, before.get)}


def _with_inner(kind: Kind, inputs: Properties, value: Callable[[str, str], Any]) -> Properties:
    """Inputs with what the provider adds inside of them; ``value`` is given its key and how it begins."""
    added = {
        at: {**_within(inputs, at), **{key: value(key, form) for key, form in keys.items()}}
        for at, keys in _INNER.get(kind.token, {}).items()
    }
    return {**inputs, **added}


def _within(properties: Mapping[str, Any], key: str) -> Properties:
    """A map inside of others; an empty one where it is absent."""
    return cast(Properties, properties.get(key) or {})


def identity(kind: Kind, name: str, outputs: Mapping[str, Any]) -> str:
    """The id that the provider gives a resource."""
    if kind.token.startswith("kubernetes:"):
        metadata = _within(outputs, "metadata")
        space, own = metadata.get("namespace"), str(metadata.get("name") or name)
        return f"{space}/{own}" if space else own
    return str(outputs.get(_NAMED_BY.get(kind.token, "name")) or f"{name}-{_letters(kind.token, name, 7)}")


def _next(value: Any) -> Any:
    text = str(value)
    head, _, tail = text.rpartition(":")
    if tail.isdigit():
        return f"{head}:{int(tail) + 1}" if head else str(int(tail) + 1)
    return f"{text}-next"


def _moved(type_: str, inputs: Properties) -> Properties:
    """What an update gives another value although its preview shows the old one: a provider says of no output
    that it will change unless its schema does."""
    if type_ == _GKE:
        # GKE's field `endpoint` is the address that is switched on. (container_v1.Cluster)
        private = _within(inputs, "privateClusterConfig").get("enablePrivateEndpoint")
        return {"endpoint": "10.0.0.2" if private else "203.0.113.10"}
    return {}


def _special(type_: str, name: str, inputs: Properties) -> Properties:
    if type_ == "aws:lambda/function:Function":
        arn = _arn(type_, str(inputs.get("name") or name))
        return {
            "arn": arn,
            "version": "1" if inputs.get("publish") else "$LATEST",
            "qualifiedArn": f"{arn}:1",
        }
    if type_ == "aws:eks/cluster:Cluster":
        authority = base64.b64encode(b"a certificate of nobody").decode()
        return {"endpoint": "https://eks.invalid", "certificateAuthority": {"data": authority}}
    if type_ == _GKE:
        return _moved(type_, inputs)
    if type_ == "aws:apigatewayv2/api:Api":
        return {"apiEndpoint": f"https://{_letters(type_, name, 10)}.execute-api.eu-central-1.amazonaws.com"}
    if type_ == "aws:ecr/repository:Repository":
        return {"repositoryUrl": f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{inputs.get('name') or name}"}
    if type_ == "docker-build:index:Image":
        tags = inputs.get("tags") or [name]
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        return {"digest": digest, "ref": f"{tags[0]}@{digest}"}
    return {}


def _made(token: str, name: str, key: str, declared: Any, depth: int = 0) -> Any:
    found: Any = next(iter(alternatives(declared)), Any)
    origin: Any = typing.get_origin(found) or found
    inner = typing.get_args(found)
    if origin is typing.Literal:
        return inner[0]
    if found is str:
        return _arn(token, name) if key.lower().endswith("arn") else f"{name}-{key}"
    if found is bool:
        return False
    if found in (int, float):
        return 1
    if inspect.isclass(found) and sdk.is_output_type(found):
        if depth == _DEEPEST:
            return {}
        return {
            inside: _made(token, name, inside, type_, depth + 1)
            for inside, type_ in sdk.output_type_types(found).items()
        }
    if getattr(origin, "__name__", "") in ("Sequence", "list") and inner:
        return [_made(token, name, key, inner[0], depth)]
    return {} if getattr(origin, "__name__", "") in ("Mapping", "dict") else None


def _arn(token: str, name: str) -> str:
    service, _, kind = token.split(":")[1].partition("/")
    return f"arn:aws:{service}:eu-central-1:{ACCOUNT}:{kind.lower()}/{name}"


def _free(token: str, name: str, count: int, taken: Container[str]) -> str:
    """A name with letters of its own; a replacement beside the old resource gets other ones."""
    found, salt = f"{name}-{_letters(token, name, count)}", 1
    while found in taken:
        found, salt = f"{name}-{_letters(token, f'{name} {salt}', count)}", salt + 1
    return found


def _letters(token: str, name: str, count: int) -> str:
    return hashlib.sha256(f"{token} {name}".encode()).hexdigest()[:count]
