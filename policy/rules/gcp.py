"""Google Cloud: clusters, buckets, image registries, services and who may call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import eu, soc2
from policy.rule import Case, Finding, Rule, Severity
from policy.rules.values import as_map, is_digest, is_on, is_world, listed

CLUSTER: Final = "gcp:container/cluster:Cluster"
NODE_POOL: Final = "gcp:container/nodePool:NodePool"
BUCKET: Final = "gcp:storage/bucket:Bucket"
REPOSITORY: Final = "gcp:artifactregistry/repository:Repository"
SERVICE: Final = "gcp:cloudrunv2/service:Service"
DATABASE: Final = "gcp:sql/databaseInstance:DatabaseInstance"
FIREWALL: Final = "gcp:compute/firewall:Firewall"
_ALL: Final = ("allUsers", "allAuthenticatedUsers")
_MEMBERS: Final = frozenset(
    f"gcp:{name}"
    for name in (
        "artifactregistry/repositoryIamBinding:RepositoryIamBinding",
        "artifactregistry/repositoryIamMember:RepositoryIamMember",
        "cloudrun/iamBinding:IamBinding",
        "cloudrun/iamMember:IamMember",
        "cloudrunv2/serviceIamBinding:ServiceIamBinding",
        "cloudrunv2/serviceIamMember:ServiceIamMember",
        "kms/cryptoKeyIAMBinding:CryptoKeyIAMBinding",
        "kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        "projects/iAMBinding:IAMBinding",
        "projects/iAMMember:IAMMember",
        "secretmanager/secretIamBinding:SecretIamBinding",
        "secretmanager/secretIamMember:SecretIamMember",
        "serviceaccount/iAMBinding:IAMBinding",
        "serviceaccount/iAMMember:IAMMember",
        "storage/bucketIAMBinding:BucketIAMBinding",
        "storage/bucketIAMMember:BucketIAMMember",
    )
)
_POLICIES: Final = frozenset(
    f"gcp:{name}"
    for name in (
        "artifactregistry/repositoryIamPolicy:RepositoryIamPolicy",
        "cloudrun/iamPolicy:IamPolicy",
        "cloudrunv2/serviceIamPolicy:ServiceIamPolicy",
        "kms/cryptoKeyIAMPolicy:CryptoKeyIAMPolicy",
        "projects/iAMPolicy:IAMPolicy",
        "secretmanager/secretIamPolicy:SecretIamPolicy",
        "serviceaccount/iAMPolicy:IAMPolicy",
        "storage/bucketIAMPolicy:BucketIAMPolicy",
    )
)
"""Grants as one JSON text with all of them."""
_TOO_MUCH: Final = ("roles/owner", "roles/editor")


def _private(case: Case) -> Iterator[Finding]:
    cluster = case.resource
    if not is_on(cluster.value("privateClusterConfig.enablePrivateNodes")):
        yield Finding(message=f"{cluster.id}: privateClusterConfig.enablePrivateNodes isn't true")
    private = is_on(cluster.value("privateClusterConfig.enablePrivateEndpoint"))
    if not private and not cluster.items("masterAuthorizedNetworksConfig.cidrBlocks"):
        yield Finding(message=f"{cluster.id}: everybody reaches the cluster's API")
    for block in cast(
        "Sequence[Mapping[str, Any]]", cluster.items("masterAuthorizedNetworksConfig.cidrBlocks")
    ):
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


def _members(case: Case) -> Iterator[Finding]:
    grant = case.resource
    bindings = listed(as_map(grant.value("policyData")).get("bindings"))
    if grant.type not in _POLICIES:
        members = [*listed(grant.value("member")), *grant.items("members")]
        bindings = [{"role": grant.value("role"), "members": members}]
    for role, members in ((as_map(one).get("role"), listed(as_map(one).get("members"))) for one in bindings):
        everybody = [one for one in members if one in _ALL]
        if everybody:
            yield Finding(message=f"{grant.id}: {', '.join(everybody)} gets {role}")
        if role in _TOO_MUCH:
            yield Finding(
                message=f"{grant.id}: {role} allows nearly everything",
                fix="grant the role that has just what is needed",
            )


def _services(case: Case) -> Iterator[Finding]:
    service = case.resource
    # What isn't set is ALL for Cloud Run.
    if service.value("ingress", "INGRESS_TRAFFIC_ALL") == "INGRESS_TRAFFIC_ALL":
        yield Finding(message=f"{service.id}: ingress is INGRESS_TRAFFIC_ALL")
    if is_on(service.value("invokerIamDisabled")):
        yield Finding(message=f"{service.id}: invokerIamDisabled lets everybody invoke it")


def _digests(case: Case) -> Iterator[Finding]:
    containers = cast("Sequence[Mapping[str, Any]]", case.resource.items("template.containers"))
    for index, container in enumerate(containers):
        if not is_digest(container.get("image")):
            yield Finding(
                message=f"{case.resource.id}: template.containers[{index}].image {container.get('image')} "
                "isn't named by its digest"
            )


def _databases(case: Case) -> Iterator[Finding]:
    if is_on(case.resource.value("settings.ipConfiguration.ipv4Enabled", True)):
        yield Finding(message=f"{case.resource.id}: settings.ipConfiguration.ipv4Enabled isn't false")


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


def _firewalls(case: Case) -> Iterator[Finding]:
    wall = case.resource
    if wall.value("direction", "INGRESS") != "INGRESS" or not wall.items("allows"):
        return
    narrowed = any(wall.given(key) for key in ("sourceTags", "sourceServiceAccounts"))
    ranges = wall.items("sourceRanges")
    # Without any source it is every source; sources of several kinds add up.
    if any(map(is_world, ranges)) or not (ranges or narrowed):
        ports = [p for rule in wall.items("allows") for p in (rule.get("ports") or ["every port"])]
        if set(map(str, ports)) != {"443"}:
            yield Finding(message=f"{wall.id}: {', '.join(map(str, ports))} is open to the world")


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
        id="gcp-iam-named",
        title="Grants name whom they are for, and a role that is not everything",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.1"), soc2("CC6.3")),
        why="allUsers is everybody on the internet; owner and editor are nearly everything in the project.",
        fix="name the service account or the group that needs it",
        types=_MEMBERS | _POLICIES,
        check=_members,
    ),
    Rule(
        id="cloud-run-not-public",
        title="Cloud Run services are not reached from the internet",
        severity=Severity.HIGH,
        references=(soc2("CC6.6"),),
        why="A service that everybody reaches answers, and bills, everybody.",
        fix="set ingress: INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or INGRESS_TRAFFIC_INTERNAL_ONLY",
        types=frozenset({SERVICE}),
        check=_services,
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
        id="cloud-sql-not-public",
        title="Databases have no public address",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.6"),),
        why="A database that answers the internet is one password away from everybody.",
        fix="set settings.ipConfiguration: {ipv4Enabled: false, privateNetwork: …}",
        types=frozenset({DATABASE}),
        check=_databases,
    ),
    Rule(
        id="gcp-deletion-protected",
        title="What holds data can't be deleted by a mistake",
        severity=Severity.HIGH,
        references=(soc2("A1.2"),),
        why="A line that goes from the program takes its resource along, and this one's content with it.",
        fix="protect it, and leave the flags out that delete what is in it",
        types=frozenset({BUCKET, DATABASE, CLUSTER, REPOSITORY}),
        check=_deletion,
    ),
    Rule(
        id="gcp-firewall-closed",
        title="Firewalls are not open to the world",
        severity=Severity.HIGH,
        references=(soc2("CC6.6"),),
        why="What listens behind an open port is found within minutes, and tried from then on.",
        fix="name the networks in sourceRanges; HTTPS alone may be open",
        types=frozenset({FIREWALL}),
        check=_firewalls,
    ),
)
