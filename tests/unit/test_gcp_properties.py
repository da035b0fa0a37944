"""What holds for every platform on GCP that can be said."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from components.environment import ConfigError, GcpPlatform, Model, ReleaseRef, Resources, parse
from components.environment.gcp import CloudRun, Database, Nodes, Pool
from components.environment.gcp_services import cloud_run_container
from components.gcp.network import ranges
from components.gcp.scope import model_labels
from tests.unit.gcp import DEPLOYER, DEV, DIGEST

REGIONS = ["europe-west4", "us-central1", "asia-southeast1", "northamerica-northeast2"]
CPU = ["n2-standard-4", "e2-medium", "c3-highmem-8", "n2d-custom-4-8192"]
GPU = ["g2-standard-8", "g2-standard-96", "a2-ultragpu-4g", "a3-highgpu-8g"]
pool_names = st.from_regex(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True)


@st.composite
def pools(draw: st.DrawFn, machines: list[str], least: int) -> Pool:
    low = draw(st.integers(least, 20))
    return Pool(
        machine_type=draw(st.sampled_from(machines)),
        min=low,
        max=draw(st.integers(max(low, 1), 40)),
        spot=draw(st.booleans()),
        disk_gb=draw(st.integers(20, 2000)),
    )


def written(platform: GcpPlatform) -> dict[str, Any]:
    """A platform the way a person would write it, every key of it."""

    def pool(of: Pool) -> dict[str, Any]:
        return {
            "machineType": of.machine_type,
            "min": of.min,
            "max": of.max,
            "spot": of.spot,
            "diskGb": of.disk_gb,
        }

    run = platform.cloud_run
    cloud_run = {"domain": run.domain, "certificate": run.certificate, "invokers": list(run.invokers)}
    return {
        **DEV,
        "region": platform.region,
        "image": platform.cluster.image,
        "admins": list(platform.admins),
        "zones": list(platform.zones),
        "cidr": platform.cidr,
        "podCidr": platform.pod_cidr,
        "serviceCidr": platform.service_cidr,
        "nat": platform.nat,
        "releaseChannel": platform.release_channel,
        "nodes": {
            "cpu": pool(platform.nodes.cpu),
            "gpu": {name: pool(of) for name, of in platform.nodes.gpu.items()},
        },
        "database": {
            "tier": platform.database.tier,
            "storageGb": platform.database.storage_gb,
            "multiZone": platform.database.multi_zone,
        },
        "cloudRun": {key: value for key, value in cloud_run.items() if value},
        "logDays": platform.log_days,
        "labels": dict(platform.labels),
    }


@st.composite
def platforms(draw: st.DrawFn) -> GcpPlatform:
    region = draw(st.sampled_from(REGIONS))
    image = f"{region}-docker.pkg.dev/acme-models/serving/serving@{DIGEST}"
    small = parse({**DEV, "region": region, "image": image}, {}).platform
    assert isinstance(small, GcpPlatform)
    letters = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True))
    certificate = f"projects/acme-models/locations/{region}/certificates/models"
    return GcpPlatform(
        project=small.project,
        project_number=small.project_number,
        region=region,
        admins=(DEPLOYER,),
        cluster=small.cluster,
        zones=tuple(f"{region}-{letter}" for letter in letters),
        cidr=f"10.{draw(st.integers(0, 30))}.0.0/{draw(st.integers(16, 20))}",
        pod_cidr=f"10.{draw(st.sampled_from([64, 96, 128]))}.0.0/{draw(st.integers(12, 14))}",
        service_cidr=f"172.{draw(st.integers(16, 31))}.0.0/{draw(st.integers(16, 24))}",
        nat=draw(st.sampled_from(["none", "one"])),
        release_channel=draw(st.sampled_from(["rapid", "regular", "stable", "extended"])),
        nodes=Nodes(
            cpu=draw(pools(CPU, 1)), gpu=draw(st.dictionaries(pool_names, pools(GPU, 0), max_size=3))
        ),
        database=Database(
            tier=draw(st.sampled_from(["db-custom-1-3840", "db-perf-optimized-N-2"])),
            storage_gb=draw(st.integers(10, 10_000)),
            multi_zone=draw(st.booleans()),
        ),
        cloud_run=CloudRun(
            invokers=draw(st.sampled_from([(), ("group:callers@example.com", "domain:example.com")])),
            domain="run.example.com",
            certificate=draw(st.none() | st.just(certificate)),
        ),
        log_days=draw(st.integers(1, 3650)),
        labels=draw(
            st.dictionaries(
                st.from_regex(r"[a-f][a-z0-9_-]{0,62}", fullmatch=True),
                st.from_regex(r"[a-z0-9_-]{0,63}", fullmatch=True),
                max_size=3,
            )
        ),
    )


@given(platforms())
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_what_is_read(platform: GcpPlatform) -> None:
    said = written(platform)
    said["cloudRun"]["domain"] = platform.cloud_run.domain
    assert parse(said, {}).platform == platform


@given(platforms(), st.data())
@settings(deadline=None, max_examples=60)
def test_ranges_that_share_an_address_are_one_mistake_at_one_of_them(
    platform: GcpPlatform, data: st.DataObject
) -> None:
    said = written(platform)
    keys = {"cidr": 20, "podCidr": 14, "serviceCidr": 24}
    first, second = data.draw(st.permutations(list(keys)))[:2]
    # The narrower of the two is put into the other.
    outer, inner = sorted((first, second), key=lambda key: ipaddress.IPv4Network(said[key]).prefixlen)
    start = ipaddress.IPv4Network(said[outer]).network_address
    length = max(keys[inner], ipaddress.IPv4Network(said[outer]).prefixlen)
    said[inner] = f"{start}/{length}"
    try:
        parse(said, {})
    except ConfigError as error:
        found = [problem for problem in error.problems if "overlaps with" in problem.message]
        assert len(found) == 1 and found[0].path in (f"platform.{outer}", f"platform.{inner}")
    else:
        raise AssertionError(f"{said[outer]} and {said[inner]} share addresses")


@given(st.integers(0, 255), st.integers(16, 20))
def test_a_platforms_range_is_divided_without_overlap(second: int, prefix: int) -> None:
    cidr = ipaddress.IPv4Network(f"10.{second}.0.0/{prefix}")
    found = ranges(str(cidr))
    parts = [
        ipaddress.IPv4Network(p) for p in (found.nodes, found.proxies, found.database, found.control_plane)
    ]
    assert all(part.subnet_of(cidr) for part in parts)
    assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[:i])


@given(
    st.builds(
        Resources,
        cpu=st.integers(100, 9000).map(lambda cores: cores / 1000),
        memory=st.integers(1, 40_000).map(lambda mebibytes: f"{mebibytes}Mi"),
        gpu=st.integers(0, 1),
    )
)
def test_an_instance_of_cloud_run_has_what_is_asked_or_there_is_none(asked: Resources) -> None:
    found = cloud_run_container(asked)
    if found is None:
        assert asked.cpu > 8 or asked.mebibytes > 32 * 1024
    else:
        assert found.cpu >= asked.cpu and found.mebibytes >= asked.mebibytes and found.gpu == asked.gpu


@given(st.text(min_size=1, max_size=100))
def test_labels_are_what_google_takes_whoever_the_owner_is(owner: str) -> None:
    model = Model(name="churn", runtime="cloud-run", stable=ReleaseRef(version=3), owner=owner)
    for key, value in model_labels(model, 3).items():
        assert len(key) <= 63 and len(value) <= 63
        assert set(value) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
