"""Who may use the Kubernetes API of an EKS cluster: an access entry each, with one of EKS' own policies."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.aws.scope import Scope
from components.environment.aws_access import Access

_ADMIN = "AmazonEKSClusterAdminPolicy"
# Get, list and watch of every resource in every group. AmazonEKSViewPolicy reads neither Secrets nor custom
# resources nor anything outside of a namespace, and a refresh gets all that the stack declares: the Secret of
# MLflow's database, Gateways and routes, ClusterRoles; and Helm keeps what it knows of a chart in Secrets.
# (Amazon EKS User Guide, "Review access policy permissions", read on 2026-11-28.)
_VIEW_ALL = "AmazonEKSAdminViewPolicy"
_WITHIN = {"view": "AmazonEKSViewPolicy", "edit": "AmazonEKSEditPolicy"}


def administer(
    name: str, scope: Scope, cluster: pulumi.Input[str], admins: tuple[str, ...], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Let principals do everything in the cluster of that name. Returns what makes it so."""
    made: list[pulumi.Resource] = []
    for index, principal in enumerate(admins):
        short = f"{name}-admin-{principal.rpartition('/')[2]}"
        if any(principal.endswith(f"/{other.rpartition('/')[2]}") for other in admins[:index]):
            short += f"-{index}"
        made.append(_entry(short, scope, cluster, principal, _ADMIN, {"type": "cluster"}, opts))
    return made


def admit(
    name: str,
    scope: Scope,
    cluster: pulumi.Input[str],
    access: Mapping[str, Access],
    opts: pulumi.ResourceOptions,
) -> None:
    """Let each principal do what it may, in the cluster or in some of its namespaces."""
    for principal, may in sorted(access.items()):
        where: aws.eks.AccessPolicyAssociationAccessScopeArgsDict = {"type": "cluster"}
        policy = _VIEW_ALL
        if may.namespaces:
            where = {"type": "namespace", "namespaces": list(may.namespaces)}
            policy = _WITHIN[may.may]
        _entry(f"{name}-access-{_called(principal, scope)}", scope, cluster, principal, policy, where, opts)


def _entry(
    name: str,
    scope: Scope,
    cluster: pulumi.Input[str],
    principal: str,
    policy: str,
    where: aws.eks.AccessPolicyAssociationAccessScopeArgsDict,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    entry = aws.eks.AccessEntry(
        name, cluster_name=cluster, principal_arn=principal, type="STANDARD", opts=opts
    )
    return aws.eks.AccessPolicyAssociation(
        name,
        cluster_name=cluster,
        # By the entry: EKS ends its associations with it, so a new entry needs new ones.
        principal_arn=entry.principal_arn,
        policy_arn=scope.provided("eks", f"cluster-access-policy/{policy}"),
        access_scope=where,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[entry])),
    )


def _called(principal: str, scope: Scope) -> str:
    """A principal's kind, path and name, and its account where that is another one."""
    *_, account, name = principal.split(":", 5)
    return name if account == scope.account else f"{account}-{name}"
