"""From the keys of a platform of kind `gcp` to a `GcpPlatform`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from components.environment.cluster import CLUSTER_KEYS, Cluster, parse_cluster
from components.environment.gcp import CloudRun, Database, GcpPlatform, Nodes, Pool
from components.environment.gcp_services import accelerator
from components.environment.image import Build
from components.environment.ranges import overlap, private_range, public_ranges
from components.environment.section import Section

KEYS: Final = (
    "kind",
    "admins",
    "alarmChannel",
    "apiAccess",
    "cidr",
    "cloudRun",
    "database",
    "kmsKey",
    "labels",
    "logDays",
    "nat",
    "nodes",
    "podCidr",
    "project",
    "projectNumber",
    "region",
    "releaseChannel",
    "serviceCidr",
    "settleSeconds",
    "zones",
    *CLUSTER_KEYS,
)

_PROJECT: Final = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_NUMBER: Final = re.compile(r"[1-9][0-9]{5,18}")
_REGION: Final = re.compile(
    r"(africa|asia|australia|europe|me|northamerica|southamerica|us)"
    r"-(north|south|east|west|central|northeast|northwest|southeast|southwest)[1-9][0-9]?"
)
_ADMIN: Final = re.compile(r"(user|serviceAccount):[\w.+-]+@[a-z0-9.-]+")
_INVOKER: Final = re.compile(r"(user|serviceAccount|group):[\w.+-]+@[a-z0-9.-]+|domain:[a-z0-9.-]+")
_MACHINE: Final = re.compile(
    r"[a-z][0-9]{1,2}[a-z]?-(standard|highmem|highcpu|ultramem|megamem|hypermem)-[0-9]{1,3}(-(lssd|metal))?"
    r"|[a-z][0-9][a-z]?-custom-[0-9]{1,3}-[0-9]{3,6}(-ext)?"
    r"|e2-(micro|small|medium)"
    r"|a[2-4]-(highgpu|megagpu|ultragpu|edgegpu)-[0-9]{1,2}g"
)
# Their processors are Arm; the model server's image is for x86-64.
_ARM: Final = re.compile(r"(t2a|c4a|n4a|a4x)-.*")
_TIER: Final = re.compile(
    r"db-custom-([1-9][0-9]?)-([0-9]{4,6})|db-perf-optimized-N-[0-9]{1,3}|db-(f1-micro|g1-small)"
)
_DOMAIN: Final = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z][-a-z0-9]{0,61}[a-z0-9]")
_KEY: Final = re.compile(
    r"projects/[a-z0-9-]+/locations/[a-z0-9-]+/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}"
)
_CERTIFICATE: Final = re.compile(r"projects/[a-z0-9-]+/locations/[a-z0-9-]+/certificates/[\w-]{1,63}")
_CHANNEL: Final = re.compile(r"projects/[a-z0-9-]+/notificationChannels/[0-9]+")
_POOL: Final = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
_LABEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MOST_NODES: Final = 1000  # GKE's quota for one pool
_POD_BITS: Final = 24
"""GKE gives each node a range of this prefix for its pods."""


def parse_gcp(section: Section) -> GcpPlatform | None:
    """Understand the keys of the kind `gcp`; None if a required one is missing or wrong."""
    section.require("project", "the project's id, such as acme-models")
    section.require("projectNumber", 'the project\'s number, in quotes: "123456789012"')
    section.require("region", "such as europe-west4")
    section.require("admins", "a list of user:… and serviceAccount:…, the one that runs Pulumi among them")
    project = section.matching(
        "project", _PROJECT, "must be a project's id: 6 to 30 lower-case letters, digits and hyphens"
    )
    number = section.matching(
        "projectNumber", _NUMBER, 'must be the project\'s number in quotes, such as "123456789012"'
    )
    region = section.matching("region", _REGION, "must be a region as Google writes it, such as europe-west4")
    admins = section.texts(
        "admins",
        _ADMIN,
        "must be a list of different users and service accounts, such as"
        " serviceAccount:deploy@acme-models.iam.gserviceaccount.com",
    )
    zones = _zones(section, region)
    cluster = parse_cluster(section)
    _image(section, cluster, region)
    nodes = _nodes(section)
    cidr, pod_cidr, service_cidr = _ranges(section, nodes)
    nat = section.choice("nat", ("none", "one"))
    channel = section.choice("releaseChannel", ("rapid", "regular", "stable", "extended"))
    days = section.whole("logDays", 1, 3650)
    settle = section.whole("settleSeconds", 0, 900)
    key = _regional(section, "kmsKey", _KEY, "keyRings/…/cryptoKeys/…", region)
    alarm = section.matching(
        "alarmChannel", _CHANNEL, "must be a channel such as projects/acme-models/notificationChannels/123"
    )
    api_access = public_ranges(section, "apiAccess")
    database = _database(section)
    cloud_run = _cloud_run(section, region)
    labels = _labels(section)
    if project is None or number is None or region is None or admins is None or cluster is None:
        return None
    return GcpPlatform(
        project=project,
        project_number=number,
        region=region,
        admins=admins,
        cluster=cluster,
        zones=zones,
        cidr=cidr,
        pod_cidr=pod_cidr,
        service_cidr=service_cidr,
        nat=nat or "one",
        api_access=api_access,
        release_channel=channel or "regular",
        nodes=nodes,
        database=database,
        cloud_run=cloud_run,
        kms_key=key,
        alarm_channel=alarm,
        settle_seconds=120 if settle is None else settle,
        log_days=days or 90,
        labels=labels,
    )


def _zones(section: Section, region: str | None) -> tuple[str, ...]:
    of = region or "europe-west4"
    pattern = re.compile(rf"{re.escape(region)}-[a-f]" if region else r"[a-z]+-[a-z]+[1-9][0-9]?-[a-f]")
    zones = section.texts(
        "zones", pattern, f"must be a list of different zones of the region: {of}-a, {of}-b, …"
    )
    if zones is not None and len(zones) > 3:
        section.problem("zones", "must have one to three zones")
    return zones or ()


def _ranges(section: Section, nodes: Nodes) -> tuple[str, str, str]:
    """Take the ranges of the VPC, of pods and of Services, which share no address."""
    ranges = {
        "cidr": private_range(section, "cidr", 16, 20) or "10.20.0.0/16",
        "podCidr": private_range(section, "podCidr", 9, 21) or "10.64.0.0/14",
        "serviceCidr": private_range(section, "serviceCidr", 16, 24) or "10.30.0.0/20",
    }
    keys = list(ranges)
    for index, key in enumerate(keys):
        for other in keys[:index]:
            if not overlap(ranges[key], ranges[other]):
                continue
            mine, theirs = (key, other) if section.has(key) else (other, key)
            section.problem(
                mine,
                f"overlaps with {theirs}, {ranges[theirs]}: {ranges[mine]} must share no address with it",
            )
    pools = (nodes.cpu, *nodes.gpu.values())
    # An upgrade adds a node to a pool before it takes one away.
    needed = sum(pool.max + 1 for pool in pools)
    room = 2 ** (_POD_BITS - ipaddress.IPv4Network(ranges["podCidr"]).prefixlen)
    if needed > room:
        section.problem(
            "podCidr",
            f"has room for the pods of {room} nodes, a /{_POD_BITS} each; the pools may have {needed},"
            " one more of each while it is upgraded",
        )
    return ranges["cidr"], ranges["podCidr"], ranges["serviceCidr"]


def _image(section: Section, cluster: Cluster | None, region: str | None) -> None:
    """The image is pulled by nodes without internet and by Cloud Run: from Artifact Registry, nearby."""
    if cluster is None or region is None:
        return
    if cluster.tracking and isinstance(cluster.tracking.image, Build):
        _for_x86(section.inner("tracking"), cluster.tracking.image)
    if not isinstance(cluster.image, str):
        _for_x86(section, cluster.image)
        return
    hosts = (f"{region}-docker.pkg.dev", f"{region.split('-')[0]}-docker.pkg.dev")
    if cluster.image.split("/")[0] not in hosts:
        section.problem(
            "image",
            f"must be in Artifact Registry in the platform's region: {hosts[0]}/PROJECT/NAME/…@sha256:…",
            "Nodes and Cloud Run pull it from there.",
        )


def _for_x86(above: Section, image: Build) -> None:
    if image.platforms != ("linux/amd64",):
        above.inner("image").inner("build").problem(
            "platforms", "must be [linux/amd64]: nodes and Cloud Run run it on x86-64"
        )


def _regional(
    section: Section, key: str, pattern: re.Pattern[str], form: str, region: str | None
) -> str | None:
    """Take the full name of something, which must be in the platform's region."""
    name = section.matching(key, pattern, f"must be a name such as projects/…/locations/…/{form}")
    if name and region and name.split("/")[3] != region:
        section.problem(key, f"must be in the platform's region, {region}")
    return name


