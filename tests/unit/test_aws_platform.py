"""The whole graph of a platform on AWS, small and large."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from components.aws.network import subnets
from components.aws.nodes import divided
from components.environment import parse
from components.platform import declare as declare_platform
from tests.unit.aws import (
    ACCOUNT,
    DEPLOYER,
    DEV,
    PREFIX,
    PROD,
    amazon,
    answers,
    one_policy,
    only_aws,
    statements,
)
from tests.unit.graph import Graph, declare

SMALL = {
    "appautoscaling/target:Target": 0,
    "cloudwatch/logGroup:LogGroup": 3,
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": 1,
    "ec2/eip:Eip": 1,
    "ec2/flowLog:FlowLog": 1,
    "ec2/internetGateway:InternetGateway": 1,
    "ec2/launchTemplate:LaunchTemplate": 1,
    "ec2/natGateway:NatGateway": 1,
    "ec2/route:Route": 3,
    "ec2/routeTable:RouteTable": 3,
    "ec2/routeTableAssociation:RouteTableAssociation": 4,
    "ec2/securityGroup:SecurityGroup": 1,
    "ec2/subnet:Subnet": 4,
    "ec2/vpc:Vpc": 1,
    "ec2/vpcEndpoint:VpcEndpoint": 5,
    "ecr/lifecyclePolicy:LifecyclePolicy": 1,
    "ecr/repository:Repository": 1,
    "ecr/repositoryPolicy:RepositoryPolicy": 1,
    "eks/accessEntry:AccessEntry": 1,
    "eks/accessPolicyAssociation:AccessPolicyAssociation": 1,
    "eks/addon:Addon": 6,
    "eks/cluster:Cluster": 1,
    "autoscaling/tag:Tag": 2,
    "eks/nodeGroup:NodeGroup": 2,
    "eks/podIdentityAssociation:PodIdentityAssociation": 2,
    "iam/role:Role": 7,
    "iam/rolePolicy:RolePolicy": 4,
    "iam/rolePolicyAttachment:RolePolicyAttachment": 5,
    "kms/alias:Alias": 1,
    "kms/key:Key": 1,
    "s3/bucket:Bucket": 1,
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 1,
    "s3/bucketOwnershipControls:BucketOwnershipControls": 1,
    "s3/bucketPolicy:BucketPolicy": 1,
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1,
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 1,
    "s3/bucketVersioning:BucketVersioning": 1,
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": 2,
}
LARGE = {
    **SMALL,
    "cloudwatch/logGroup:LogGroup": 4,
    "ec2/eip:Eip": 3,
    "ec2/launchTemplate:LaunchTemplate": 2,
    "ec2/natGateway:NatGateway": 3,
    "ec2/route:Route": 4,
    "ec2/routeTable:RouteTable": 4,
    "ec2/routeTableAssociation:RouteTableAssociation": 6,
    "ec2/securityGroup:SecurityGroup": 2,
    "ec2/subnet:Subnet": 6,
    "autoscaling/tag:Tag": 8,
    "eks/nodeGroup:NodeGroup": 4,
    "eks/podIdentityAssociation:PodIdentityAssociation": 4,
    "iam/role:Role": 9,
    "iam/rolePolicy:RolePolicy": 6,
    "rds/instance:Instance": 1,
    "rds/subnetGroup:SubnetGroup": 1,
    "secretsmanager/secret:Secret": 1,
    "secretsmanager/secretVersion:SecretVersion": 1,
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": 3,
}
ROOMS = {
    "Platform": 1,
    "Addons": 1,
    "Artifacts": 1,
    "Cluster": 1,
    "Key": 1,
    "Network": 1,
    "NodePool": 1,
    "PodLogs": 1,
    "Registry": 1,
}


@pytest.fixture(scope="module")
def small() -> Graph:
    return amazon()[0]


@pytest.fixture(scope="module")
def large() -> Graph:
    return amazon(platform=PROD)[0]


def counted(graph: Graph, prefix: str) -> dict[str, int]:
    return {k.removeprefix(prefix): n for k, n in graph.counts().items() if k.startswith(prefix)}


def inputs(graph: Graph, type: str, name: str) -> dict[str, Any]:
    return graph.one(f"aws:{type}", name).inputs


class TestTheWhole:
    def test_a_small_platform(self, small: Graph) -> None:
        assert counted(small, "aws:") == {k: n for k, n in SMALL.items() if n}
        assert counted(small, "delivery:aws:") == ROOMS

    def test_a_large_platform(self, large: Graph) -> None:
        assert counted(large, "aws:") == {k: n for k, n in LARGE.items() if n}
        assert counted(large, "delivery:aws:") == {**ROOMS, "NodePool": 2, "Tracking": 1}

    def test_every_resource_is_in_a_room(self, large: Graph) -> None:
        parents = {r.parent for r in only_aws(large)}
        # Beside the rooms: the nodes' role, which all pools share, and what pods of MLflow and Alertmanager
        # may do.
        assert parents == {
            *("addons", "artifacts", "aws", "cluster", "cpu", "gpu-l4", "images", "key", "network"),
            *("kubernetes", "pod-logs", "tracking"),
        }
        assert {r.name for r in only_aws(large) if r.parent == "kubernetes"} == {"pod-alertmanager"}
        assert {r.name for r in only_aws(large) if r.parent == "aws"} == {
            "nodes",
            "nodes-AmazonEC2ContainerRegistryPullOnly",
            "nodes-AmazonEKSWorkerNodePolicy",
        }

    def test_a_key_that_is_there_is_used(self) -> None:
        arn = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"
        graph, _, _ = amazon(kmsKeyArn=arn)
        assert "kms/key:Key" not in counted(graph, "aws:")
        assert inputs(graph, "cloudwatch/logGroup:LogGroup", "network-flow")["kmsKeyId"] == arn

    def test_everything_is_declared_by_one_provider_of_this_account_alone(self, large: Graph) -> None:
        assert {r.provider.split("::")[-2] for r in only_aws(large)} == {"aws"}
        provider = large.one("pulumi:providers:aws", "aws").inputs
        assert provider["region"] == "eu-central-1"
        assert json.loads(provider["allowedAccountIds"]) == [ACCOUNT]
        tags = {"costCentre": "ml", "model-delivery/stack": PREFIX}
        assert json.loads(provider["defaultTags"]) == {"tags": tags}

    def test_outputs(self) -> None:
        _, _, outputs = amazon()
        assert set(outputs) == {
            *("artifactsBucket", "clusterName", "gatewayAddress", "gatewayUrl", "image"),
            *("imageRepository", "platform", "trackingUrl"),
        }
        assert outputs["clusterName"] == PREFIX
        assert outputs["artifactsBucket"] == f"{PREFIX}-artifacts-{ACCOUNT}"


class TestSafety:
    def test_no_policy_allows_a_wildcard_action_or_principal(self, large: Graph) -> None:
        seen = 0
        for resource, statement in statements(large):
            seen += 1
            if statement["Effect"] == "Deny":
                continue
            actions = statement["Action"]
            assert actions and all("*" not in action for action in actions), resource.name
            assert "*" not in json.dumps(statement.get("Principal", {})), resource.name
        assert seen == 29

    def test_a_policy_on_all_resources_has_only_actions_that_know_no_narrower_one(self, large: Graph) -> None:
        wide = {
            action
            for resource, statement in statements(large)
            if statement.get("Resource") == ["*"] and resource.type != "aws:kms/key:Key"
            for action in statement["Action"]
        }
        assert wide == {
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeScalingActivities",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:GetInstanceTypesFromInstanceRequirements",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "logs:DescribeLogGroups",
        }

    def test_protected_data_is_protected_and_kept(self, large: Graph) -> None:
        held = {(r.type.removeprefix("aws:"), r.name) for r in only_aws(large) if r.protect and r.retained}
        assert held == {
            ("cloudwatch/logGroup:LogGroup", "pod-logs"),
            ("ecr/repository:Repository", "images"),
            ("kms/key:Key", "key"),
            ("rds/instance:Instance", "tracking"),
            ("s3/bucket:Bucket", "artifacts"),
            ("secretsmanager/secret:Secret", "tracking"),
            ("secretsmanager/secretVersion:SecretVersion", "tracking"),
        }
        # Not kept when it leaves the program, but removed only on purpose.
        assert {r.name for r in only_aws(large) if r.protect and not r.retained} == {"cluster"}
        assert inputs(large, "eks/cluster:Cluster", "cluster")["deletionProtection"] is True

    def test_without_protection_everything_can_go(self, small: Graph) -> None:
        assert not [r.name for r in small.resources if r.protect or r.retained]
        assert inputs(small, "eks/cluster:Cluster", "cluster")["deletionProtection"] is False

    def test_security_groups_are_described_in_the_letters_that_ec2_takes(self) -> None:
        graph, _, _ = amazon({"fast": {"runtime": "lambda", "stable": {"version": 3}}}, PROD)
        groups = [r for r in graph.resources if "securityGroup" in r.type and "description" in r.inputs]
        assert len(groups) > 6
        for group in groups:
            text = group.inputs["description"]
            assert re.fullmatch(r"[\w ._:/()#,@\[\]+=&;{}!$*-]{1,255}", text, re.ASCII), text

    def test_the_key_encrypts_what_is_kept(self, large: Graph) -> None:
        key = "arn:of:key"
        assert inputs(large, "ecr/repository:Repository", "images")["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": key}
        ]
        assert inputs(large, "rds/instance:Instance", "tracking")["kmsKeyId"] == key
        assert inputs(large, "secretsmanager/secret:Secret", "tracking")["kmsKeyId"] == key
        cluster = inputs(large, "eks/cluster:Cluster", "cluster")
        assert cluster["encryptionConfig"] == {"provider": {"keyArn": key}, "resources": ["secrets"]}
        models = {name: {"runtime": name, "stable": {"version": 3}} for name in ("lambda", "sagemaker")}
        graph, _, _ = amazon(models, PROD)
        groups = [r for r in graph.resources if r.type == "aws:cloudwatch/logGroup:LogGroup"]
        assert len(groups) == 8
        assert {r.inputs["kmsKeyId"] for r in groups} == {key}
        assert {r.inputs["retentionInDays"] for r in groups} == {90}

    def test_the_key_itself(self, large: Graph) -> None:
        key = inputs(large, "kms/key:Key", "key")
        assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 30)
        root, logs = one_policy(large, "aws:kms/key:Key", "key")
        assert root["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CreateGrant", "kms:Decrypt"} <= set(
            root["Action"]
        )
        assert logs["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
        assert logs["Condition"] == {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:*"
            }
        }
        assert "kms:Decrypt" in logs["Action"] and "kms:PutKeyPolicy" not in logs["Action"]

    def test_no_name_is_built_from_an_output(self) -> None:
        """A name that were would be unknown in this preview, in which nothing has been made."""
        environment = parse(
            PROD,
            {
                "a": {"runtime": "lambda", "stable": {"version": 3}},
                "b": {"runtime": "sagemaker", "stable": {"version": 3}, "autoscaling": {"min": 1, "max": 2}},
            },
        )

        def program() -> None:
            place = declare_platform(environment.platform)
            for model in environment.models:
                place.serve(model)

        def nothing_known(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
            keys = {*inputs, *answers(type, name, inputs)}
            return (
                dict.fromkeys(keys, rpc.UNKNOWN) if type.startswith("aws:") else answers(type, name, inputs)
            )

        named = ("name", "bucket", "identifier", "clusterName")
        own = {
            "aws:s3/bucket:Bucket": ("bucket",),
            "aws:rds/instance:Instance": ("identifier",),
        }

        def names(graph: Graph) -> dict[tuple[str, str], Any]:
            return {
                (r.type, r.name): [r.inputs.get(key) for key in own.get(r.type, named[:1])]
                for r in only_aws(graph)
            }

        known = names(declare(program, answers))
        assert names(declare(program, nothing_known, preview=True)) == known
        assert known["aws:sagemaker/endpoint:Endpoint", "b"] == [f"{PREFIX}-b"]
        assert known["aws:rds/instance:Instance", "tracking"] == [f"{PREFIX}-mlflow"]


class TestTheNetwork:
    def test_ranges_and_zones(self, large: Graph) -> None:
        found = [r.inputs for r in large.resources if r.type == "aws:ec2/subnet:Subnet"]
        assert {(s["availabilityZone"], s["cidrBlock"]) for s in found} == {
            ("eu-central-1a", "10.20.0.0/18"),
            ("eu-central-1b", "10.20.64.0/18"),
            ("eu-central-1c", "10.20.128.0/18"),
            ("eu-central-1a", "10.20.192.0/22"),
            ("eu-central-1b", "10.20.196.0/22"),
            ("eu-central-1c", "10.20.200.0/22"),
        }
        assert not any(s["mapPublicIpOnLaunch"] for s in found)

    @given(
        st.integers(16, 20).flatmap(
            lambda prefix: st.tuples(st.just(prefix), st.integers(0, 2 ** (prefix - 8) - 1))
        )
    )
    def test_subnets_of_any_range_lie_in_it_apart(self, chosen: tuple[int, int]) -> None:
        prefix, number = chosen
        whole = ipaddress.IPv4Network((10 * 2**24 + number * 2 ** (32 - prefix), prefix))
        three = subnets(str(whole), 3)
        parts = [ipaddress.IPv4Network(part) for part in (*three.private, *three.public)]
        assert all(part.subnet_of(whole) and part.prefixlen <= 26 for part in parts)
        assert not any(a.overlaps(b) for index, a in enumerate(parts) for b in parts[index + 1 :])
        # A third zone can be added without a move of the first two.
        two = subnets(str(whole), 2)
        assert (two.private, two.public) == (three.private[:2], three.public[:2])

    def test_each_zone_leaves_by_its_own_nat_or_all_by_one(self, small: Graph, large: Graph) -> None:
        def ways(graph: Graph) -> dict[str, str]:
            return {
                r.name: r.inputs["natGatewayId"]
                for r in graph.resources
                if r.type == "aws:ec2/route:Route" and "natGatewayId" in r.inputs
            }

        assert ways(small) == {
            "network-private-eu-central-1a": "network-nat-eu-central-1a-id",
            "network-private-eu-central-1b": "network-nat-eu-central-1a-id",
        }
        assert ways(large) == {f"network-private-{zone}": f"network-nat-{zone}-id" for zone in PROD["zones"]}
        outward = inputs(large, "ec2/route:Route", "network-public")
        assert outward["gatewayId"] == "network-id"

    def test_images_tokens_and_logs_stay_inside(self, small: Graph) -> None:
        assert services(small) == {"s3", "ecr.api", "ecr.dkr", "logs", "sts"}
        s3 = inputs(small, "ec2/vpcEndpoint:VpcEndpoint", "network-s3")
        assert s3["vpcEndpointType"] == "Gateway"
        assert s3["routeTableIds"] == [
            "network-private-eu-central-1a-id",
            "network-private-eu-central-1b-id",
        ]
        registry = inputs(small, "ec2/vpcEndpoint:VpcEndpoint", "network-ecr-api")
        assert registry["vpcEndpointType"] == "Interface"
        assert registry["privateDnsEnabled"] is True
        assert registry["subnetIds"] == [
            "network-private-eu-central-1a-id",
            "network-private-eu-central-1b-id",
        ]
        rule = inputs(small, "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "network-endpoints")
        assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (
            *("10.20.0.0/16", 443, 443),
            "tcp",
        )

    def test_without_nat_nothing_needs_the_internet_to_reach_aws(self) -> None:
        graph, _, _ = amazon(nat="none")
        assert "ec2/natGateway:NatGateway" not in counted(graph, "aws:")
        assert services(graph) == {
            *("s3", "ecr.api", "ecr.dkr", "logs", "sts", "autoscaling", "ec2", "eks", "eks-auth"),
            *("elasticloadbalancing", "kms", "secretsmanager"),
        }
        assert not [
            r.name for r in graph.resources if r.type == "aws:ec2/route:Route" and "private" in r.name
        ]

    def test_all_traffic_is_logged(self, small: Graph) -> None:
        log = inputs(small, "ec2/flowLog:FlowLog", "network-flow")
        assert (log["trafficType"], log["logDestination"]) == ("ALL", "arn:of:network-flow")
        arn = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/{PREFIX}/flow:*"
        narrow, _ = one_policy(small, "aws:iam/rolePolicy:RolePolicy", "network-flow")
        assert narrow["Resource"] == [arn]
        (trust,) = json.loads(inputs(small, "iam/role:Role", "network-flow")["assumeRolePolicy"])["Statement"]
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}

    def test_the_default_group_lets_nothing_through(self, small: Graph) -> None:
        group = inputs(small, "ec2/defaultSecurityGroup:DefaultSecurityGroup", "network-default")
        assert not group.get("ingress") and not group.get("egress")


def services(graph: Graph) -> set[str]:
    return {
        r.inputs["serviceName"].removeprefix("com.amazonaws.eu-central-1.")
        for r in graph.resources
        if r.type == "aws:ec2/vpcEndpoint:VpcEndpoint"
    }


class TestTheCluster:
    def test_the_control_plane(self, small: Graph) -> None:
        cluster = inputs(small, "eks/cluster:Cluster", "cluster")
        assert {k: v for k, v in cluster.items() if k != "encryptionConfig"} == {
            "name": PREFIX,
            "version": "1.35",
            "roleArn": "arn:of:cluster-control",
            "vpcConfig": {
                "subnetIds": ["network-private-eu-central-1a-id", "network-private-eu-central-1b-id"],
                "endpointPrivateAccess": True,
                "endpointPublicAccess": False,
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
            "accessConfig": {
                "authenticationMode": "API",
                "bootstrapClusterCreatorAdminPermissions": False,
            },
            "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
            "bootstrapSelfManagedAddons": False,
            "upgradePolicy": {"supportType": "EXTENDED"},
            "deletionProtection": False,
        }
        # Its logs have an end and a key only if their group is there first.
        assert {"cluster-logs", "cluster-control"} <= small.waits_for("aws:eks/cluster:Cluster", "cluster")
        group = inputs(small, "cloudwatch/logGroup:LogGroup", "cluster-logs")
        assert group["name"] == f"/aws/eks/{PREFIX}/cluster"

    def test_the_api_is_public_only_to_the_ranges_that_are_named(self) -> None:
        graph, _, _ = amazon(apiAccess=["203.0.113.7/32"])
        config = inputs(graph, "eks/cluster:Cluster", "cluster")["vpcConfig"]
        assert (config["endpointPublicAccess"], config["publicAccessCidrs"]) == (True, ["203.0.113.7/32"])
        assert config["endpointPrivateAccess"] is True

    def test_the_api_is_reached_inside_the_vpc_and_from_the_private_ranges_that_are_named(
        self, small: Graph
    ) -> None:
        def doors(graph: Graph) -> dict[str, Any]:
            return {
                r.name: {key: r.inputs[key] for key in ("securityGroupId", "cidrIpv4", "fromPort", "toPort")}
                for r in graph.resources
                if r.type == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
                and r.name.startswith("cluster-api-")
            }

        def door(reach: str) -> dict[str, Any]:
            return {"securityGroupId": "sg-cluster", "cidrIpv4": reach, "fromPort": 443, "toPort": 443}

        # EKS makes the group, and lets in what has it alone: nodes.
        assert doors(small) == {"cluster-api-vpc": door("10.20.0.0/16")}
        graph, _, _ = amazon(apiAccess=["203.0.113.7/32", "10.90.0.0/16", "100.64.3.0/24"])
        assert doors(graph) == {
            "cluster-api-vpc": door("10.20.0.0/16"),
            "cluster-api-10.90.0.0-16": door("10.90.0.0/16"),
            "cluster-api-100.64.3.0-24": door("100.64.3.0/24"),
        }
        # EC2 refuses the same rule twice.
        assert doors(amazon(apiAccess=["10.20.0.0/16"])[0]) == doors(small)
        # EKS refuses a private range among the public ones.
        config = inputs(graph, "eks/cluster:Cluster", "cluster")["vpcConfig"]
        assert config["publicAccessCidrs"] == ["203.0.113.7/32"]
        private = inputs(amazon(apiAccess=["10.90.0.0/16"])[0], "eks/cluster:Cluster", "cluster")["vpcConfig"]
        assert private["endpointPublicAccess"] is False and "publicAccessCidrs" not in private
        # Whoever declares something in the cluster may be behind such a door.
        waits = graph.waits_for("pulumi:providers:kubernetes", "kubernetes")
        assert set(doors(graph)) <= waits

    def test_nodes_are_upgraded_with_the_control_plane_and_after_it(self) -> None:
        graph, _, _ = amazon(kubernetesVersion="1.36")
        assert inputs(graph, "eks/cluster:Cluster", "cluster")["version"] == "1.36"
        for zone in ("eu-central-1a", "eu-central-1b"):
            assert inputs(graph, "eks/nodeGroup:NodeGroup", f"cpu-{zone}")["version"] == "1.36"
            assert "cluster" in graph.waits_for("aws:eks/nodeGroup:NodeGroup", f"cpu-{zone}")

    def test_who_else_may_use_the_cluster_has_an_entry_and_no_more_than_it_says(self) -> None:
        preview, science = f"arn:aws:iam::{ACCOUNT}:role/ci/preview", f"arn:aws:iam::{ACCOUNT}:user/ada"
        other = "arn:aws:iam::999999999999:role/ci/preview"
        graph, _, _ = amazon(
            access={
                preview: {"may": "view"},
                science: {"may": "edit", "namespaces": ["models", "scratch"]},
                other: {"may": "view", "namespaces": ["models"]},
            }
        )
        association = "accessPolicyAssociation"
        of = {
            name: inputs(graph, f"eks/{association}:AccessPolicyAssociation", f"cluster-access-{name}")
            for name in ("role/ci/preview", "user/ada", "999999999999-role/ci/preview")
        }
        assert [(one["principalArn"], one["policyArn"].rpartition("/")[2]) for one in of.values()] == [
            # The one that also reads Secrets and custom resources, as a refresh does.
            (preview, "AmazonEKSAdminViewPolicy"),
            (science, "AmazonEKSEditPolicy"),
            (other, "AmazonEKSViewPolicy"),
        ]
        assert [one["accessScope"] for one in of.values()] == [
            {"type": "cluster"},
            {"type": "namespace", "namespaces": ["models", "scratch"]},
            {"type": "namespace", "namespaces": ["models"]},
        ]
        entry = inputs(graph, "eks/accessEntry:AccessEntry", "cluster-access-role/ci/preview")
        assert entry["principalArn"] == preview and "kubernetesGroups" not in entry

    def test_admins_are_those_that_are_named(self) -> None:
        people = [DEPLOYER, f"arn:aws:iam::{ACCOUNT}:user/team/ada", f"arn:aws:iam::{ACCOUNT}:user/deploy"]
        graph, _, _ = amazon(admins=people)
        entries = [r.inputs for r in graph.resources if r.type == "aws:eks/accessEntry:AccessEntry"]
        assert sorted(e["principalArn"] for e in entries) == sorted(people)
        rights = [
            r.inputs
            for r in graph.resources
            if r.type == "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
        ]
        assert {r["principalArn"] for r in rights} == set(people)
        assert {r["policyArn"] for r in rights} == {
            "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
        }
        # Nobody may make a Kubernetes object before.
        waits = graph.waits_for("pulumi:providers:kubernetes", "kubernetes")
        assert {"cluster-admin-deploy", "cluster-admin-ada", "cluster-admin-deploy-2"} <= waits

    def test_add_ons(self) -> None:
        graph, _, _ = amazon(addons={"vpc-cni": "v1.20.4-eksbuild.2"})
        addons = {r.inputs["addonName"]: r.inputs for r in graph.resources if r.type == "aws:eks/addon:Addon"}
        assert set(addons) == {
            *("aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "metrics-server"),
            "vpc-cni",
        }
        assert {name: a["addonVersion"] for name, a in addons.items() if "addonVersion" in a} == {
            "vpc-cni": "v1.20.4-eksbuild.2"
        }
        assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}
        assert {
            name: a["podIdentityAssociations"] for name, a in addons.items() if "podIdentityAssociations" in a
        } == {
            "vpc-cni": [{"serviceAccount": "aws-node", "roleArn": "arn:of:cluster-network"}],
            "aws-ebs-csi-driver": [
                {"serviceAccount": "ebs-csi-controller-sa", "roleArn": "arn:of:addons-disks"}
            ],
        }

    def test_nodes_have_a_network_before_they_come_and_names_after(self, small: Graph) -> None:
        before = small.waits_for("aws:eks/nodeGroup:NodeGroup", "cpu-eu-central-1a")
        assert {"cluster-vpc-cni", "cluster-kube-proxy", "cluster-eks-pod-identity-agent"} <= before
        assert not {"addons-coredns", "addons-aws-ebs-csi-driver"} & before
        assert {f"network-{way}" for way in ("private-eu-central-1b", "s3", "ecr-dkr", "sts")} <= before
        for name in ("addons-coredns", "addons-aws-ebs-csi-driver", "addons-metrics-server"):
            waits = small.waits_for("aws:eks/addon:Addon", name)
            assert {"cpu-eu-central-1a", "cpu-eu-central-1b"} <= waits

    def test_workloads_wait_for_names_disks_and_nodes(self, small: Graph) -> None:
        waits = small.waits_for("kubernetes:core/v1:Namespace", "models")
        nodes = {"cpu-eu-central-1a", "cpu-eu-central-1b"}
        assert {"addons-coredns", "addons-aws-ebs-csi-driver", "cluster-autoscaler", *nodes} <= waits

    def test_the_kubeconfig_has_no_secret(self, small: Graph) -> None:
        text = small.one("pulumi:providers:kubernetes", "kubernetes").inputs["kubeconfig"]
        config = json.loads(text)
        assert config["clusters"] == [
            {
                "name": PREFIX,
                "cluster": {"server": "https://eks.example.com", "certificate-authority-data": "Y2E="},
            }
        ]
        (user,) = config["users"]
        assert set(user["user"]) == {"exec"}
        assert user["user"]["exec"]["command"] == "aws"
        assert user["user"]["exec"]["args"][:6] == [
            *("eks", "get-token", "--cluster-name", PREFIX),
            *("--region", "eu-central-1"),
        ]


class TestNodes:
    def test_a_pool_of_cpus_is_a_group_in_each_zone(self, large: Graph) -> None:
        """A volume of EBS stays in its zone, and of a group over several zones the autoscaler can't ask for a
        node in that one: docs.aws.amazon.com/eks/latest/best-practices/cas.html, "EBS Volumes"."""
        for zone in PROD["zones"]:
            group = large.one("aws:eks/nodeGroup:NodeGroup", f"cpu-{zone}")
            assert group.inputs == {
                "clusterName": PREFIX,
                "nodeRoleArn": "arn:of:nodes",
                "subnetIds": [f"network-private-{zone}-id"],
                "version": "1.35",
                "amiType": "AL2023_x86_64_STANDARD",
                "instanceTypes": ["m7i.xlarge", "m6i.xlarge"],
                "capacityType": "ON_DEMAND",
                "scalingConfig": {"minSize": 1, "maxSize": 4, "desiredSize": 1},
                "updateConfig": {"maxUnavailablePercentage": 33},
                "nodeRepairConfig": {"enabled": True},
                "labels": {"model-delivery/pool": "cpu"},
                "launchTemplate": {"id": "cpu-id", "version": "1"},
            }
            # The autoscaler owns the number of nodes.
            assert group.ignores == {"scalingConfig.desiredSize"}
        chart = large.one("kubernetes:helm.sh/v3:Release", "cluster-autoscaler").inputs
        assert chart["values"]["extraArgs"]["balance-similar-node-groups"] is True

    @given(zones=st.integers(2, 3), least=st.integers(1, 400), more=st.integers(0, 50))
    def test_the_groups_share_the_bounds_of_their_pool(self, zones: int, least: int, more: int) -> None:
        most = max(least + more, zones)
        for whole in (least, most):
            parts = divided(whole, zones)
            assert (sum(parts), len(parts)) == (whole, zones)
            assert max(parts) - min(parts) <= 1
        # EKS takes no group of at most none, and none whose least is above its most.
        assert all(
            1 <= high >= low for low, high in zip(divided(least, zones), divided(most, zones), strict=True)
        )

    def test_a_change_of_tags_rolls_no_node(self, large: Graph) -> None:
        """A new version of the launch template replaces every node of its groups
        (docs.aws.amazon.com/eks/latest/userguide/update-managed-node-group.html), so tags go another way."""
        for pool in ("cpu", "gpu-l4"):
            template = large.one("aws:ec2/launchTemplate:LaunchTemplate", pool)
            assert template.ignores == {"tagSpecifications", "tags", "tagsAll"}
        tags = {r.name: r.inputs for r in large.resources if r.type == "aws:autoscaling/tag:Tag"}
        assert tags["cpu-eu-central-1b-costCentre"] == {
            "autoscalingGroupName": "group-of-cpu-eu-central-1b",
            "tag": {"key": "costCentre", "value": "ml", "propagateAtLaunch": True},
        }
        assert {(t["autoscalingGroupName"], t["tag"]["key"]) for t in tags.values()} == {
            (f"group-of-{group}", key)
            for group in (*(f"cpu-{zone}" for zone in PROD["zones"]), "gpu-l4")
            for key in ("costCentre", "model-delivery/stack")
        }

    def test_a_pool_of_gpus_starts_empty_and_repels_what_needs_none(self, large: Graph) -> None:
        group = large.one("aws:eks/nodeGroup:NodeGroup", "gpu-l4")
        assert group.inputs["subnetIds"] == [f"network-private-{zone}-id" for zone in PROD["zones"]]
        assert group.inputs["taints"] == [
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
        ]
        assert group.inputs["amiType"] == "AL2023_x86_64_NVIDIA"
        # The autoscaler's sign of a GPU that isn't there yet: else it starts a second node for the same pod.
        assert "k8s.amazonaws.com/accelerator" in group.inputs["labels"]
        assert group.inputs["capacityType"] == "SPOT"
        assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}
        assert group.ignores == {"scalingConfig.desiredSize"}

    def test_pods_cannot_take_the_nodes_rights(self, large: Graph) -> None:
        template = inputs(large, "ec2/launchTemplate:LaunchTemplate", "gpu-l4")
        assert template["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
            "instanceMetadataTags": "disabled",
        }
        (disk,) = template["blockDeviceMappings"]
        assert (disk["ebs"]["encrypted"], disk["ebs"]["volumeSize"]) == ("true", 100)
        tags = {"costCentre": "ml", "model-delivery/stack": PREFIX, "Name": f"{PREFIX}-gpu-l4"}
        assert template["tagSpecifications"] == [
            {"resourceType": "instance", "tags": tags},
            {"resourceType": "volume", "tags": tags},
        ]
        assert "keyName" not in template

    def test_nodes_may_join_and_pull_no_more(self, large: Graph) -> None:
        attached = {
            r.inputs["policyArn"]
            for r in large.resources
            if r.type == "aws:iam/rolePolicyAttachment:RolePolicyAttachment" and r.name.startswith("nodes-")
        }
        assert attached == {
            "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
            "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
        }

    def test_the_autoscaler_may_size_this_clusters_groups_alone(self, small: Graph) -> None:
        change, describe, _ = one_policy(small, "aws:iam/rolePolicy:RolePolicy", "addons-autoscaler")
        assert change["Condition"] == {
            "StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{PREFIX}": "owned"}
        }
        assert describe["Resource"] == [f"arn:aws:eks:eu-central-1:{ACCOUNT}:nodegroup/{PREFIX}/*/*"]
        identity = inputs(small, "eks/podIdentityAssociation:PodIdentityAssociation", "addons-autoscaler")
        chart = small.one("kubernetes:helm.sh/v3:Release", "cluster-autoscaler").inputs
        assert identity["namespace"] == chart["namespace"] == "kube-system"
        assert identity["serviceAccount"] == chart["values"]["rbac"]["serviceAccount"]["name"]
        assert chart["values"]["autoDiscovery"] == {"clusterName": PREFIX}

    def test_the_gpu_plugin_comes_with_a_gpu_pool(self, small: Graph, large: Graph) -> None:
        def charts(graph: Graph) -> set[str]:
            return {r.inputs["chart"] for r in graph.resources if r.type == "kubernetes:helm.sh/v3:Release"}

        assert charts(large) - charts(small) == {"nvidia-device-plugin", "dcgm-exporter"}


class TestTheRegistryOfImages:
    def test_tags_stay_and_pushes_are_scanned(self, small: Graph) -> None:
        repository = inputs(small, "ecr/repository:Repository", "images")
        assert repository["name"] == f"{PREFIX}/serving"
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository["forceDelete"] is False

    def test_only_images_without_a_tag_ever_go(self, small: Graph) -> None:
        (rule,) = json.loads(inputs(small, "ecr/lifecyclePolicy:LifecyclePolicy", "images")["policy"])[
            "rules"
        ]
        assert rule["selection"] == {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 14,
        }

    def test_lambda_may_pull_for_this_stacks_functions(self, small: Graph) -> None:
        (statement,) = one_policy(small, "aws:ecr/repositoryPolicy:RepositoryPolicy", "images")
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert statement["Condition"] == {
            "ArnLike": {"aws:SourceArn": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{PREFIX}-*"}
        }


class TestStorage:
    def test_the_bucket(self, small: Graph) -> None:
        bucket = f"{PREFIX}-artifacts-{ACCOUNT}"
        assert inputs(small, "s3/bucket:Bucket", "artifacts") == {"bucket": bucket, "forceDestroy": False}
        block = inputs(small, "s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "artifacts")
        assert block == {
            "bucket": "artifacts-id",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }
        versions = inputs(small, "s3/bucketVersioning:BucketVersioning", "artifacts")
        assert versions["versioningConfiguration"] == {"status": "Enabled"}
        (rule,) = inputs(
            small,
            "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "artifacts",
        )["rules"]
        assert rule["applyServerSideEncryptionByDefault"] == {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": "arn:of:key",
        }
        (deny,) = one_policy(small, "aws:s3/bucketPolicy:BucketPolicy", "artifacts")
        assert deny == {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }

    def test_captured_requests_go_and_models_stay(self, small: Graph) -> None:
        rules = inputs(small, "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "artifacts")[
            "rules"
        ]
        assert [r["filter"]["prefix"] for r in rules if "expiration" in r] == ["capture/"]
        assert [r["filter"]["prefix"] for r in rules if "noncurrentVersionExpiration" in r] == ["capture/"]

    def test_the_database_of_production(self, large: Graph) -> None:
        database = large.one("aws:rds/instance:Instance", "tracking")
        given = {k: v for k, v in database.inputs.items() if k != "password"}
        assert given == {
            "identifier": f"{PREFIX}-mlflow",
            "engine": "postgres",
            "engineVersion": "17",
            "instanceClass": "db.m7g.large",
            "allocatedStorage": 100,
            "maxAllocatedStorage": 500,
            "storageType": "gp3",
            "storageEncrypted": True,
            "kmsKeyId": "arn:of:key",
            "dbName": "mlflow",
            "username": "mlflow",
            "port": 5432,
            "multiAz": True,
            "publiclyAccessible": False,
            "dbSubnetGroupName": "tracking-auto",
            "vpcSecurityGroupIds": ["tracking-id"],
            "backupRetentionPeriod": 30,
            "copyTagsToSnapshot": True,
            "autoMinorVersionUpgrade": True,
            "deletionProtection": True,
            "skipFinalSnapshot": False,
            "finalSnapshotIdentifier": f"{PREFIX}-mlflow-final",
            "deleteAutomatedBackups": False,
            "enabledCloudwatchLogsExports": ["postgresql"],
        }
        rule = inputs(large, "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "tracking")
        assert rule["referencedSecurityGroupId"] == "sg-cluster"
        assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)

    def test_the_database_of_a_trial_can_go(self) -> None:
        graph, _, _ = amazon(tracking=PROD["tracking"])
        database = inputs(graph, "rds/instance:Instance", "tracking")
        assert (database["deletionProtection"], database["skipFinalSnapshot"]) == (False, True)
        assert (database["instanceClass"], database["multiAz"]) == ("db.t4g.small", False)
        assert database["backupRetentionPeriod"] == 7
        # Its name can be used again at once.
        secret = inputs(graph, "secretsmanager/secret:Secret", "tracking")
        assert secret["recoveryWindowInDays"] == 0

    def test_the_password_is_made_once_and_shown_nowhere(self, large: Graph) -> None:
        version = large.one("aws:secretsmanager/secretVersion:SecretVersion", "tracking")
        assert version.ignores == {"secretString"}
        login = json.loads(version.inputs["secretString"]["value"])
        assert login["username"] == "mlflow" and len(login["password"]) >= 32
        password = large.one("aws:rds/instance:Instance", "tracking").inputs["password"]
        assert password["value"] == login["password"]
        text = json.dumps(
            [r.inputs for r in large.resources if r is not version and r.name != "tracking"], default=str
        )
        assert login["password"] not in text
        other = amazon(platform=PROD, logDays=30)[0].one(
            "aws:secretsmanager/secretVersion:SecretVersion", "tracking"
        )
        assert other.inputs != version.inputs

    def test_mlflow_uses_the_database_and_the_bucket(self, large: Graph) -> None:
        secret = large.one("kubernetes:core/v1:Secret", "tracking").inputs["stringData"]
        database = (
            secret["database"] if isinstance(secret, dict) and "database" in secret else secret["value"]
        )
        uri = database["value"] if isinstance(database, dict) and "value" in database else database
        uri = uri["database"] if isinstance(uri, dict) else uri
        assert str(uri).startswith("postgresql+psycopg2://mlflow:")
        assert str(uri).endswith("@db.example.com:5432/mlflow?sslmode=require")
        server = large.one("kubernetes:apps/v1:Deployment", "tracking").inputs
        (container,) = server["spec"]["template"]["spec"]["containers"]
        assert f"s3://{PREFIX}-artifacts-{ACCOUNT}/mlflow" in container["command"]

    def test_mlflows_pods_may_read_and_write_models_and_delete_none(self, large: Graph) -> None:
        association = inputs(large, "eks/podIdentityAssociation:PodIdentityAssociation", "pod-tracking")
        assert (association["namespace"], association["serviceAccount"]) == ("models", "tracking")
        rights = one_policy(large, "aws:iam/rolePolicy:RolePolicy", "pod-tracking")
        bucket = f"arn:aws:s3:::{PREFIX}-artifacts-{ACCOUNT}"
        assert [(r["Action"], r["Resource"]) for r in rights] == [
            (["s3:ListBucket"], [bucket]),
            (["s3:GetObject"], [f"{bucket}/mlflow/*"]),
            (["kms:Decrypt"], ["arn:of:key"]),
            (["s3:PutObject", "s3:AbortMultipartUpload"], [f"{bucket}/mlflow/*"]),
            (["kms:GenerateDataKey"], ["arn:of:key"]),
        ]
        assert "pod-tracking" in large.waits_for("kubernetes:apps/v1:Deployment", "tracking")


def test_logical_names_are_unique_by_type(large: Graph) -> None:
    assert max(Counter((r.type, r.name) for r in large.resources).values()) == 1


def test_the_default_is_the_small_platform() -> None:
    assert amazon(platform={**DEV, "nat": "one", "protectData": False})[0].counts() == amazon()[0].counts()
