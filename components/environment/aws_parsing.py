"""From the keys of a platform of kind `aws` to an `AwsPlatform`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from components.environment.aws import AwsPlatform, Database, SageMaker
from components.environment.aws_access import parse_access
from components.environment.aws_partition import partition_of
from components.environment.aws_pools import parse_nodes
from components.environment.cluster import CLUSTER_KEYS, Cluster, parse_cluster
from components.environment.image import PINNED, PINNED_RULE, Build
from components.environment.kubernetes_versions import judge_version
from components.environment.ranges import overlap, private_range, public_ranges
from components.environment.section import Section

KEYS: Final = (
    "kind",
    "access",
    "account",
    "addons",
    "admins",
    "alarmTopicArn",
    "apiAccess",
    "certificateArn",
    "cidr",
    "database",
    "kmsKeyArn",
    "kubernetesVersion",
    "logDays",
    "nat",
    "nodes",
    "permissionsBoundaryArn",
    "podLogs",
    "region",
    "sagemaker",
    "serviceCidr",
    "tags",
    "zones",
    *CLUSTER_KEYS,
)

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(
    r"(af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov)-(north|south|east|west|central)(east|west)?-[1-9]"
)
_DATABASE_CLASS: Final = re.compile(
    r"db\.[a-z]{1,2}[0-9]{1,2}[a-z]{0,4}\.(micro|small|medium|large|([2-9]|[1-9][0-9])?xlarge)"
)
_ARN: Final = "arn:aws(?:-cn|-us-gov)?"
_PRINCIPAL: Final = re.compile(rf"{_ARN}:iam::[0-9]{{12}}:(role|user)/[\w+=,.@/-]+")
_KEY: Final = re.compile(rf"{_ARN}:kms:[a-z0-9-]+:[0-9]{{12}}:key/([0-9a-f-]{{36}}|mrk-[0-9a-f]{{32}})")
_TOPIC: Final = re.compile(rf"{_ARN}:sns:[a-z0-9-]+:[0-9]{{12}}:[\w-]{{1,256}}")
_CERTIFICATE: Final = re.compile(rf"{_ARN}:acm:[a-z0-9-]+:[0-9]{{12}}:certificate/[0-9a-f-]{{36}}")
_BOUNDARY: Final = re.compile(rf"{_ARN}:iam::(aws|[0-9]{{12}}):policy/[\w+=,.@/-]+")
_ADDONS: Final = (
    "aws-ebs-csi-driver",
    "coredns",
    "eks-pod-identity-agent",
    "kube-proxy",
    "metrics-server",
    "vpc-cni",
)
_ADDON_VERSION: Final = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+")
_TAG: Final = re.compile(r"[\w +\-=.:/@]{1,128}")
# fmt: off
_LOG_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)
# fmt: on
"""The periods that CloudWatch has."""


def parse_aws(section: Section) -> AwsPlatform | None:
    """Understand the keys of the kind `aws`; None if a required one is missing or wrong."""
    section.require("account", 'the number of the AWS account, in quotes: "123456789012"')
    section.require("region", "such as eu-central-1")
    section.require("admins", "a list of the ARNs of IAM roles or users, the one that runs Pulumi among them")
    account = section.matching("account", _ACCOUNT, 'must be 12 digits in quotes, such as "123456789012"')
    region = section.matching("region", _REGION, "must be a region as AWS writes it, such as eu-central-1")
    zones = _zones(section, region)
    partition = partition_of(region or "").name
    admins = section.texts(
        "admins",
        _PRINCIPAL,
        f"must be a list of different ARNs such as arn:{partition}:iam::123456789012:role/deploy",
    )
    for arn in admins or ():
        _same_partition(section, "admins", arn, region)
    access = parse_access(section, _PRINCIPAL, partition, admins or ())
    for arn in access:
        _same_partition(section.inner("access"), arn, arn, region)
    cidr, service_cidr = _ranges(section)
    cluster = parse_cluster(section)
    _images(section, cluster, region)
    nat = section.choice("nat", ("none", "one", "zone"))
    version = section.matching(
        "kubernetesVersion",
        re.compile(r"1\.[0-9]{2}"),
        'must be a minor version in quotes, such as "1.35"',
    )
    if version and cluster:
        judge_version(section, "kubernetesVersion", version, cluster)
    days = section.whole("logDays", _LOG_DAYS[0], _LOG_DAYS[-1])
    if days is not None and days not in _LOG_DAYS:
        section.problem("logDays", f"must be a period that CloudWatch has: {', '.join(map(str, _LOG_DAYS))}")
    pod_logs = section.flag("podLogs")
    key = _local_arn(section, "kmsKeyArn", _KEY, "kms:…:key/…", region)
    certificate = _local_arn(section, "certificateArn", _CERTIFICATE, "acm:…:certificate/…", region)
    topic = _local_arn(section, "alarmTopicArn", _TOPIC, "sns:…:NAME", region)
    boundary = section.matching(
        "permissionsBoundaryArn",
        _BOUNDARY,
        f"must be the ARN of an IAM policy such as arn:{partition}:iam::123456789012:policy/boundary",
    )
    if boundary:
        _same_partition(section, "permissionsBoundaryArn", boundary, region)
        if account and boundary.split(":")[4] not in ("aws", account):
            section.problem(
                "permissionsBoundaryArn", f"must be a policy of the account {account}, or AWS' own"
            )
    api_access = public_ranges(section, "apiAccess")
    addons = _addons(section)
    nodes = parse_nodes(section, len(zones) if zones else 0)
    database = _database(section)
    sagemaker = _sagemaker(section, region)
    tags = _tags(section)
    if account is None or region is None or zones is None or admins is None or cluster is None:
        return None
    return AwsPlatform(
        account=account,
        region=region,
        zones=zones,
        admins=admins,
        access=access,
        cluster=cluster,
        cidr=cidr,
        service_cidr=service_cidr,
        nat=nat or "one",
        api_access=api_access,
        kubernetes_version=version or "1.35",
        addons=addons,
        nodes=nodes,
        database=database,
        sagemaker=sagemaker,
        kms_key_arn=key,
        certificate_arn=certificate,
        alarm_topic_arn=topic,
        permissions_boundary_arn=boundary,
        log_days=days or 90,
        pod_logs=pod_logs is not False,
        tags=tags,
    )


def _zones(section: Section, region: str | None) -> tuple[str, ...] | None:
    """Take the zones; by default the region's first two."""
    if not section.has("zones"):
        return (f"{region}a", f"{region}b") if region else None
    letters = re.compile(rf"{re.escape(region)}[a-f]" if region else r"[a-z]+-[a-z]+-[1-9][a-f]")
    of = region or "eu-central-1"
    zones = section.texts(
        "zones", letters, f"must be a list of different zones of the region: {of}a, {of}b, …"
    )
    if zones is not None and len(zones) not in (2, 3):
        section.problem("zones", "must have two or three zones: EKS asks for two")
        return None
    return zones


