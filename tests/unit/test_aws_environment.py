"""What a file may say of a platform on AWS, and each mistake with its path."""

from __future__ import annotations

from typing import Any

import pytest

from components.environment import AwsPlatform, ConfigError, parse
from components.environment.aws import Database, Nodes, Pool, SageMaker
from components.environment.aws_access import Access
from tests.unit.aws import ACCOUNT, BUILD, DEPLOYER, DEV, DIGEST, IMAGE, PROD, ROOT


def aws(platform: dict[str, Any]) -> AwsPlatform:
    found = parse(platform, {}).platform
    assert isinstance(found, AwsPlatform)
    return found


def mistakes(models: dict[str, Any] | None = None, **platform: Any) -> list[str]:
    """The mistakes of the small platform with some keys changed; None takes a key out."""
    changed = {key: value for key, value in {**DEV, **platform}.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        parse(changed, models or {})
    return [str(problem) for problem in caught.value.problems]


def test_the_defaults() -> None:
    platform = aws(DEV)
    assert platform.zones == ("eu-central-1a", "eu-central-1b")
    assert (platform.cidr, platform.service_cidr, platform.nat) == ("10.20.0.0/16", "172.20.0.0/16", "one")
    assert (platform.kubernetes_version, platform.log_days, platform.api_access) == ("1.35", 90, ())
    assert platform.nodes == Nodes(cpu=Pool(instance_types=("m7i.large",), min=2, max=6), gpu={})
    assert platform.database == Database(instance_class="db.t4g.small", storage_gb=20, multi_zone=False)
    assert platform.sagemaker == SageMaker(auto_rollback=False, capture_percent=0, image=ROOT)
    assert platform.runtimes == ("kubernetes", "lambda", "sagemaker")
    assert (platform.gpus, platform.cluster.protect_data) == (False, False)
    for absent in (platform.kms_key_arn, platform.certificate_arn, platform.alarm_topic_arn):
        assert absent is None


def test_everything_that_can_be_said() -> None:
    key = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"
    platform = aws(
        {
            **PROD,
            "cidr": "10.0.0.0/18",
            "serviceCidr": "10.1.0.0/20",
            "kubernetesVersion": "1.34",
            "addons": {"coredns": "v1.12.4-eksbuild.1"},
            "apiAccess": ["203.0.113.0/24"],
            "kmsKeyArn": key,
            "logDays": 365,
            "sagemaker": {"autoRollback": True, "capturePercent": 5, "image": ROOT},
        }
    )
    assert (platform.cidr, platform.service_cidr) == ("10.0.0.0/18", "10.1.0.0/20")
    assert platform.kubernetes_version == "1.34"
    assert platform.addons == {"coredns": "v1.12.4-eksbuild.1"}
    assert platform.api_access == ("203.0.113.0/24",)
    assert (platform.kms_key_arn, platform.log_days) == (key, 365)
    assert platform.nodes == Nodes(
        cpu=Pool(instance_types=("m7i.xlarge", "m6i.xlarge"), min=3, max=12, disk_gb=50),
        gpu={"l4": Pool(instance_types=("g6.xlarge",), min=0, max=4, spot=True, disk_gb=100)},
    )
    assert platform.database == Database(instance_class="db.m7g.large", storage_gb=100, multi_zone=True)
    assert platform.sagemaker == SageMaker(auto_rollback=True, capture_percent=5, image=ROOT)
    assert platform.tags == {"costCentre": "ml"}
    assert platform.gpus


@pytest.mark.parametrize("key", ["account", "region", "admins", "image", "registry", "url"])
def test_what_is_required(key: str) -> None:
    found = mistakes(**{key: None})
    assert len(found) == 1 and found[0].startswith(f"platform.{key}: required, ")
    assert "None" not in found[0]


def test_a_cpu_pool_has_room_for_a_node_in_each_zone() -> None:
    zones = [f"eu-central-1{letter}" for letter in "abc"]
    nodes = {"cpu": {"instanceTypes": ["m7i.large"], "min": 1}}
    found = parse({**DEV, "zones": zones, "nodes": nodes}, {}).platform
    assert isinstance(found, AwsPlatform)
    assert (found.nodes.cpu.min, found.nodes.cpu.max) == (1, 3)


def test_a_model_runs_on_the_cluster_unless_it_says_otherwise() -> None:
    (model,) = parse(DEV, {"churn": {"stable": {"version": 3}}}).models
    assert model.runtime == "kubernetes"
    assert mistakes({"churn": {"runtime": "cloud-run", "stable": {"version": 3}}}) == [
        'models.churn.runtime is "cloud-run": not on a platform of kind aws; accepted: kubernetes, lambda,'
        " sagemaker."
    ]


def test_sagemaker_needs_an_image_that_runs_as_root() -> None:
    """By its guide (docs.aws.amazon.com, sagemaker, your-algorithms-inference-code.html)."""
    models = {"churn": {"runtime": "sagemaker", "stable": {"version": 3}}}
    assert mistakes(models, sagemaker={}) == [
        'models.churn.runtime is "sagemaker": SageMaker asks for a container that runs as root, which'
        " platform.image doesn't. Name the image for SageMaker in platform.sagemaker.image, by its digest."
    ]
    assert parse({**DEV, "sagemaker": {}, "image": BUILD}, models).models, "it is built"
    elsewhere = mistakes({}, sagemaker={"image": f"docker.io/serving@{DIGEST}"})
    assert len(elsewhere) == 1 and "platform.sagemaker.image is" in elsewhere[0] and "ECR" in elsewhere[0]


def test_a_gpu_on_the_cluster_needs_a_pool_that_has_some() -> None:
    models = {"churn": {"stable": {"version": 3}, "resources": {"gpu": 1}}}
    assert mistakes(models) == [
        "models.churn.resources.gpu is 1: this platform of kind aws has no GPU nodes. Add them to the"
        " platform, or leave gpu out."
    ]
    assert parse({**DEV, "imageUsesGpu": True, "nodes": PROD["nodes"]}, models).models[0].resources.gpu == 1


def test_access_is_by_principal() -> None:
    preview, science = f"{DEPLOYER}-preview", "arn:aws:iam::999999999999:user/team/ada"
    access = {preview: {"may": "view"}, science: {"may": "edit", "namespaces": ["models"]}}
    platform = parse({**DEV, "access": access}, {}).platform
    assert isinstance(platform, AwsPlatform)
    assert platform.access == {
        preview: Access(may="view"),
        science: Access(may="edit", namespaces=("models",)),
    }


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"access": {"preview": {"may": "view"}}},
        "platform.access.preview is a map of 1 key: must be keyed by the ARN of an IAM role or user such as"
        " arn:aws:iam::123456789012:role/preview.",
    ),
    (
        {"access": {DEPLOYER: {"may": "view"}}},
        f'platform.access["{DEPLOYER}"] is a map of 1 key: is one of the platform\'s admins, and may do all'
        " of it already.",
    ),
    (
        {"access": {f"{DEPLOYER}-x": {"may": "edit"}}},
        f'platform.access["{DEPLOYER}-x"].namespaces: required with `may: edit`: who may change the whole'
        " cluster is an admin.",
    ),
    (
        {"access": {f"{DEPLOYER}-x": {"namespaces": ["models"]}}},
        f'platform.access["{DEPLOYER}-x"].may: required, one of: view, edit.',
    ),
    (
        {"access": {f"{DEPLOYER}-x": {"may": "views"}}},
        f'platform.access["{DEPLOYER}-x"].may is "views": must be one of: view, edit. Did you mean view?',
    ),
    (
        {"access": {f"{DEPLOYER}-x": {"may": "view", "namespaces": ["Models"]}}},
        f'platform.access["{DEPLOYER}-x"].namespaces is a list of 1 item: must be a list of different'
        " namespaces, each of which must be a name of lower-case letters, digits and hyphens, at most 63.",
    ),
    (
        {"access": {"arn:aws-cn:iam::123456789012:role/x": {"may": "view"}}},
        'platform.access["arn:aws-cn:iam::123456789012:role/x"] is a map of 1 key: has'
        " arn:aws-cn:iam::123456789012:role/x; ARNs in eu-central-1 begin with arn:aws:.",
    ),
    (
        {"account": 123456789012},
        'platform.account is 123456789012: must be 12 digits in quotes, such as "123456789012".',
    ),
    (
        {"account": "12345678901"},
        'platform.account is "12345678901": must be 12 digits in quotes, such as "123456789012".',
    ),
    (
        {"admins": [DEPLOYER, DEPLOYER]},
        "platform.admins is a list of 2 items: must be a list of different ARNs such as"
        " arn:aws:iam::123456789012:role/deploy.",
    ),
    (
        {"admins": ["deploy"]},
        "platform.admins is a list of 1 item: must be a list of different ARNs such as"
        " arn:aws:iam::123456789012:role/deploy.",
    ),
    (
        {"zones": ["eu-central-1a"]},
        "platform.zones is a list of 1 item: must have two or three zones: EKS asks for two.",
    ),
    (
        {"zones": ["eu-central-1a", "eu-west-1b"]},
        "platform.zones is a list of 2 items: must be a list of different zones of the region:"
        " eu-central-1a, eu-central-1b, ….",
    ),
    (
        {"zones": ["eu-central-1a", "eu-central-1a"]},
        "platform.zones is a list of 2 items: must be a list of different zones of the region:"
        " eu-central-1a, eu-central-1b, ….",
    ),
    (
        {"cidr": "10.20.0.0/8"},
        'platform.cidr is "10.20.0.0/8": must be a private IPv4 range such as 10.20.0.0/16, from /16 to /20.',
    ),
    (
        {"cidr": "10.20.5.0/16"},
        'platform.cidr is "10.20.5.0/16": must be a private IPv4 range such as 10.20.0.0/16, from /16 to'
        " /20. Perhaps 10.20.0.0/16?",
    ),
    (
        {"cidr": "10.20.0.0/21"},
        'platform.cidr is "10.20.0.0/21": must be a private IPv4 range such as 10.20.0.0/16, from /16 to'
        " /20.",
    ),
    (
        {"cidr": "8.8.0.0/16"},
        'platform.cidr is "8.8.0.0/16": must be a private IPv4 range such as 10.20.0.0/16, from /16 to /20.',
    ),
    (
        {"cidr": "fd00::/16"},
        'platform.cidr is "fd00::/16": must be a private IPv4 range such as 10.20.0.0/16, from /16 to /20.',
    ),
    (
        {"cidr": 10},
        "platform.cidr is 10: must be a private IPv4 range such as 10.20.0.0/16, from /16 to /20.",
    ),
    (
        {"cidr": "10.20.0/16"},
        'platform.cidr is "10.20.0/16": must be a private IPv4 range such as 10.20.0.0/16, from /16 to /20.',
    ),
    (
        {"cidr": "172.20.0.0/16"},
        'platform.cidr is "172.20.0.0/16": overlaps with serviceCidr, 172.20.0.0/16: 172.20.0.0/16 must'
        " share no address with it.",
    ),
    (
        {
            "zones": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
            "nodes": {"cpu": {"instanceTypes": ["m7i.large"], "max": 2}},
        },
        # A node group in each zone, and EKS takes none of at most no node.
        "platform.nodes.cpu.max is 2: must be a whole number from 3 to 450.",
    ),
    (
        {"permissionsBoundaryArn": "arn:aws:iam::999999999999:policy/boundary"},
        'platform.permissionsBoundaryArn is "arn:aws:iam::999999999999:policy/boundary": must be a policy of'
        " the account 123456789012, or AWS' own.",
    ),
    (
        {"admins": ["arn:aws-cn:iam::123456789012:role/deploy"]},
        "platform.admins is a list of 1 item: has arn:aws-cn:iam::123456789012:role/deploy; ARNs in"
        " eu-central-1 begin with arn:aws:.",
    ),
    (
        # docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
        {"serviceCidr": "100.64.0.0/16"},
        'platform.serviceCidr is "100.64.0.0/16": must be a private IPv4 range such as 10.20.0.0/16, from /12'
        " to /24 in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.",
    ),
    (
        {"serviceCidr": "10.20.128.0/20"},
        'platform.serviceCidr is "10.20.128.0/20": overlaps with cidr, 10.20.0.0/16: 10.20.128.0/20 must'
        " share no address with it.",
    ),
    (
        {"image": f"docker.io/serving@{DIGEST}"},
        f'platform.image is "{f"docker.io/serving@{DIGEST}"[:59]}…": must be in ECR in the platform\'s'
        " region: ACCOUNT.dkr.ecr.eu-central-1.amazonaws.com/NAME@sha256:…. Nodes, Lambda and SageMaker pull"
        " it from there.",
    ),
    (
        {"nat": "two"},
        'platform.nat is "two": must be one of: none, one, zone.',
    ),
    (
        {"kubernetesVersion": 1.35},
        'platform.kubernetesVersion is 1.35: must be a minor version in quotes, such as "1.35".',
    ),
    (
        {"kubernetesVersion": "1.32"},
        'platform.kubernetesVersion is "1.32": must be 1.33 to 1.36, which Envoy Gateway 1.9 supports;'
        " platform.gateway says whether it is installed.",
    ),
    (
        {"kubernetesVersion": "1.36", "keda": "install"},
        'platform.kubernetesVersion is "1.36": must be 1.33 to 1.35, which KEDA 2.20 supports;'
        " platform.keda says whether it is installed.",
    ),
    (
        {"logDays": 91},
        "platform.logDays is 91: must be a period that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150,"
        " 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653.",
    ),
    (
        {"alarmTopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:oncall"},
        f'platform.alarmTopicArn is "arn:aws:sns:us-east-1:{ACCOUNT}:oncall": must be in the platform\'s'
        " region, eu-central-1.",
    ),
    (
        {"kmsKeyArn": "alias/models"},
        'platform.kmsKeyArn is "alias/models": must be an ARN such as arn:aws:kms:…:key/….',
    ),
    (
        {"certificateArn": "models.example.com"},
        'platform.certificateArn is "models.example.com": must be an ARN such as'
        " arn:aws:acm:…:certificate/….",
    ),
    (
        {"apiAccess": ["0.0.0.0/0"]},
        "platform.apiAccess is a list of 1 item: has 0.0.0.0/0: /16 is the widest range that is accepted.",
    ),
    (
        {"apiAccess": ["203.0.113.7/24"]},
        "platform.apiAccess is a list of 1 item: has 203.0.113.7/24, which is not an IPv4 range such as"
        " 203.0.113.7/32.",
    ),
    (
        {"addons": {"vpc-cni": "1.20.4"}},
        'platform.addons.vpc-cni is "1.20.4": must be a version as EKS writes it, such as'
        " v1.20.4-eksbuild.2.",
    ),
    (
        {"database": {"instanceClass": "m7g.large"}},
        'platform.database.instanceClass is "m7g.large": must be an instance class of RDS, such as'
        " db.t4g.small.",
    ),
    (
        {"database": {"storageGb": 10}},
        "platform.database.storageGb is 10: must be a whole number from 20 to 10000.",
    ),
    (
        {"sagemaker": {"capturePercent": 0.1}},
        "platform.sagemaker.capturePercent is 0.1: must be a whole number from 0 to 100. It is a percentage,"
        " not a fraction.",
    ),
    (
        {"tags": {"aws:owner": "me"}},
        'platform.tags["aws:owner"] is "me": a tag\'s name has up to 128 letters, digits, spaces and + - = .'
        " _ : / @.",
    ),
    (
        {"tags": {"cost": 3}},
        "platform.tags.cost is 3: must be text of up to 256 letters, digits, spaces and + - = . _ : / @.",
    ),
    (
        {"nodes": {"cpu": {"instanceTypes": ["m7i-large"]}}},
        "platform.nodes.cpu.instanceTypes is a list of 1 item: must be a list of different EC2 instance types"
        " such as m7i.large.",
    ),
    (
        {"nodes": {"cpu": {"min": 2}}},
        "platform.nodes.cpu.instanceTypes: required, a list such as [m7i.large].",
    ),
    (
        {"nodes": {"cpu": {"instanceTypes": ["m7g.large"]}}},
        "platform.nodes.cpu.instanceTypes is a list of 1 item: has m7g.large, an Arm instance; the images are"
        " for x86-64.",
    ),
    (
        {"nodes": {"cpu": {"instanceTypes": ["g6.xlarge"]}}},
        "platform.nodes.cpu.instanceTypes is a list of 1 item: has g6.xlarge, which has a GPU; it belongs"
        " under nodes.gpu.",
    ),
    (
        {"nodes": {"gpu": {"l4": {"instanceTypes": ["m7i.large"]}}}},
        "platform.nodes.gpu.l4.instanceTypes is a list of 1 item: has m7i.large, which has no GPU that is"
        " known here.",
    ),
    (
        {"nodes": {"gpu": {"L4": {"instanceTypes": ["g6.xlarge"]}}}},
        "platform.nodes.gpu.L4 is a map of 1 key: a pool's name has up to 30 lower-case letters, digits and"
        " hyphens.",
    ),
    (
        {"nodes": {"cpu": {"instanceTypes": ["m7i.large"], "min": 4, "max": 3}}},
        "platform.nodes.cpu.max is 3: must be min, 4, or more.",
    ),
    (
        {"nodes": {"cpu": {"instanceTypes": ["m7i.large"], "min": 0}}},
        "platform.nodes.cpu.min is 0: must be a whole number from 1 to 450.",
    ),
    (
        {"regoin": "eu-central-1", "region": None},
        'platform.regoin is "eu-central-1": unknown key; accepted: ',
    ),
]


