"""What a stack may take: graphics processors, money, and nothing without the tags that say whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy import cost, prices
from policy.references import soc2
from policy.rule import Case, Finding, Resource, Rule, Severity, UndecidedError, Unknown
from policy.rules.pods import TEMPLATES, containers
from policy.rules.values import as_map

STACK: Final = "pulumi:pulumi:Stack"
INSTANCE: Final = "aws:ec2/instance:Instance"
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
NODE_POOL: Final = "gcp:container/nodePool:NodePool"
ENDPOINT_CONFIGURATION: Final = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
SCALING_TARGET: Final = "aws:appautoscaling/target:Target"
HPA: Final = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
_GPU_FAMILY: Final = re.compile(r"(ml\.)?((?:g|p|gr)\d\w*?)\.(\d*x?large|\d+xlarge|metal)")
_SEVERAL: Final[Mapping[str, int]] = {
    # Instance types of AWS with more than one GPU.
    **dict.fromkeys(("g4dn.12xlarge", "g5.12xlarge", "g5.24xlarge", "g6.12xlarge", "g6.24xlarge"), 4),
    **dict.fromkeys(("g6e.12xlarge", "g6e.24xlarge", "p3.8xlarge", "g4ad.16xlarge"), 4),
    **dict.fromkeys(("g4dn.metal", "g5.48xlarge", "g6.48xlarge", "g6e.48xlarge", "p3.16xlarge"), 8),
    **dict.fromkeys(("p3dn.24xlarge", "p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge", "p5e.48xlarge"), 8),
    **dict.fromkeys(("p5en.48xlarge", "p6-b200.48xlarge"), 8),
    "g4ad.8xlarge": 2,
}
_TAGGED: Final = frozenset(
    f"aws:{name}"
    for name in (
        "apigatewayv2/api:Api",
        "cloudwatch/logGroup:LogGroup",
        "dynamodb/table:Table",
        "ec2/instance:Instance",
        "ec2/launchTemplate:LaunchTemplate",
        "ec2/vpc:Vpc",
        "ecr/repository:Repository",
        "eks/cluster:Cluster",
        "eks/nodeGroup:NodeGroup",
        "kms/key:Key",
        "lambda/function:Function",
        "lb/loadBalancer:LoadBalancer",
        "rds/instance:Instance",
        "s3/bucket:Bucket",
        "s3/bucketV2:BucketV2",
        "sagemaker/endpoint:Endpoint",
        "sagemaker/model:Model",
        "secretsmanager/secret:Secret",
    )
)

_LABELLED: Final[Mapping[str, str]] = {
    f"gcp:{name}": key
    for key, names in {
        "labels": (
            "artifactregistry/repository:Repository",
            "bigquery/dataset:Dataset",
            "cloudrunv2/job:Job",
            "cloudrunv2/service:Service",
            "compute/forwardingRule:ForwardingRule",
            "compute/instance:Instance",
            "kms/cryptoKey:CryptoKey",
            "pubsub/topic:Topic",
            "secretmanager/secret:Secret",
            "storage/bucket:Bucket",
        ),
        "resourceLabels": ("container/cluster:Cluster",),
        "nodeConfig.resourceLabels": ("container/nodePool:NodePool",),
        "settings.userLabels": ("sql/databaseInstance:DatabaseInstance",),
    }.items()
    for name in names
}
"""Where a type of Google Cloud has its labels."""
# The provider's own labels go to none of these.
_WITHOUT_DEFAULTS: Final = ("nodeConfig.resourceLabels", "settings.userLabels")


def gpus_of(instance_type: str) -> int:
    """The GPUs of an instance type of AWS, 0 for one without."""
    plain = instance_type.removeprefix("ml.")
    if plain in _SEVERAL:
        return _SEVERAL[plain]
    return 1 if _GPU_FAMILY.fullmatch(instance_type) else 0


def _machines(case: Case) -> Iterator[tuple[str, int]]:
    """What scales and has GPUs, with how many it has at the most."""
    for group in case.others(NODE_GROUP):
        each = max((gpus_of(str(kind)) for kind in group.items("instanceTypes")), default=0)
        yield group.name, each * int(group.value("scalingConfig.maxSize", 0))
    for machine in case.others(INSTANCE):
        yield machine.name, gpus_of(str(machine.value("instanceType", "")))
    for pool in case.others(NODE_POOL):
        accelerators = cast("Sequence[Mapping[str, Any]]", pool.items("nodeConfig.guestAccelerators"))
        each = sum(int(one.get("count") or 0) for one in accelerators)
        most = pool.value("autoscaling.totalMaxNodeCount")
        if most is None:
            zones = max(len(pool.items("nodeLocations")), 1)
            most = pool.value("autoscaling.maxNodeCount", pool.value("nodeCount", 0)) * zones
        yield pool.name, each * int(most)
    targets = {t.value("resourceId"): int(t.value("maxCapacity", 0)) for t in case.others(SCALING_TARGET)}
    for configuration in case.others(ENDPOINT_CONFIGURATION):
        for variant in cast("Sequence[Mapping[str, Any]]", configuration.items("productionVariants")):
            each = gpus_of(str(variant.get("instanceType") or ""))
            count = int(variant.get("initialInstanceCount") or 1)
            scaled = [
                most for key, most in targets.items() if str(key).endswith(f"/{variant.get('variantName')}")
            ]
            yield configuration.name, each * max([count, *scaled])


def _pods(case: Case) -> Iterator[tuple[str, int]]:
    scalers = {
        scaler.value("spec.scaleTargetRef.name"): int(scaler.value("spec.maxReplicas", 1))
        for scaler in case.others(HPA)
    }
    for workload in case.others(*TEMPLATES):
        name = workload.value("metadata.name", workload.name)
        most = scalers.get(name) or int(workload.value("spec.replicas", 1))
        each = sum(
            int(as_map(c.at("resources", "limits")).get("nvidia.com/gpu") or 0) for c in containers(workload)
        )
        yield workload.name, each * most


def _gpus(case: Case) -> Iterator[Finding]:
    machines = [(name, count) for name, count in _machines(case) if count]
    # Pods run on the machines: they are counted where the machines are another stack's.
    found = machines or [(name, count) for name, count in _pods(case) if count]
    total = sum(count for _, count in found)
    if total > case.settings.max_gpus:
        parts = ", ".join(f"{name} {count}" for name, count in sorted(found))
        yield Finding(
            message=f"the stack may take {total} GPUs, {case.settings.max_gpus} are allowed: {parts}",
        )


def _cost(case: Case) -> Iterator[Finding]:
    table = prices.load()
    estimate = cost.monthly(
        (cost.Item(type=one.type, name=one.name, inputs=one.properties) for one in case.stack), table
    )
    ceiling = case.settings.monthly_cost
    if estimate.total > ceiling:
        dearest = sorted(estimate.lines.items(), key=lambda line: (-line[1], line[0]))[:3]
        parts = ", ".join(f"{name.rpartition('::')[2]} {amount:,.0f}" for name, amount in dearest)
        yield Finding(
            message=f"the stack costs {estimate.total:,.0f} {table.currency} a month while it stands, "
            f"{ceiling:,.0f} are allowed (list prices of {table.date}); most of it: {parts}"
        )
        return
    for one in case.stack:
        # What has no price because its size isn't known yet may be what is too much.
        missing = one.id in estimate.unpriced and cost.charged(one.type, table) == "time"
        if missing and (unknown := _unknown(one.properties)):
            raise UndecidedError(f"{unknown} of {one.id}")


def _unknown(value: object, path: str = "") -> str:
    """The path of the first value below another that isn't known; empty: there is none."""
    if isinstance(value, Unknown):
        return path
    inner: Iterator[tuple[str, object]] = iter(())
    if isinstance(value, Mapping):
        inner = (
            (f"{path}.{key}" if path else key, one)
            for key, one in cast("Mapping[str, object]", value).items()
        )
    elif isinstance(value, list):
        inner = ((f"{path}[{index}]", one) for index, one in enumerate(cast("list[object]", value)))
    return next((found for at, one in inner if (found := _unknown(one, at))), "")