def _ranges(section: Section) -> tuple[str, str]:
    """Take the VPC's range and the Services', which share no address."""
    cidr = private_range(section, "cidr", 16, 20) or "10.20.0.0/16"
    # EKS takes no shared address here (API_KubernetesNetworkConfigRequest.html, serviceIpv4Cidr).
    services = private_range(section, "serviceCidr", 12, 24, shared=False) or "172.20.0.0/16"
    if overlap(cidr, services):
        key = "cidr" if section.has("cidr") else "serviceCidr"
        mine, other = (cidr, f"serviceCidr, {services}") if key == "cidr" else (services, f"cidr, {cidr}")
        section.problem(key, f"overlaps with {other}: {mine} must share no address with it")
    return cidr, services


def _images(section: Section, cluster: Cluster | None, region: str | None) -> None:
    """Images are pulled by nodes without internet, by Lambda and by SageMaker: from ECR in this region.

    MLflow's, which nodes alone pull, may be elsewhere.
    """
    if cluster is None or region is None:
        return
    if isinstance(cluster.image, str):
        _in_ecr(section, "image", cluster.image, region)
    else:
        _for_x86(section, cluster.image)
    if cluster.tracking and isinstance(cluster.tracking.image, Build):
        _for_x86(section.inner("tracking"), cluster.tracking.image)