@pytest.mark.parametrize(("changed", "mistake"), WRONG, ids=[mistake[:60] for _, mistake in WRONG])
def test_a_mistake_is_told_with_its_path(changed: dict[str, Any], mistake: str) -> None:
    (found,) = mistakes(**changed)
    assert found == mistake or (mistake.endswith("accepted: ") and found.startswith(mistake))


@pytest.mark.parametrize("region", ["eu-central", "eucentral-1", "EU-central-1", "eu-central-1a", 1])
def test_a_region_is_written_as_aws_writes_it(region: Any) -> None:
    found = [text for text in mistakes(region=region) if text.startswith("platform.region")]
    assert len(found) == 1 and "must be a region as AWS writes it, such as eu-central-1" in found[0]


@pytest.mark.parametrize(
    "name",
    [
        "m7i.large",
        "c7i-flex.large",
        "t3.medium",
        "r6id.32xlarge",
        "m7a.24xlarge",
        "c5.metal",
        "x2iedn.xlarge",
    ],
)
def test_instance_types_as_ec2_writes_them(name: str) -> None:
    assert aws({**DEV, "nodes": {"cpu": {"instanceTypes": [name]}}}).nodes.cpu.instance_types == (name,)


@pytest.mark.parametrize("name", ["g4dn.xlarge", "g5.12xlarge", "g6e.xlarge", "p4d.24xlarge", "p5.48xlarge"])
def test_instance_types_with_gpus(name: str) -> None:
    platform = aws({**DEV, "nodes": {"gpu": {"some": {"instanceTypes": [name]}}}})
    assert platform.nodes.gpu["some"].instance_types == (name,)
    assert platform.nodes.cpu == Nodes().cpu


def test_all_mistakes_come_at_once() -> None:
    found = mistakes(region="x", cidr="y", nat="z", admins=[], nodes={"gpu": {"l4": {}}})
    assert [text.split(" ")[0].rstrip(":") for text in found] == [
        *("platform.admins", "platform.cidr", "platform.nat", "platform.nodes.gpu.l4.instanceTypes"),
        "platform.region",
    ]


def test_the_image_may_be_of_another_account() -> None:
    other = IMAGE.replace(ACCOUNT, "999999999999")
    assert aws({**DEV, "image": other}).cluster.image == other
