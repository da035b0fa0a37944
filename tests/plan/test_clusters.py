"""When a change of its configuration replaces a provider of Kubernetes, and with it every object.

`tests/cluster/test_identifier.py` has the same table for Pulumi's own provider.
"""

from __future__ import annotations

import json

import pytest

from planning.clusters import moved
from provider.resource import UNKNOWN, Properties


def access(server: str = "https://10.0.0.2", authority: str = "Y2E=", **more: str) -> Properties:
    """The configuration of a provider."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "clusters": [
            {"name": "prod", "cluster": {"server": server, "certificate-authority-data": authority}}
        ],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}],
        "users": [{"name": "prod", "user": {}}],
    }
    return {"kubeconfig": json.dumps(config), **more}


OPENED = {"server": "https://203.0.113.10"}
KNOWN = {"clusterIdentifier": "one"}
CASES: dict[str, tuple[Properties, Properties, bool]] = {
    "without an identifier another address": (access(), access(**OPENED), True),
    "an identifier is added": (access(), access(**KNOWN), False),
    "an identifier is added with another address": (access(), access(**OPENED, **KNOWN), True),
    "the same identifier, another address": (access(**KNOWN), access(**OPENED, **KNOWN), False),
    "the same identifier, other credentials": (access(**KNOWN), access(authority="Y2I=", **KNOWN), False),
    "the same identifier, an unknown address": (
        access(**KNOWN),
        {"kubeconfig": UNKNOWN, **KNOWN},
        False,
    ),
    "another identifier": (access(**KNOWN), access(**OPENED, clusterIdentifier="two"), True),
    "an unknown identifier": (
        access(**KNOWN),
        {"kubeconfig": UNKNOWN, "clusterIdentifier": UNKNOWN},
        True,
    ),
    "another name of a context": ({"context": "prod"}, {"context": "production"}, False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule(case: str) -> None:
    olds, news, replaced = CASES[case]
    assert bool(moved(olds, news)) is replaced
