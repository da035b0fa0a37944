"""Data on AWS: encrypted, not public, and not gone by a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import cis_aws, eu, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.values import as_map, is_on

BUCKETS: Final = frozenset({"aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"})
_ENCRYPTION: Final = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
_PUBLIC_ACCESS: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_VERSIONING: Final = (
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketVersioningV2:BucketVersioningV2",
)
DATABASES: Final = frozenset({"aws:rds/instance:Instance", "aws:rds/cluster:Cluster"})
VOLUME: Final = "aws:ebs/volume:Volume"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
FILE_SYSTEM: Final = "aws:efs/fileSystem:FileSystem"
KEY: Final = "aws:kms/key:Key"
LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
REPOSITORY: Final = "aws:ecr/repository:Repository"
SECRET: Final = "aws:secretsmanager/secret:Secret"  # noqa: S105
ENDPOINT_CONFIGURATION: Final = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
TABLE: Final = "aws:dynamodb/table:Table"
CLUSTER: Final = "aws:eks/cluster:Cluster"


def _companions(case: Case, *types: str) -> list[Resource]:
    """The resources that say something of a bucket."""
    return [one for one in case.others(*types) if one.is_of("bucket", case.resource, "bucket", "id")]


def _bucket_encrypted(case: Case) -> Iterator[Finding]:
    rules = [
        cast("Mapping[str, Any]", rule)
        for holder, path in (
            *((one, "rules") for one in _companions(case, *_ENCRYPTION)),
            (case.resource, "serverSideEncryptionConfigurations"),
        )
        for rule in holder.items(path)
    ]
    inline = case.resource.value("serverSideEncryptionConfiguration.rule")
    rules += [inline] if inline else []
    by_default = [as_map(rule.get("applyServerSideEncryptionByDefault")) for rule in rules]
    kinds = [one.get("sseAlgorithm") for one in by_default]
    if not any(kind in ("aws:kms", "aws:kms:dsse") for kind in kinds):
        yield Finding(message=f"{case.resource.id}: it isn't encrypted with a KMS key by default")


def _bucket_public(case: Case) -> Iterator[Finding]:
    bucket = case.resource
    if str(bucket.value("acl", "private")).startswith(("public", "authenticated")):
        yield Finding(message=f"{bucket.id}: acl {bucket.value('acl')} lets others in")
    blocks = _companions(case, _PUBLIC_ACCESS)
    if not blocks:
        yield Finding(message=f"{bucket.id}: no BucketPublicAccessBlock is declared for it")
    for block in blocks:
        if missing := [key for key in _BLOCKS if not is_on(block.value(key))]:
            yield Finding(message=f"{block.id}: {', '.join(missing)} isn't true")


def _versioned(case: Case) -> Iterator[Finding]:
    states = [one.value("versioningConfiguration.status") for one in _companions(case, *_VERSIONING)]
    if "Enabled" not in states and not is_on(case.resource.value("versioning.enabled")):
        yield Finding(message=f"{case.resource.id}: it keeps no versions of its objects")


def _storage_encrypted(case: Case) -> Iterator[Finding]:
    resource = case.resource
    match resource.type:
        case "aws:ec2/launchTemplate:LaunchTemplate":
            for mapping in cast("Sequence[Mapping[str, Any]]", resource.items("blockDeviceMappings")):
                ebs = cast("Mapping[str, Any] | None", mapping.get("ebs"))
                if ebs is not None and not is_on(ebs.get("encrypted")):
                    yield Finding(
                        message=f"{resource.id}: the disk {mapping.get('deviceName')} isn't encrypted"
                    )
        case "aws:ebs/volume:Volume" | "aws:efs/fileSystem:FileSystem":
            if not is_on(resource.value("encrypted")):
                yield Finding(message=f"{resource.id}: encrypted isn't true")
        case _:
            if not is_on(resource.value("storageEncrypted")):
                yield Finding(message=f"{resource.id}: storageEncrypted isn't true")


def _key_given(case: Case) -> Iterator[Finding]:
    resource = case.resource
    path = {ENDPOINT_CONFIGURATION: "kmsKeyArn"}.get(resource.type, "kmsKeyId")
    if resource.type == REPOSITORY:
        found = cast("Sequence[Mapping[str, Any]]", resource.items("encryptionConfigurations"))
        if not any(one.get("encryptionType") == "KMS" for one in found):
            yield Finding(message=f"{resource.id}: encryptionConfigurations has no KMS key")
    elif not resource.given(path):
        yield Finding(message=f"{resource.id}: {path} isn't set")
    capture = as_map(resource.value("dataCaptureConfig"))
    if is_on(capture.get("enableCapture")) and capture.get("kmsKeyId") is None:
        yield Finding(message=f"{resource.id}: captured requests are kept without a key of yours")


def _database_public(case: Case) -> Iterator[Finding]:
    if is_on(case.resource.value("publiclyAccessible")):
        yield Finding(message=f"{case.resource.id}: publiclyAccessible is true")


def _key_rotation(case: Case) -> Iterator[Finding]:
    key = case.resource
    symmetric = key.value("customerMasterKeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
    if symmetric and not is_on(key.value("enableKeyRotation")):
        yield Finding(message=f"{key.id}: enableKeyRotation isn't true")
    days = key.value("deletionWindowInDays", 30)
    if days < case.settings.key_deletion_days:
        yield Finding(
            message=f"{key.id}: it is gone {days:g} days after a deletion, {case.settings.key_deletion_days} "
            "are wanted",
            fix=f"set deletionWindowInDays to {case.settings.key_deletion_days} or more",
        )


def _logs_kept(case: Case) -> Iterator[Finding]:
    days = case.resource.value("retentionInDays", 0)
    if 0 < days < case.settings.log_days:
        yield Finding(
            message=f"{case.resource.id}: logs are kept {days:g} days, {case.settings.log_days} are wanted",
            fix=f"set retentionInDays to {case.settings.log_days} or more",
        )


def _deletion(case: Case) -> Iterator[Finding]:
    resource = case.resource
    if not resource.protect:
        yield Finding(
            message=f"{resource.id}: it isn't protected, so one line less would delete it",
            fix="declare it with the option protect (in the file: platform.protectData: true)",
        )
    for flag in ("forceDestroy", "forceDelete", "skipFinalSnapshot"):
        if is_on(resource.value(flag)):
            yield Finding(message=f"{resource.id}: {flag} is true", fix=f"take {flag} out")
    protecting = {TABLE: "deletionProtectionEnabled"}.get(resource.type, "deletionProtection")
    if resource.type in (*DATABASES, CLUSTER, TABLE) and not is_on(resource.value(protecting)):
        yield Finding(message=f"{resource.id}: {protecting} isn't true", fix=f"set {protecting}: true")


_STORES: Final = (*BUCKETS, *DATABASES, REPOSITORY, KEY, SECRET, TABLE, FILE_SYSTEM, CLUSTER)

RULES: Final = (
    Rule(
        id="s3-encrypted",
        title="Buckets are encrypted with a KMS key",
        severity=Severity.HIGH,
        references=(soc2("CC6.1"),),
        why="Models and the data they were trained on lie there; a key of yours says who can read them.",
        fix="declare a BucketServerSideEncryptionConfiguration with sseAlgorithm aws:kms",
        types=BUCKETS,
        check=_bucket_encrypted,
        whole_stack=True,
    ),
    Rule(
        id="s3-not-public",
        title="Buckets can't be made public",
        severity=Severity.CRITICAL,
        references=(cis_aws("2.1.4"), soc2("CC6.1")),
        why="One wrong policy on a bucket has published data again and again; the block holds against it.",
        fix=f"declare a BucketPublicAccessBlock with {', '.join(_BLOCKS)}: true",
        types=BUCKETS,
        check=_bucket_public,
        whole_stack=True,
    ),
    Rule(
        id="s3-versioned",
        title="Buckets keep the versions of their objects",
        severity=Severity.MEDIUM,
        references=(soc2("A1.2"),),
        why="What is overwritten or deleted by a mistake can be had back; a model can't be trained back.",
        fix="declare a BucketVersioning with status Enabled",
        types=BUCKETS,
        check=_versioned,
        whole_stack=True,
    ),
    Rule(
        id="storage-encrypted",
        title="Disks, file systems and databases are encrypted",
        severity=Severity.HIGH,
        references=(cis_aws("2.2.1"), cis_aws("2.3.1"), soc2("CC6.1")),
        why="Snapshots and discarded disks are read by others, unless they are encrypted.",
        fix="set encrypted (disks, file systems) or storageEncrypted (databases) to true",
        types=frozenset({*DATABASES, VOLUME, LAUNCH_TEMPLATE, FILE_SYSTEM}),
        check=_storage_encrypted,
    ),
    Rule(
        id="kms-key-given",
        title="Data is encrypted with a key of yours",
        severity=Severity.MEDIUM,
        references=(soc2("CC6.1"),),
        why="With a key of yours you say who can read the data, see who did, and can take it back.",
        fix="name the KMS key of the platform",
        types=frozenset({*DATABASES, LOG_GROUP, SECRET, REPOSITORY, ENDPOINT_CONFIGURATION}),
        check=_key_given,
    ),
    Rule(
        id="database-not-public",
        title="Databases have no public address",
        severity=Severity.CRITICAL,
        references=(cis_aws("2.3.3"), soc2("CC6.6")),
        why="A database that answers the internet is one password away from everybody.",
        fix="set publiclyAccessible: false, and put it into private subnets",
        types=frozenset({"aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance"}),
        check=_database_public,
    ),
    Rule(
        id="kms-rotation",
        title="KMS keys are rotated, and can't be deleted in a hurry",
        severity=Severity.MEDIUM,
        references=(cis_aws("3.6"), soc2("CC6.1")),
        why="A rotated key limits what a lost one opens. A deleted one takes everything under it with it.",
        fix="set enableKeyRotation: true",
        types=frozenset({KEY}),
        check=_key_rotation,
    ),
    Rule(
        id="logs-kept",
        title="Logs are kept long enough",
        severity=Severity.MEDIUM,
        references=(eu("Art. 19(1)"), eu("Art. 26(6)"), soc2("CC7.2")),
        why="What happened is often asked months later; logs of high-risk systems are kept for half a year.",
        fix="set retentionInDays",
        types=frozenset({LOG_GROUP}),
        check=_logs_kept,
    ),
    Rule(
        id="deletion-protected",
        title="What holds data can't be deleted by a mistake",
        severity=Severity.HIGH,
        references=(soc2("A1.2"),),
        why="A line that goes from the program takes its resource along, and this one's content with it.",
        fix="protect it, and leave the flags out that delete what is in it",
        types=frozenset(_STORES),
        check=_deletion,
    ),
)
