"""Which cluster a provider's objects are in: a name that stays while the cluster does."""

from __future__ import annotations

import hashlib

import pulumi


def cluster_identifier(
    name: str, authority: pulumi.Input[str], cluster: pulumi.Resource, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Return the ``cluster_identifier`` of the provider of a cluster that this stack declares.

    Without one the provider takes another address or certificate in the kubeconfig for another cluster and
    replaces every object (pulumi-kubernetes, ``DiffConfig``). A name alone would hide the opposite: a cluster
    that is replaced keeps its name and has none of the objects. So the identifier is made from the
    certificate of the cluster's authority, ``authority``, as it was when the stack first saw the cluster, and
    is made anew only when ``cluster`` is replaced: neither the API server's address nor a rotation of its
    credentials changes it.
    """
    first = pulumi.Stash(
        name,
        input=pulumi.Output.from_input(authority).apply(fingerprint),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(replace_with=[cluster])),
    )
    return first.output.apply(str)


def fingerprint(authority: str) -> str:
    """Return the first 16 characters of a certificate's SHA-256, in hexadecimal."""
    return hashlib.sha256(authority.encode()).hexdigest()[:16]
