"""What a file may say of a platform on GCP, and each mistake with its path."""

from __future__ import annotations

from typing import Any

import pytest

from components.environment import ConfigError, GcpPlatform, Resources, parse
from components.environment.gcp import CloudRun, Database, Nodes, Pool
from components.environment.gcp_services import (
    GPU_REGIONS,
    Accelerator,
    Container,
    accelerator,
    cloud_run_container,
)
from tests.unit.gcp import BUILD, CALLERS, DEPLOYER, DEV, DIGEST, PROD, PROJECT


def gcp(platform: dict[str, Any]) -> GcpPlatform:
    found = parse(platform, {}).platform
    assert isinstance(found, GcpPlatform)
    return found


def mistakes(models: dict[str, Any] | None = None, **platform: Any) -> list[str]:
    """The mistakes of the small platform with some keys changed; None takes a key out."""
    changed = {key: value for key, value in {**DEV, **platform}.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        parse(changed, models or {})
    return [str(problem) for problem in caught.value.problems]


def test_the_defaults() -> None:
    platform = gcp(DEV)
    assert (platform.cidr, platform.pod_cidr, platform.service_cidr) == (
        *("10.20.0.0/16", "10.64.0.0/14", "10.30.0.0/20"),
    )
    assert (platform.zones, platform.nat, platform.api_access) == ((), "one", ())
    assert (platform.release_channel, platform.log_days) == ("regular", 90)
    assert platform.nodes == Nodes(cpu=Pool(machine_type="n2-standard-2", min=2, max=6), gpu={})
    assert platform.database == Database(tier="db-custom-1-3840", storage_gb=20, multi_zone=False)
    assert platform.cloud_run == CloudRun(invokers=(), domain=None, certificate=None)
    assert (platform.kms_key, platform.alarm_channel, platform.labels) == (None, None, {})
    assert platform.runtimes == ("kubernetes", "cloud-run")
    assert (platform.gpus, platform.cluster.protect_data) == (False, False)


def test_everything_that_can_be_said() -> None:
    key = f"projects/{PROJECT}/locations/europe-west4/keyRings/models/cryptoKeys/data"
    platform = gcp(
        {
            **PROD,
            "cidr": "10.0.0.0/18",
            "podCidr": "10.128.0.0/16",
            "serviceCidr": "10.1.0.0/20",
            "nat": "none",
            "apiAccess": ["203.0.113.0/24"],
            "releaseChannel": "stable",
            "kmsKey": key,
        }
    )
    assert platform.zones == ("europe-west4-a", "europe-west4-b", "europe-west4-c")
    assert (platform.cidr, platform.pod_cidr, platform.service_cidr) == (
        *("10.0.0.0/18", "10.128.0.0/16", "10.1.0.0/20"),
    )
    assert (platform.nat, platform.api_access) == ("none", ("203.0.113.0/24",))
    assert (platform.release_channel, platform.kms_key, platform.log_days) == ("stable", key, 365)
    assert platform.nodes == Nodes(
        cpu=Pool(machine_type="n2-standard-4", min=3, max=12, disk_gb=50),
        gpu={"l4": Pool(machine_type="g2-standard-24", min=0, max=4, spot=True, disk_gb=100)},
    )
    assert platform.database == Database(tier="db-perf-optimized-N-2", storage_gb=100, multi_zone=True)
    assert platform.cloud_run == CloudRun(
        invokers=(CALLERS,),
        domain="run.models.example.com",
        certificate=f"projects/{PROJECT}/locations/europe-west4/certificates/models",
    )
    assert platform.alarm_channel == f"projects/{PROJECT}/notificationChannels/77"
    assert platform.labels == {"cost-centre": "ml"}
    assert platform.gpus


@pytest.mark.parametrize("key", ["project", "projectNumber", "region", "admins", "image", "registry", "url"])
def test_what_is_required(key: str) -> None:
    found = mistakes(**{key: None})
    assert len(found) == 1 and found[0].startswith(f"platform.{key}: required, ")
    assert "None" not in found[0]


def test_a_model_runs_on_the_cluster_unless_it_says_otherwise() -> None:
    (model,) = parse(DEV, {"churn": {"stable": {"version": 3}}}).models
    assert model.runtime == "kubernetes"
    assert mistakes({"churn": {"runtime": "lambda", "stable": {"version": 3}}}) == [
        'models.churn.runtime is "lambda": not on a platform of kind gcp; accepted: kubernetes, cloud-run.'
    ]


def test_vertex_is_refused_with_the_reason() -> None:
    models = {"churn": {"runtime": "vertex", "stable": {"version": 3}}}
    reason = (
        "Google's providers for Pulumi and Terraform have nothing that puts a model on an endpoint of"
        " Vertex AI, so its traffic split can't be declared"
    )
    assert mistakes(models) == [
        f'models.churn.runtime is "vertex": {reason}; accepted: kubernetes, cloud-run.'
    ]
    with pytest.raises(ConfigError) as caught:
        parse({"kind": "local"}, models)
    assert str(caught.value.problems[0]) == (f'models.churn.runtime is "vertex": {reason}; accepted: local.')


def on_cloud_run(**keys: Any) -> dict[str, Any]:
    return {"churn": {"runtime": "cloud-run", "stable": {"version": 3}, **keys}}


CANNOT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        on_cloud_run(canary={"version": 4, "shadow": True}),
        {},
        "models.churn.canary.shadow is true: not on the runtime cloud-run: the load balancer in front of"
        " Cloud Run can't mirror requests.",
    ),
    (
        on_cloud_run(autoscaling={"requestsPerSecond": 5}),
        {},
        "models.churn.autoscaling.requestsPerSecond is 5: not on the runtime cloud-run: Cloud Run scales by"
        " concurrent requests.",
    ),
    (
        on_cloud_run(resources={"gpu": 2}),
        {"imageUsesGpu": True},
        "models.churn.resources.gpu is 2: too many for Cloud Run: an instance has one.",
    ),
    (
        on_cloud_run(resources={"gpu": 1}),
        {
            "region": "europe-west3",
            "imageUsesGpu": True,
            "image": f"europe-west3-docker.pkg.dev/{PROJECT}/serving/serving@{DIGEST}",
        },
        f"models.churn.resources.gpu is 1: Cloud Run has no GPU in europe-west3; it has in"
        f" {', '.join(GPU_REGIONS)}.",
    ),
    (
        on_cloud_run(resources={"cpu": 9}),
        {},
        "models.churn.resources is a map of 1 key: more than an instance of Cloud Run has; the largest has 8"
        " cores, 32Gi.",
    ),
    (
        on_cloud_run(resources={"gpu": 1}),
        {},
        "models.churn.resources.gpu is 1: the model server's image has onnxruntime for CPUs: the GPU would be"
        " paid for, and not used. Leave gpu out; or name an image of your own with onnxruntime-gpu as"
        " platform.image, and set platform.imageUsesGpu to true.",
    ),
    (
        {"churn": {"stable": {"version": 3}, "resources": {"gpu": 1}}},
        {},
        "models.churn.resources.gpu is 1: this platform of kind gcp has no GPU nodes. Add them to the"
        " platform, or leave gpu out.",
    ),
]