def _tags_of(resource: Resource) -> set[str]:
    """The keys of a resource's tags; on Google Cloud of its labels."""
    if at := _LABELLED.get(resource.type):
        found = set(as_map(resource.value(at, {})))
        return (
            found if at in _WITHOUT_DEFAULTS else found | set(as_map(resource.provider.get("defaultLabels")))
        )
    defaults = as_map(as_map(resource.provider.get("defaultTags")).get("tags"))
    return set(resource.value("tags", {})) | set(resource.value("tagsAll", {})) | set(defaults)


def _tags(case: Case) -> Iterator[Finding]:
    if not case.settings.required_tags:
        return
    missing = [tag for tag in case.settings.required_tags if tag not in _tags_of(case.resource)]
    if missing:
        word = "label" if case.resource.type in _LABELLED else "tag"
        yield Finding(message=f"{case.resource.id}: it has no {word} {', '.join(missing)}")


RULES: Final = (
    Rule(
        id="required-tags",
        title="Resources have the tags, or labels, that say whose they are",
        severity=Severity.LOW,
        references=(soc2("CC6.1"),),
        why="What nobody is named for is paid by nobody, and cleaned up by nobody.",
        fix="add them to platform.tags in the environment's file, on Google Cloud to platform.labels",
        types=_TAGGED | _LABELLED.keys(),
        check=_tags,
    ),
    Rule(
        id="gpu-ceiling",
        title="A stack takes no more GPUs than it may",
        severity=Severity.MEDIUM,
        why="A wrong maximum costs thousands a day, and is noticed at the end of the month.",
        fix="lower the maximum of the pools, or raise maxGpus in policy/enforcement.yaml",
        types=frozenset({STACK}),
        check=_gpus,
        whole_stack=True,
    ),
    Rule(
        id="monthly-cost",
        title="A stack costs no more a month than it may",
        severity=Severity.MEDIUM,
        why="What is declared costs money from the apply on; the bill comes at the end of the month.",
        fix="take smaller machines or fewer of them, or raise monthlyCost in policy/enforcement.yaml",
        types=frozenset({STACK}),
        check=_cost,
        whole_stack=True,
    ),
)
