"""IAM: policy documents with exact actions, and roles that hold nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_aws as aws

from components.aws.scope import Scope

Statement = dict[str, Any]
Condition = Mapping[str, Mapping[str, Any]]


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Condition | None = None,
    principal: Mapping[str, str] | None = None,
) -> Statement:
    """One statement that allows ``actions``, each written out, on ``resources``."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if principal is not None:
        statement["Principal"] = dict(principal)
    if condition is not None:
        statement["Condition"] = {key: dict(value) for key, value in condition.items()}
    return statement


def document(*statements: Statement) -> pulumi.Input[str]:
    """A policy document: plain text, known in a preview, unless a statement names something not made yet."""
    whole = {"Version": "2012-10-17", "Statement": list(statements)}
    if _has_output(whole):
        return pulumi.Output.json_dumps(whole)
    return json.dumps(whole)


def trust(
    service: str, actions: Sequence[str] = ("sts:AssumeRole",), condition: Condition | None = None
) -> str:
    """The document that lets one AWS service take a role."""
    statement: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
    }
    if condition is not None:
        statement["Condition"] = {key: dict(value) for key, value in condition.items()}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def from_account(account: str) -> Condition:
    """A service may take the role only on behalf of this account (the confused deputy)."""
    return {"StringEquals": {"aws:SourceAccount": account}}


def pod_trust() -> str:
    """The document that lets pods take a role through EKS Pod Identity."""
    return trust("pods.eks.amazonaws.com", ("sts:AssumeRole", "sts:TagSession"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A role with its rights. What uses it waits for ``ready``: a role without its rights is of no use."""

    role: aws.iam.Role
    ready: tuple[pulumi.Resource, ...]

    @property
    def arn(self) -> pulumi.Output[str]:
        return self.role.arn


def granted(
    name: str,
    scope: Scope,
    assume: str,
    opts: pulumi.ResourceOptions,
    policy: pulumi.Input[str] | None = None,
    managed: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Granted:
    """Declare a role with an inline policy and AWS' own ``managed`` policies, by name.

    Every role of a platform is made here: it has the platform's permissions boundary.
    """
    role = aws.iam.Role(
        name, assume_role_policy=assume, permissions_boundary=scope.boundary, tags=tags, opts=opts
    )
    ready: list[pulumi.Resource] = [role]
    if policy is not None:
        ready.append(aws.iam.RolePolicy(name, role=role.name, policy=policy, opts=opts))
    for policy_name in managed:
        arn = scope.provided("iam", f"policy/{policy_name}")
        short = policy_name.rpartition("/")[2]
        ready.append(
            aws.iam.RolePolicyAttachment(f"{name}-{short}", role=role.name, policy_arn=arn, opts=opts)
        )
    return Granted(role=role, ready=tuple(ready))


def _has_output(value: object) -> bool:
    if isinstance(value, pulumi.Output):
        return True
    if isinstance(value, Mapping):
        return any(_has_output(inner) for inner in cast(Mapping[object, object], value).values())
    if isinstance(value, list):
        return any(_has_output(inner) for inner in cast(list[object], value))
    return False
