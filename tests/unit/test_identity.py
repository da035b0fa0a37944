"""What keeps its identity when it is replaced, of every type that the program declares."""

from __future__ import annotations

import re
from pathlib import Path

import pulumi
import pytest

from components import identity

GOLDENS = sorted(Path(__file__).parent.glob("*.golden"))
OWN = frozenset(
    {
        # The service gives an id to each; a name, where there is one, is only told.
        "aws:apigatewayv2/api:Api",
        "aws:apigatewayv2/integration:Integration",
        "aws:apigatewayv2/vpcLink:VpcLink",
        "aws:ec2/eip:Eip",
        "aws:ec2/flowLog:FlowLog",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:kms/key:Key",
        "aws:secretsmanager/secretVersion:SecretVersion",
        "gcp:monitoring/alertPolicy:AlertPolicy",
        "gcp:secretmanager/secretVersion:SecretVersion",
        # Pulumi puts a random end to the name.
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:eks/nodeGroup:NodeGroup",
        "aws:iam/role:Role",
        "aws:rds/subnetGroup:SubnetGroup",
        "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
        "aws:sagemaker/model:Model",
        "gcp:compute/firewall:Firewall",
        "gcp:compute/forwardingRule:ForwardingRule",
        "gcp:compute/globalAddress:GlobalAddress",
        "gcp:compute/network:Network",
        "gcp:compute/regionBackendService:RegionBackendService",
        "gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup",
        "gcp:compute/regionTargetHttpsProxy:RegionTargetHttpsProxy",
        "gcp:compute/regionUrlMap:RegionUrlMap",
        "gcp:compute/router:Router",
        "gcp:compute/routerNat:RouterNat",
        "gcp:compute/subnetwork:Subnetwork",
        "gcp:container/nodePool:NodePool",
        "gcp:kms/cryptoKey:CryptoKey",
        "gcp:kms/keyRing:KeyRing",
        "gcp:sql/databaseInstance:DatabaseInstance",
    }
)
"""Types of which a second creation is another one beside the first."""
_HEAD = re.compile(r"^((?!pulumi:|delivery:)[\w-]+:[\w/.-]+:\w+) ")
_NAME = re.compile(r"^  (?:name|bucket|identifier|repositoryId|accountId|secretId): ")


def declared() -> dict[str, bool]:
    """Every type in the golden plans; whether one of it is given a name."""
    found: dict[str, bool] = {}
    kind = ""
    for line in (line for file in GOLDENS for line in file.read_text(encoding="utf-8").splitlines()):
        if head := _HEAD.match(line):
            kind = head[1]
            found.setdefault(kind, False)
        elif not line.startswith(" "):
            kind = ""
        elif kind and _NAME.match(line):
            found[kind] = True
    return found


def test_every_type_is_said_to_keep_its_identity_or_not() -> None:
    types = {kind for kind in declared() if not kind.startswith(("kubernetes:", "azure-native:"))}
    assert len(types) > 80
    assert types - identity.FIXED.keys() - OWN == set()
    assert not OWN & identity.FIXED.keys()


def test_what_pulumi_names_is_given_no_name() -> None:
    named = {kind for kind, given in declared().items() if given}
    told_alone = {
        "aws:apigatewayv2/api:Api",
        "aws:apigatewayv2/vpcLink:VpcLink",
        "aws:secretsmanager/secretVersion:SecretVersion",
    }
    assert named & OWN <= told_alone


@pytest.mark.parametrize(
    ("kind", "properties", "first"),
    [
        ("kubernetes:apps/v1:Deployment", {"metadata": {"name": "a"}}, True),
        ("kubernetes:helm.sh/v3:Release", {"name": "a"}, True),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"name": "a"}, True),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"name": None}, None),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {}, True),
        ("aws:iam/role:Role", {}, None),
        ("delivery:local:Process", {}, None),
    ],
)
def test_what_keeps_its_identity_is_deleted_first(
    kind: str, properties: dict[str, object], first: bool | None
) -> None:
    opts = pulumi.ResourceOptions()
    args = pulumi.ResourceTransformationArgs(
        resource=None,  # type: ignore[arg-type]
        type_=kind,
        name="a",
        props=properties,
        opts=opts,
    )
    identity.deleted_before_replaced(args)
    assert opts.delete_before_replace is first


def test_a_component_that_asks_for_another_order_has_it() -> None:
    opts = pulumi.ResourceOptions(delete_before_replace=False)
    args = pulumi.ResourceTransformationArgs(
        resource=None,  # type: ignore[arg-type]
        type_="kubernetes:apps/v1:Deployment",
        name="a",
        props={},
        opts=opts,
    )
    identity.deleted_before_replaced(args)
    assert opts.delete_before_replace is False