@pytest.mark.parametrize(("models", "platform", "mistake"), CANNOT, ids=[m[:70] for _, _, m in CANNOT])
def test_what_a_runtime_can_not_do(models: dict[str, Any], platform: dict[str, Any], mistake: str) -> None:
    assert mistakes(models, **platform) == [mistake]


@pytest.mark.parametrize(
    ("cpu", "memory", "gpu", "found"),
    [
        (1, "2Gi", 0, Container(cpu=1, mebibytes=2048)),
        (0.5, "128Mi", 0, Container(cpu=1, mebibytes=512)),
        (1.5, "2Gi", 0, Container(cpu=2, mebibytes=2048)),
        (1, "4Gi", 0, Container(cpu=1, mebibytes=4096)),
        # Cores and memory bound each other.
        (1, "5Gi", 0, Container(cpu=2, mebibytes=5120)),
        (3, "1Gi", 0, Container(cpu=4, mebibytes=2048)),
        (5, "1Gi", 0, Container(cpu=6, mebibytes=4096)),
        (1, "32Gi", 0, Container(cpu=8, mebibytes=32768)),
        (1, "2Gi", 1, Container(cpu=4, mebibytes=16384, gpu=1)),
        (8, "32Gi", 1, Container(cpu=8, mebibytes=32768, gpu=1)),
        (8.5, "2Gi", 0, None),
        (1, "33Gi", 0, None),
        (1, "2Gi", 2, None),
    ],
)
def test_the_smallest_instance_that_has_what_is_asked(
    cpu: float, memory: str, gpu: int, found: Container | None
) -> None:
    assert cloud_run_container(Resources(cpu=cpu, memory=memory, gpu=gpu)) == found


