"""The cluster on AWS: its API, its nodes, its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import cis_aws, cis_eks, eu, soc2
from policy.rule import Case, Finding, Rule, Severity
from policy.rules.aws_data import CLUSTER, LAUNCH_TEMPLATE, REPOSITORY
from policy.rules.values import is_digest, is_on

_LOGS: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
FUNCTION: Final = "aws:lambda/function:Function"
MODEL: Final = "aws:sagemaker/model:Model"


def _endpoint(case: Case) -> Iterator[Finding]:
    cluster = case.resource
    if not is_on(cluster.value("vpcConfig.endpointPrivateAccess")):
        yield Finding(message=f"{cluster.id}: vpcConfig.endpointPrivateAccess isn't true")
    # What isn't set is true for EKS.
    if cluster.value("vpcConfig.endpointPublicAccess", True) is not False:
        networks = ", ".join(cluster.items("vpcConfig.publicAccessCidrs")) or "0.0.0.0/0"
        yield Finding(message=f"{cluster.id}: the cluster's API is reached from the internet ({networks})")


def _secrets(case: Case) -> Iterator[Finding]:
    cluster = case.resource
    if "secrets" not in cluster.items("encryptionConfig.resources"):
        yield Finding(message=f"{cluster.id}: encryptionConfig.resources doesn't have secrets")
    elif not cluster.given("encryptionConfig.provider.keyArn"):
        yield Finding(message=f"{cluster.id}: encryptionConfig.provider.keyArn isn't set")


def _logs(case: Case) -> Iterator[Finding]:
    missing = [kind for kind in _LOGS if kind not in case.resource.items("enabledClusterLogTypes")]
    if missing:
        yield Finding(message=f"{case.resource.id}: enabledClusterLogTypes lacks {', '.join(missing)}")


def _metadata(case: Case) -> Iterator[Finding]:
    machine = case.resource
    tokens = machine.value("metadataOptions.httpTokens")
    if tokens != "required" and machine.value("metadataOptions.httpEndpoint") != "disabled":
        yield Finding(message=f"{machine.id}: metadataOptions.httpTokens is {tokens or 'not set'}")


def _images(case: Case) -> Iterator[Finding]:
    repository = case.resource
    if not str(repository.value("imageTagMutability", "MUTABLE")).startswith("IMMUTABLE"):
        yield Finding(message=f"{repository.id}: imageTagMutability isn't IMMUTABLE")
    for filter in cast("Sequence[Mapping[str, Any]]", repository.items("imageTagMutabilityExclusionFilters")):
        if str(filter.get("filter", "")).startswith("*"):
            yield Finding(
                message=f"{repository.id}: the filter {filter.get('filter')} excludes any tag from IMMUTABLE"
            )
    if not is_on(repository.value("imageScanningConfiguration.scanOnPush")):
        yield Finding(message=f"{repository.id}: imageScanningConfiguration.scanOnPush isn't true")


def _digests(case: Case) -> Iterator[Finding]:
    resource = case.resource
    images: list[tuple[str, object]] = [("imageUri", resource.value("imageUri"))]
    if resource.type == MODEL:
        images = [("primaryContainer.image", resource.value("primaryContainer.image"))]
        for index, one in enumerate(cast("Sequence[Mapping[str, Any]]", resource.items("containers"))):
            images.append((f"containers[{index}].image", one.get("image")))
    for path, image in images:
        if image is not None and not is_digest(image):
            yield Finding(message=f"{resource.id}: {path} {image} isn't named by its digest")


RULES: Final = (
    Rule(
        id="eks-private-endpoint",
        title="The cluster's API is private",
        severity=Severity.HIGH,
        references=(cis_eks("5.4.1"), cis_eks("5.4.2"), soc2("CC6.6")),
        why="Whoever reaches the API can try to use it: every stolen token and every hole in it counts.",
        fix="set endpointPrivateAccess: true and endpointPublicAccess: false (in the file: no apiAccess)",
        types=frozenset({CLUSTER}),
        check=_endpoint,
    ),
    Rule(
        id="eks-secrets-encrypted",
        title="The cluster's secrets are encrypted with a KMS key",
        severity=Severity.HIGH,
        references=(cis_eks("5.3.1"), soc2("CC6.1")),
        why="Secrets are otherwise readable in the cluster's database and its backups.",
        fix="set encryptionConfig with resources [secrets] and a key; it must be there from the start",
        types=frozenset({CLUSTER}),
        check=_secrets,
    ),
    Rule(
        id="eks-control-plane-logs",
        title="The control plane's logs are on",
        severity=Severity.MEDIUM,
        references=(cis_eks("2.1.1"), soc2("CC7.2")),
        why="Who did what to the cluster is only in the audit log, and it can't be had afterwards.",
        fix=f"set enabledClusterLogTypes: [{', '.join(_LOGS)}]",
        types=frozenset({CLUSTER}),
        check=_logs,
    ),
    Rule(
        id="imdsv2",
        title="Machines answer metadata requests with a token alone (IMDSv2)",
        severity=Severity.HIGH,
        references=(cis_aws("5.6"), soc2("CC6.1")),
        why="Without a token a server that can be made to fetch an address gives its credentials away.",
        fix="set metadataOptions: {httpTokens: required}",
        types=frozenset({LAUNCH_TEMPLATE, "aws:ec2/instance:Instance"}),
        check=_metadata,
    ),
    Rule(
        id="ecr-immutable-scanned",
        title="Image registries keep tags as they are and scan what comes in",
        severity=Severity.MEDIUM,
        references=(cis_eks("5.1.1"), soc2("CC7.1"), soc2("CC8.1")),
        why="A tag that moves changes what runs without a change; an image nobody scans keeps its holes.",
        fix="set imageTagMutability: IMMUTABLE and imageScanningConfiguration: {scanOnPush: true}",
        types=frozenset({REPOSITORY}),
        check=_images,
    ),
    Rule(
        id="image-digest",
        title="Images of functions and endpoints are named by their digest",
        severity=Severity.HIGH,
        references=(eu("Art. 15(5)"), soc2("CC8.1")),
        why="A tag can be moved: what was tested and what runs would be two things.",
        fix="name the image as NAME@sha256:… (in the file: platform.image)",
        types=frozenset({FUNCTION, MODEL}),
        check=_digests,
    ),
)