def _nodes(platform: Section) -> Nodes:
    section = platform.section(
        "nodes", accepted=("cpu", "gpu"), example="{cpu: {machineType: n2-standard-4}}"
    )
    if section is None:
        return Nodes()
    cpu = _pool(section, "cpu", gpu=False) if section.has("cpu") else None
    gpus: dict[str, Pool] = {}
    keys = section.values.get("gpu")
    names = [key for key in keys if isinstance(key, str)] if isinstance(keys, Mapping) else []  # pyright: ignore[reportUnknownVariableType]
    pools = section.section("gpu", accepted=names, example="{l4: {machineType: g2-standard-8, max: 2}}")
    for name in names if pools else []:
        if pools and not _POOL.fullmatch(name):
            pools.problem(name, "a pool's name has up to 30 lower-case letters, digits and hyphens")
        elif pools and (pool := _pool(pools, name, gpu=True)):
            gpus[name] = pool
    return Nodes(cpu=cpu or Nodes().cpu, gpu=gpus)


def _pool(nodes: Section, key: str, *, gpu: bool) -> Pool | None:
    accepted = ("diskGb", "machineType", "max", "min", "spot")
    section = nodes.section(key, accepted=accepted, example="{machineType: n2-standard-4, min: 2, max: 6}")
    if section is None:
        return None
    section.require("machineType", f"such as {'g2-standard-8' if gpu else 'n2-standard-4'}")
    machine = section.matching(
        "machineType", _MACHINE, "must be a machine type as Compute Engine writes it, such as n2-standard-4"
    )
    if machine and _ARM.fullmatch(machine):
        section.problem("machineType", "an Arm machine; the images are for x86-64")
    elif machine and not gpu and re.match(r"(a[2-4]|g[24])-", machine):
        section.problem("machineType", "has a GPU; it belongs under nodes.gpu")
    elif machine and gpu and accelerator(machine) is None:
        section.problem(
            "machineType", "has no GPU that is known here; g2 has L4, a2 has A100, a3 has H100 and H200"
        )
    # What the cluster itself runs is on the CPU pool, so it is never empty.
    least = section.whole("min", 0 if gpu else 1, _MOST_NODES)
    most = section.whole("max", 1, _MOST_NODES)
    low = (0 if gpu else 2) if least is None else least
    if most is not None and most < low:
        section.problem("max", f"must be min, {low}, or more")
    spot = section.flag("spot")
    disk = section.whole("diskGb", 20, 2000)
    if machine is None:
        return None
    return Pool(
        machine_type=machine,
        min=low,
        max=max(low, 1) if most is None else most,
        spot=spot or False,
        disk_gb=disk or (100 if gpu else 50),
    )