@pytest.mark.parametrize(
    ("name", "type", "count"),
    [
        ("g2-standard-4", "nvidia-l4", 1),
        ("g2-standard-96", "nvidia-l4", 8),
        ("a2-highgpu-2g", "nvidia-tesla-a100", 2),
        ("a2-megagpu-16g", "nvidia-tesla-a100", 16),
        ("a2-ultragpu-1g", "nvidia-a100-80gb", 1),
        ("a3-highgpu-8g", "nvidia-h100-80gb", 8),
        ("a3-megagpu-8g", "nvidia-h100-mega-80gb", 8),
        ("a3-ultragpu-8g", "nvidia-h200-141gb", 8),
    ],
)
def test_machine_types_bring_their_gpus(name: str, type: str, count: int) -> None:
    assert accelerator(name) == Accelerator(type=type, count=count)
    assert (
        gcp({**DEV, "nodes": {"gpu": {"some": {"machineType": name}}}}).nodes.gpu["some"].machine_type == name
    )


@pytest.mark.parametrize("name", ["n2-standard-4", "e2-medium", "c3-standard-8-lssd", "n2d-custom-4-8192"])
def test_machine_types_without_gpus(name: str) -> None:
    assert accelerator(name) is None
    assert gcp({**DEV, "nodes": {"cpu": {"machineType": name}}}).nodes.cpu.machine_type == name


