"""The graph of an AWS environment on mocks, and the names of its types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pulumi

from components.environment import parse
from components.platform import declare as declare_platform
from tests.unit.graph import Declared, Graph, declare

ACCOUNT = "123456789012"
DIGEST = "sha256:" + "a" * 64
IMAGE = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/serving@{DIGEST}"
ROOT = IMAGE.replace("@sha256:a", "@sha256:b")
"""The image for SageMaker, which runs as root."""
MLFLOW = f"ghcr.io/mlflow/mlflow@{DIGEST}"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deploy"
PREFIX = "model-delivery-local"

DEV: dict[str, Any] = {
    "kind": "aws",
    "account": ACCOUNT,
    "region": "eu-central-1",
    "admins": [DEPLOYER],
    "image": IMAGE,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
    "sagemaker": {"image": ROOT},
}
"""As little as can be said."""

PROD: dict[str, Any] = {
    **DEV,
    "zones": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
    "nat": "zone",
    "protectData": True,
    "tracking": {"image": MLFLOW},
    "imageUsesGpu": True,
    "database": {"instanceClass": "db.m7g.large", "storageGb": 100, "multiZone": True},
    "nodes": {
        "cpu": {"instanceTypes": ["m7i.xlarge", "m6i.xlarge"], "min": 3, "max": 12},
        "gpu": {"l4": {"instanceTypes": ["g6.xlarge"], "max": 4, "spot": True}},
    },
    "sagemaker": {"capturePercent": 10, "image": ROOT},
    "alarmTopicArn": f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall",
    "tags": {"costCentre": "ml"},
}
"""Three zones, a GPU pool, MLflow with its database, protected data."""

BUILD: dict[str, Any] = {
    "build": {
        "base": f"docker.io/library/python:3.12-slim@{DIGEST}",
        "adapter": f"public.ecr.aws/awsguru/aws-lambda-adapter:0.9.1@{DIGEST}",
    }
}
"""An image that is built."""

CALLS = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"userName": "AWS", "password": "of a registry"}
}

POLICIES = ("policy", "assumeRolePolicy")


def answers(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What AWS and the registry would answer."""
    if type == "delivery:registry:Release":
        return {"digest": f"sha256:{name}", "source": f"s3://models/{name}", "artifact": f"/a/{name}"}
    named = inputs.get("name", f"{name}-auto")
    answer: dict[str, Any] = {"arn": f"arn:of:{name}", "name": named, "version": "1"}
    if type == "aws:eks/cluster:Cluster":
        answer |= {
            "endpoint": "https://eks.example.com",
            "certificateAuthority": {"data": "Y2E="},
            "vpcConfig": {**inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"},
            "version": inputs["version"],
        }
    if type == "aws:ec2/eip:Eip":
        answer["allocationId"] = f"allocation-of-{name}"
    if type == "aws:kms/key:Key":
        answer["keyId"] = f"key-of-{name}"
    if type == "aws:rds/instance:Instance":
        answer["address"] = "db.example.com"
    if type == "aws:apigatewayv2/api:Api":
        answer |= {"apiEndpoint": "https://api.example.com", "executionArn": "arn:of:the-api"}
    if type == "aws:ecr/repository:Repository":
        answer["repositoryUrl"] = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{inputs['name']}"
    if type == "docker-build:index:Image":
        answer["ref"] = f"{inputs['tags'][0]}@{DIGEST}"
    if type.startswith("kubernetes:") and type.endswith(":Gateway"):
        answer["status"] = {"addresses": [{"type": "Hostname", "value": "gateway.elb.example.com"}]}
    if type == "aws:eks/nodeGroup:NodeGroup":
        answer["resources"] = [{"autoscalingGroups": [{"name": f"group-of-{name}"}]}]
    if type == "aws:ec2/launchTemplate:LaunchTemplate":
        answer["latestVersion"] = 1
    return answer


def amazon(
    models: dict[str, Any] | None = None, platform: dict[str, Any] = DEV, **more: Any
) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    """The graph of an AWS environment, its endpoints' outputs, and its platform's: to read, not to change."""
    return _amazon(json.dumps([{**platform, **more}, models or {}]))


@cache
def _amazon(configuration: str) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    platform, models = json.loads(configuration)
    environment = parse(platform, models)
    found: dict[str, Any] = {}
    outputs: dict[str, Any] = {}

    def program() -> None:
        place = declare_platform(environment.platform)
        outputs.update(place.outputs)
        address = pulumi.Output.from_input(place.outputs["gatewayAddress"])
        address.apply(lambda value: outputs.update(gatewayAddress=value))
        for model in environment.models:
            place.serve(model).outputs.apply(lambda value, name=model.name: found.update({name: value}))

    return declare(program, answers, calls=CALLS), found, outputs


def only_aws(graph: Graph) -> list[Declared]:
    return [r for r in graph.resources if r.type.startswith("aws:")]


def statements(graph: Graph) -> Iterator[tuple[Declared, dict[str, Any]]]:
    """Every statement of every policy that a graph declares, each with its resource."""
    for resource in only_aws(graph):
        for key in POLICIES:
            text = resource.inputs.get(key)
            if isinstance(text, str) and "Statement" in text:
                for statement in json.loads(text)["Statement"]:
                    yield resource, statement


def one_policy(graph: Graph, type: str, name: str) -> list[dict[str, Any]]:
    """The statements of one resource's policy."""
    return json.loads(graph.one(type, name).inputs["policy"])["Statement"]


def model_part(graph: Graph, component: str, name: str) -> list[Declared]:
    """All that an endpoint declares, without itself."""
    top = graph.one(component, name)
    return [r for r in graph.resources if r.parent_urn == top.urn]
