"""The partitions of AWS: nothing of what is declared in GovCloud or China names the commercial one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from components.environment.aws_partition import partition_of
from tests.unit.aws import ACCOUNT, DIGEST, PROD, amazon, only_aws

ROOT = Path(__file__).resolve().parents[2]
_PARTITIONS = {"aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}


def _names() -> list[tuple[str, str, str]]:
    folder = Path(botocore.__file__).parent
    data: dict[str, Any] = json.loads((folder / "data" / "partitions.json").read_text(encoding="utf-8"))
    return [
        (region, partition["id"], partition["outputs"]["dnsSuffix"])
        for partition in data["partitions"]
        if partition["id"] in ("aws", "aws-cn", "aws-us-gov")
        for region in partition["regions"]
        if not region.endswith("-global")
    ]


@pytest.mark.parametrize(("region", "name", "suffix"), _names())
def test_a_region_is_in_the_partition_that_awss_own_sdk_says(region: str, name: str, suffix: str) -> None:
    found = partition_of(region)
    assert (found.name, found.dns_suffix) == (name, suffix)


def platform(region: str) -> dict[str, Any]:
    partition = partition_of(region)
    return {
        **PROD,
        "region": region,
        "zones": [f"{region}a", f"{region}b"],
        "admins": [f"arn:{partition.name}:iam::{ACCOUNT}:role/deploy"],
        "image": f"{ACCOUNT}.dkr.ecr.{region}.{partition.dns_suffix}/serving@{DIGEST}",
        "sagemaker": {"image": f"{ACCOUNT}.dkr.ecr.{region}.{partition.dns_suffix}/serving@{DIGEST}"},
        "alarmTopicArn": f"arn:{partition.name}:sns:{region}:{ACCOUNT}:oncall",
        "permissionsBoundaryArn": f"arn:{partition.name}:iam::{ACCOUNT}:policy/boundary",
        "nat": "none",
    }


MODELS: dict[str, Any] = {
    "fast": {"runtime": "lambda", "stable": {"version": 3}},
    "split": {"runtime": "sagemaker", "stable": {"version": 3}},
    "pods": {"stable": {"version": 3}},
}


@pytest.mark.parametrize(("name", "region"), _PARTITIONS.items())
def test_everything_is_named_in_the_partition_of_its_region(name: str, region: str) -> None:
    graph, endpoints, _ = amazon(MODELS, platform(region))
    for resource in only_aws(graph):
        text = json.dumps(resource.inputs)
        assert "arn:aws:" not in text, resource.urn
        assert "eu-central-1" not in text, resource.urn
    suffix = partition_of(region).dns_suffix
    assert f"runtime.sagemaker.{region}.{suffix}/" in endpoints["split"]["url"]


def test_vpc_endpoints_of_china_have_the_names_that_aws_gives_them() -> None:
    """aws-cdk-lib's aws-ec2/lib/vpc-endpoint.ts lists those that begin with cn.com.amazonaws."""
    graph, _, _ = amazon({}, platform("cn-north-1"))
    names = {r.inputs["serviceName"] for r in graph.resources if r.type == "aws:ec2/vpcEndpoint:VpcEndpoint"}
    of = "cn-north-1"
    assert names == {
        *(f"cn.com.amazonaws.{of}.{service}" for service in ("autoscaling", "ec2", "ecr.api", "ecr.dkr")),
        *(f"cn.com.amazonaws.{of}.{service}" for service in ("eks", "sts")),
        *(f"com.amazonaws.{of}.{service}" for service in ("eks-auth", "elasticloadbalancing", "kms", "logs")),
        *(f"com.amazonaws.{of}.{service}" for service in ("s3", "secretsmanager")),
    }


def test_no_source_names_one_partition() -> None:
    folder = ROOT / "components"
    naming = [str(file) for file in folder.rglob("*.py") if "arn:aws:" in file.read_text(encoding="utf-8")]
    assert naming == []


def test_every_role_has_the_permissions_boundary() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    for models, place in ((MODELS, PROD), (MODELS, {**PROD, "tracking": {"image": f"mlflow@{DIGEST}"}})):
        graph, _, _ = amazon(models, {**place, "permissionsBoundaryArn": boundary})
        roles = [r for r in graph.resources if r.type == "aws:iam/role:Role"]
        assert len(roles) >= 9
        assert {r.inputs.get("permissionsBoundary") for r in roles} == {boundary}
    plain, _, _ = amazon(MODELS, PROD)
    assert not any("permissionsBoundary" in r.inputs for r in plain.resources)