_RANGE = "must be a private IPv4 range such as 10.20.0.0/16, from"
_MACHINE = "must be a machine type as Compute Engine writes it, such as n2-standard-4"
WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"project": "Acme"},
        'platform.project is "Acme": must be a project\'s id: 6 to 30 lower-case letters, digits and'
        " hyphens.",
    ),
    (
        {"projectNumber": 123456789012},
        "platform.projectNumber is 123456789012: must be the project's number in quotes, such as"
        ' "123456789012".',
    ),
    (
        {"admins": ["group:everybody@example.com"]},
        "platform.admins is a list of 1 item: must be a list of different users and service accounts, such as"
        " serviceAccount:deploy@acme-models.iam.gserviceaccount.com.",
    ),
    (
        {"zones": ["europe-west4a"]},
        "platform.zones is a list of 1 item: must be a list of different zones of the region: europe-west4-a,"
        " europe-west4-b, ….",
    ),
    (
        {"zones": ["europe-west1-b"]},
        "platform.zones is a list of 1 item: must be a list of different zones of the region: europe-west4-a,"
        " europe-west4-b, ….",
    ),
    (
        {"zones": [f"europe-west4-{letter}" for letter in "abcd"]},
        "platform.zones is a list of 4 items: must have one to three zones.",
    ),
    ({"cidr": "10.20.0.0/24"}, f'platform.cidr is "10.20.0.0/24": {_RANGE} /16 to /20.'),
    (
        {"podCidr": "10.65.0.0/14"},
        f'platform.podCidr is "10.65.0.0/14": {_RANGE} /9 to /21. Perhaps 10.64.0.0/14?',
    ),
    (
        {"cidr": "10.64.0.0/16"},
        'platform.cidr is "10.64.0.0/16": overlaps with podCidr, 10.64.0.0/14: 10.64.0.0/16 must share no'
        " address with it.",
    ),
    (
        {"serviceCidr": "10.20.16.0/20"},
        'platform.serviceCidr is "10.20.16.0/20": overlaps with cidr, 10.20.0.0/16: 10.20.16.0/20 must share'
        " no address with it.",
    ),
    (
        {"serviceCidr": "10.66.0.0/20"},
        'platform.serviceCidr is "10.66.0.0/20": overlaps with podCidr, 10.64.0.0/14: 10.66.0.0/20 must share'
        " no address with it.",
    ),
    (
        {"podCidr": "10.64.0.0/21", "nodes": {"cpu": {"machineType": "n2-standard-4", "max": 8}}},
        'platform.podCidr is "10.64.0.0/21": has room for the pods of 8 nodes, a /24 each; the pools may have'
        " 9, one more of each while it is upgraded.",
    ),
    (
        {"image": f"docker.io/serving@{DIGEST}"},
        f'platform.image is "{f"docker.io/serving@{DIGEST}"[:59]}…": must be in Artifact Registry in the'
        " platform's region: europe-west4-docker.pkg.dev/PROJECT/NAME/…@sha256:…. Nodes and Cloud Run pull it"
        " from there.",
    ),
    (
        {"image": {"build": {**BUILD["build"], "platforms": ["linux/arm64"]}}},
        "platform.image.build.platforms is a list of 1 item: must be [linux/amd64]: nodes and Cloud Run run"
        " it on x86-64.",
    ),
    ({"nat": "zone"}, 'platform.nat is "zone": must be one of: none, one. Did you mean one?'),
    (
        {"releaseChannel": "fast"},
        'platform.releaseChannel is "fast": must be one of: rapid, regular, stable, extended.',
    ),
    ({"logDays": 0}, "platform.logDays is 0: must be a whole number from 1 to 3650."),
    (
        {"kmsKey": "data"},
        'platform.kmsKey is "data": must be a name such as projects/…/locations/…/keyRings/…/cryptoKeys/….',
    ),
    (
        {"kmsKey": f"projects/{PROJECT}/locations/global/keyRings/a/cryptoKeys/b"},
        f'platform.kmsKey is "projects/{PROJECT}/locations/global/keyRings/a/cryptoKeys…": must be in the'
        " platform's region, europe-west4.",
    ),
    (
        {"alarmChannel": "oncall"},
        'platform.alarmChannel is "oncall": must be a channel such as'
        " projects/acme-models/notificationChannels/123.",
    ),
    (
        {"apiAccess": ["0.0.0.0/0"]},
        "platform.apiAccess is a list of 1 item: has 0.0.0.0/0: /16 is the widest range that is accepted.",
    ),
    (
        {"database": {"tier": "db.t4g.small"}},
        'platform.database.tier is "db.t4g.small": must be a tier of Cloud SQL for PostgreSQL, such as'
        " db-custom-1-3840.",
    ),
    (
        {"database": {"tier": "db-f1-micro", "multiZone": True}},
        "platform.database.multiZone is true: not with the tier db-f1-micro: it shares its core, and has no"
        " standby.",
    ),
    (
        {"database": {"storageGb": 5}},
        "platform.database.storageGb is 5: must be a whole number from 10 to 10000.",
    ),
    (
        {"cloudRun": {"invokers": ["allUsers"]}},
        "platform.cloudRun.invokers is a list of 1 item: must be a list of different members such as"
        " serviceAccount:…@…, user:…, group:… and domain:…; nobody without a name may call a model.",
    ),
    (
        {"cloudRun": {"invokers": ["allAuthenticatedUsers"]}},
        "platform.cloudRun.invokers is a list of 1 item: must be a list of different members such as"
        " serviceAccount:…@…, user:…, group:… and domain:…; nobody without a name may call a model.",
    ),
    (
        {"cloudRun": {"certificate": f"projects/{PROJECT}/locations/europe-west4/certificates/models"}},
        "platform.cloudRun.domain: required, the one that the certificate is for, such as"
        " run.models.example.com.",
    ),
    (
        {
            "cloudRun": {
                "domain": "run.models.example.com",
                "certificate": "projects/acme-models/locations/us-east1/certificates/m",
            }
        },
        'platform.cloudRun.certificate is "projects/acme-models/locations/us-east1/certificates/m": must be'
        " in the platform's region, europe-west4.",
    ),
    (
        {"cloudRun": {"domain": "run.models.example.com", "certificate": "models"}},
        'platform.cloudRun.certificate is "models": must be a name such as'
        " projects/…/locations/…/certificates/….",
    ),
    (
        {"labels": {"goog-managed": "ml"}},
        'platform.labels.goog-managed is "ml": a label\'s name has up to 63 lower-case letters, digits, _ and'
        " -, and begins with a letter, not with goog.",
    ),
    (
        {"labels": {"Cost": "ml"}},
        'platform.labels.Cost is "ml": a label\'s name has up to 63 lower-case letters, digits, _ and -, and'
        " begins with a letter, not with goog.",
    ),
    (
        {"labels": {"cost": "ML"}},
        'platform.labels.cost is "ML": must be text of up to 63 lower-case letters, digits, _ and -.',
    ),
    (
        {"nodes": {"cpu": {"machineType": "m7i.large"}}},
        f'platform.nodes.cpu.machineType is "m7i.large": {_MACHINE}.',
    ),
    (
        {"nodes": {"cpu": {"min": 2}}},
        "platform.nodes.cpu.machineType: required, such as n2-standard-4.",
    ),
    (
        {"nodes": {"cpu": {"machineType": "c4a-standard-4"}}},
        'platform.nodes.cpu.machineType is "c4a-standard-4": an Arm machine; the images are for x86-64.',
    ),
    (
        {"nodes": {"cpu": {"machineType": "g2-standard-8"}}},
        'platform.nodes.cpu.machineType is "g2-standard-8": has a GPU; it belongs under nodes.gpu.',
    ),
    (
        {"nodes": {"gpu": {"l4": {"machineType": "n2-standard-8"}}}},
        'platform.nodes.gpu.l4.machineType is "n2-standard-8": has no GPU that is known here; g2 has L4, a2'
        " has A100, a3 has H100 and H200.",
    ),
    (
        {"nodes": {"gpu": {"L4": {"machineType": "g2-standard-8"}}}},
        "platform.nodes.gpu.L4 is a map of 1 key: a pool's name has up to 30 lower-case letters, digits and"
        " hyphens.",
    ),
    (
        {"nodes": {"cpu": {"machineType": "n2-standard-4", "min": 4, "max": 3}}},
        "platform.nodes.cpu.max is 3: must be min, 4, or more.",
    ),
    (
        {"nodes": {"cpu": {"machineType": "n2-standard-4", "min": 0}}},
        "platform.nodes.cpu.min is 0: must be a whole number from 1 to 1000.",
    ),
]