def _for_x86(above: Section, image: Build) -> None:
    if image.platforms != ("linux/amd64",):
        above.inner("image").inner("build").problem(
            "platforms", "must be [linux/amd64]: nodes, Lambda and SageMaker run it on x86-64"
        )


def _in_ecr(above: Section, key: str, image: str, region: str) -> None:
    suffix = partition_of(region).dns_suffix
    host = rf"[0-9]{{12}}\.dkr\.ecr\.{re.escape(region)}\.{re.escape(suffix)}"
    if not re.fullmatch(host, image.split("/")[0]):
        above.problem(
            key,
            f"must be in ECR in the platform's region: ACCOUNT.dkr.ecr.{region}.{suffix}/NAME@sha256:…",
            "Nodes, Lambda and SageMaker pull it from there.",
        )


def _local_arn(
    section: Section, key: str, pattern: re.Pattern[str], form: str, region: str | None
) -> str | None:
    partition = partition_of(region or "").name
    arn = section.matching(key, pattern, f"must be an ARN such as arn:{partition}:{form}")
    if arn and region and arn.split(":")[3] != region:
        section.problem(key, f"must be in the platform's region, {region}")
    elif arn:
        _same_partition(section, key, arn, region)
    return arn


def _same_partition(section: Section, key: str, arn: str, region: str | None) -> None:
    """Note an ARN of another partition than the region's: it would lead to nothing there."""
    if region and arn.split(":")[1] != partition_of(region).name:
        section.problem(key, f"has {arn}; ARNs in {region} begin with arn:{partition_of(region).name}:")


def _addons(platform: Section) -> Mapping[str, str]:
    section = platform.section("addons", accepted=_ADDONS, example="{vpc-cni: v1.20.4-eksbuild.2}")
    if section is None:
        return {}
    rule = "must be a version as EKS writes it, such as v1.20.4-eksbuild.2"
    found = {name: section.matching(name, _ADDON_VERSION, rule) for name in _ADDONS}
    return {name: version for name, version in found.items() if version}


def _database(platform: Section) -> Database:
    section = platform.section(
        "database",
        accepted=("instanceClass", "multiZone", "storageGb"),
        example="{instanceClass: db.t4g.small}",
    )
    if section is None:
        return Database()
    default = Database()
    name = section.matching(
        "instanceClass", _DATABASE_CLASS, "must be an instance class of RDS, such as db.t4g.small"
    )
    size = section.whole("storageGb", 20, 10_000)
    return Database(
        instance_class=name or default.instance_class,
        storage_gb=size or default.storage_gb,
        multi_zone=section.flag("multiZone") or False,
    )


def _sagemaker(platform: Section, region: str | None) -> SageMaker:
    section = platform.section(
        "sagemaker", accepted=("autoRollback", "capturePercent", "image"), example="{capturePercent: 10}"
    )
    if section is None:
        return SageMaker()
    rollback = section.flag("autoRollback")
    percent = section.whole("capturePercent", 0, 100, percentage=True)
    image = section.matching("image", PINNED, PINNED_RULE)
    if image and region:
        _in_ecr(section, "image", image, region)
    return SageMaker(auto_rollback=rollback or False, capture_percent=percent or 0, image=image)


def _tags(platform: Section) -> Mapping[str, str]:
    names = platform.names("tags")
    section = platform.section("tags", accepted=names, example="{costCentre: ml}")
    if section is None:
        return {}
    found: dict[str, str] = {}
    for name in names:
        if not _TAG.fullmatch(name) or name.lower().startswith("aws:"):
            section.problem(name, "a tag's name has up to 128 letters, digits, spaces and + - = . _ : / @")
        text = section.matching(
            name,
            re.compile(r"[\w +\-=.:/@]{0,256}"),
            "must be text of up to 256 letters, digits, spaces and + - = . _ : / @",
        )
        if text is not None:
            found[name] = text
    return found