def _database(platform: Section) -> Database:
    section = platform.section(
        "database", accepted=("multiZone", "storageGb", "tier"), example="{tier: db-custom-1-3840}"
    )
    if section is None:
        return Database()
    default = Database()
    tier = section.matching(
        "tier", _TIER, "must be a tier of Cloud SQL for PostgreSQL, such as db-custom-1-3840"
    )
    size = section.whole("storageGb", 10, 10_000)
    multi_zone = section.flag("multiZone")
    if tier in ("db-f1-micro", "db-g1-small") and multi_zone:
        section.problem("multiZone", f"not with the tier {tier}: it shares its core, and has no standby")
    return Database(
        tier=tier or default.tier,
        storage_gb=size or default.storage_gb,
        multi_zone=multi_zone or False,
    )


def _cloud_run(platform: Section, region: str | None) -> CloudRun:
    section = platform.section(
        "cloudRun",
        accepted=("certificate", "domain", "invokers"),
        example="{invokers: [group:callers@example.com]}",
    )
    if section is None:
        return CloudRun()
    invokers = section.texts(
        "invokers",
        _INVOKER,
        "must be a list of different members such as serviceAccount:…@…, user:…, group:… and domain:…;"
        " nobody without a name may call a model",
    )
    domain = section.matching("domain", _DOMAIN, "must be a domain such as run.models.example.com")
    certificate = _regional(section, "certificate", _CERTIFICATE, "certificates/…", region)
    if section.has("certificate"):
        section.require("domain", "the one that the certificate is for, such as run.models.example.com")
    return CloudRun(invokers=invokers or (), domain=domain, certificate=certificate)


def _labels(platform: Section) -> Mapping[str, str]:
    value = platform.values.get("labels")
    names = [key for key in value if isinstance(key, str)] if isinstance(value, Mapping) else []  # pyright: ignore[reportUnknownVariableType]
    section = platform.section("labels", accepted=names, example="{cost-centre: ml}")
    if section is None:
        return {}
    found: dict[str, str] = {}
    for name in names:
        if not _LABEL.fullmatch(name) or name.startswith("goog"):
            section.problem(
                name,
                "a label's name has up to 63 lower-case letters, digits, _ and -, and begins with a letter,"
                " not with goog",
            )
        text = section.matching(
            name,
            re.compile(r"[a-z0-9_-]{0,63}"),
            "must be text of up to 63 lower-case letters, digits, _ and -",
        )
        if text is not None:
            found[name] = text
    return found