@pytest.mark.parametrize(("changed", "mistake"), WRONG, ids=[mistake[:60] for _, mistake in WRONG])
def test_a_mistake_is_told_with_its_path(changed: dict[str, Any], mistake: str) -> None:
    assert mistakes(**changed) == [mistake]


@pytest.mark.parametrize("region", ["europe-west", "eu-central-1", "Europe-west4", "europe-west4-a", 4])
def test_a_region_is_written_as_google_writes_it(region: Any) -> None:
    found = [text for text in mistakes(region=region) if text.startswith("platform.region")]
    assert len(found) == 1 and "must be a region as Google writes it, such as europe-west4" in found[0]


def test_all_mistakes_come_at_once() -> None:
    found = mistakes(region="x", cidr="y", nat="z", admins=[], nodes={"gpu": {"l4": {}}})
    assert [text.split(" ")[0].rstrip(":") for text in found] == [
        *("platform.admins", "platform.cidr", "platform.nat", "platform.nodes.gpu.l4.machineType"),
        "platform.region",
    ]


def test_the_image_may_be_near_or_of_another_project() -> None:
    for image in (
        f"europe-docker.pkg.dev/{PROJECT}/serving/serving@{DIGEST}",
        f"europe-west4-docker.pkg.dev/another/serving/serving@{DIGEST}",
    ):
        assert gcp({**DEV, "image": image}).cluster.image == image
    assert gcp({**DEV, "admins": [DEPLOYER, "user:ada@example.com"]}).admins[1] == "user:ada@example.com"
