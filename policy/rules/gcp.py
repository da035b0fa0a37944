"""Google Cloud: clusters, and what keeps data. Who gets in is in `gcp_access`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import eu, soc2
from policy.rule import Case, Finding, Rule, Severity
from policy.rules.values import is_digest, is_on, is_world

CLUSTER: Final = "gcp:container/cluster:Cluster"
NODE_POOL: Final = "gcp:container/nodePool:NodePool"
BUCKET: Final = "gcp:storage/bucket:Bucket"
REPOSITORY: Final = "gcp:artifactregistry/repository:Repository"
SERVICE: Final = "gcp:cloudrunv2/service:Service"
DATABASE: Final = "gcp:sql/databaseInstance:DatabaseInstance"
KEY: Final = "gcp:kms/cryptoKey:CryptoKey"
_LOGS: Final = ("SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER")
_YEAR: Final = 365 * 86_400


def _private(case: Case) -> Iterator[Finding]:
    cluster = case.resource
    if not is_on(cluster.value("privateClusterConfig.enablePrivateNodes")):
        yield Finding(message=f"{cluster.id}: privateClusterConfig.enablePrivateNodes isn't true")
    private = is_on(cluster.value("privateClusterConfig.enablePrivateEndpoint"))
    networks = cluster.items("masterAuthorizedNetworksConfig.cidrBlocks")
    if not private and not networks:
        yield Finding(message=f"{cluster.id}: everybody reaches the cluster's API")
    for block in cast("Sequence[Mapping[str, Any]]", networks):
        if is_world(block.get("cidrBlock")):
            yield Finding(
                message=f"{cluster.id}: masterAuthorizedNetworksConfig lets {block.get('cidrBlock')} in"
            )


def _hardened(case: Case) -> Iterator[Finding]:
    resource = case.resource
    if resource.type == CLUSTER:
        if resource.value("databaseEncryption.state") != "ENCRYPTED":
            yield Finding(
                message=f"{resource.id}: databaseEncryption.state isn't ENCRYPTED",
                fix="set databaseEncryption: {state: ENCRYPTED, keyName: a key of Cloud KMS}",
            )
        if not resource.given("workloadIdentityConfig.workloadPool") and not is_on(
            resource.value("enableAutopilot")
        ):
            yield Finding(
                message=f"{resource.id}: workloadIdentityConfig.workloadPool isn't set",
                fix="set workloadIdentityConfig: {workloadPool: PROJECT.svc.id.goog}",
            )
    elif resource.value("nodeConfig.workloadMetadataConfig.mode") != "GKE_METADATA":
        yield Finding(
            message=f"{resource.id}: nodeConfig.workloadMetadataConfig.mode isn't GKE_METADATA",
            fix="set nodeConfig.workloadMetadataConfig: {mode: GKE_METADATA}",
        )


def _logs(case: Case) -> Iterator[Finding]:
    missing = [log for log in _LOGS if log not in case.resource.items("loggingConfig.enableComponents")]
    if missing and not is_on(case.resource.value("enableAutopilot")):
        yield Finding(message=f"{case.resource.id}: {', '.join(missing)} isn't in loggingConfig")


def _versions(case: Case) -> Iterator[Finding]:
    # One that keeps objects from being changed at all needs none.
    if not is_on(case.resource.value("versioning.enabled")) and not case.resource.given("retentionPolicy"):
        yield Finding(message=f"{case.resource.id}: versioning.enabled isn't true")


def _rotation(case: Case) -> Iterator[Finding]:
    key = case.resource
    if key.value("purpose", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
        return  # Google rotates no other kind.
    period = re.fullmatch(r"([0-9]+)(?:\.[0-9]+)?s", str(key.value("rotationPeriod", "")))
    if period is None:
        yield Finding(message=f"{key.id}: it is never rotated")
    elif int(period[1]) > _YEAR:
        yield Finding(message=f"{key.id}: it is rotated every {int(period[1]) // 86_400} days")


def _buckets(case: Case) -> Iterator[Finding]:
    bucket = case.resource
    if bucket.value("publicAccessPrevention") != "enforced":
        yield Finding(message=f"{bucket.id}: publicAccessPrevention isn't enforced")
    if not is_on(bucket.value("uniformBucketLevelAccess")):
        yield Finding(message=f"{bucket.id}: uniformBucketLevelAccess isn't true")


def _keys(case: Case) -> Iterator[Finding]:
    resource = case.resource
    path = {BUCKET: "encryption.defaultKmsKeyName", REPOSITORY: "kmsKeyName"}.get(
        resource.type, "encryptionKeyName"
    )
    if not resource.given(path):
        yield Finding(message=f"{resource.id}: {path} isn't set")


def _images(case: Case) -> Iterator[Finding]:
    repository = case.resource
    if repository.value("format") == "DOCKER" and not is_on(repository.value("dockerConfig.immutableTags")):
        yield Finding(message=f"{repository.id}: dockerConfig.immutableTags isn't true")


def _digests(case: Case) -> Iterator[Finding]:
    containers = cast("Sequence[Mapping[str, Any]]", case.resource.items("template.containers"))
    for index, container in enumerate(containers):
        if not is_digest(container.get("image")):
            yield Finding(
                message=f"{case.resource.id}: template.containers[{index}].image {container.get('image')} "
                "isn't named by its digest"
            )


def _deletion(case: Case) -> Iterator[Finding]:
    resource = case.resource
    if not resource.protect:
        yield Finding(
            message=f"{resource.id}: it isn't protected, so one line less would delete it",
            fix="declare it with the option protect",
        )
    if is_on(resource.value("forceDestroy")):
        yield Finding(message=f"{resource.id}: forceDestroy is true", fix="take forceDestroy out")
    # What isn't set is true for these two.
    if resource.type in (CLUSTER, DATABASE) and not is_on(resource.value("deletionProtection", True)):
        yield Finding(
            message=f"{resource.id}: deletionProtection is false", fix="set deletionProtection: true"
        )


RULES: Final = (
    Rule(
        id="gke-private",
        title="Nodes and API of a cluster are private",
        severity=Severity.HIGH,
        references=(soc2("CC6.6"),),
        why="Nodes without public addresses and an API that few reach leave little to attack.",
        fix="set privateClusterConfig: {enablePrivateNodes: true, enablePrivateEndpoint: true}",
        types=frozenset({CLUSTER}),
        check=_private,
    ),
    Rule(
        id="gke-hardened",
        title="A cluster's secrets are encrypted, and pods have identities of their own",
        severity=Severity.HIGH,
        references=(soc2("CC6.1"), soc2("CC6.3")),
        why="Otherwise every pod may take the node's credentials, and secrets lie readable in the database.",
        fix="encrypt the database with a key of yours, and use Workload Identity",
        types=frozenset({CLUSTER, NODE_POOL}),
        check=_hardened,
    ),
    Rule(
        id="gke-control-plane-logs",
        title="The control plane's logs are kept",
        severity=Severity.MEDIUM,
        references=(soc2("CC7.2"),),
        why="What the control plane did and refused is only in its logs, and they can't be had afterwards.",
        fix=f"set loggingConfig: {{enableComponents: [{', '.join(_LOGS)}]}}",
        types=frozenset({CLUSTER}),
        check=_logs,
    ),
    Rule(
        id="gcs-not-public",
        title="Buckets can't be made public",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.1"),),
        why="One wrong grant on an object publishes it; the prevention holds against it.",
        fix="set publicAccessPrevention: enforced and uniformBucketLevelAccess: true",
        types=frozenset({BUCKET}),
        check=_buckets,
    ),
    Rule(
        id="gcs-versioned",
        title="Buckets on Google Cloud keep the versions of their objects",
        severity=Severity.MEDIUM,
        references=(soc2("A1.2"),),
        why="What is overwritten or deleted by a mistake can be had back; a model can't be trained back.",
        fix="set versioning: {enabled: true}, or a retentionPolicy",
        types=frozenset({BUCKET}),
        check=_versions,
    ),
    Rule(
        id="gcp-key-rotation",
        title="Keys of Cloud KMS are rotated",
        severity=Severity.MEDIUM,
        references=(soc2("CC6.1"),),
        why="A rotated key limits what a lost one opens. Google rotates none that doesn't say how often.",
        fix="set rotationPeriod: 7776000s, which is 90 days; a year at most",
        types=frozenset({KEY}),
        check=_rotation,
    ),
    Rule(
        id="gcp-key-given",
        title="Data is encrypted with a key of yours",
        severity=Severity.MEDIUM,
        references=(soc2("CC6.1"),),
        why="With a key of yours you say who can read the data, see who did, and can take it back.",
        fix="name a key of Cloud KMS",
        types=frozenset({BUCKET, REPOSITORY, DATABASE}),
        check=_keys,
    ),
    Rule(
        id="artifact-registry-immutable",
        title="Image registries keep tags as they are",
        severity=Severity.MEDIUM,
        references=(soc2("CC8.1"),),
        why="A tag that moves changes what runs without a change.",
        fix="set dockerConfig: {immutableTags: true}",
        types=frozenset({REPOSITORY}),
        check=_images,
    ),
    Rule(
        id="cloud-run-image-digest",
        title="Images of Cloud Run services are named by their digest",
        severity=Severity.HIGH,
        references=(eu("Art. 15(5)"), soc2("CC8.1")),
        why="A tag can be moved: what was tested and what runs would be two things.",
        fix="name the image as NAME@sha256:…",
        types=frozenset({SERVICE}),
        check=_digests,
    ),
    Rule(
        id="gcp-deletion-protected",
        title="What holds data can't be deleted by a mistake",
        severity=Severity.HIGH,
        references=(soc2("A1.2"),),
        why="A line that goes from the program takes its resource along, and this one's content with it.",
        fix="protect it, and leave the flags out that delete what is in it",
        types=frozenset({BUCKET, CLUSTER, DATABASE, KEY, REPOSITORY, "gcp:secretmanager/secret:Secret"}),
        check=_deletion,
    ),
)
