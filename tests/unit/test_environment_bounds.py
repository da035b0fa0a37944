"""The edges of what a file may say: numbers at their limits and past them, defaults, examples in mistakes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from components.environment import AwsPlatform, ConfigError, GcpPlatform, parse
from components.environment.aws import Pool as AwsPool
from components.environment.gcp import Pool as GcpPool
from tests.unit import aws, gcp

KUBERNETES: dict[str, Any] = {
    "kind": "kubernetes",
    "context": "prod",
    "image": f"registry.example.com/serving@sha256:{'a' * 64}",
    "imageUsesGpu": True,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
    "keda": "install",
    "gpu": "install",
}
PLATFORMS: dict[str, dict[str, Any]] = {
    "aws": aws.DEV,
    "gcp": {**gcp.DEV, "podCidr": "10.64.0.0/11"},  # room for the largest pools
    "kubernetes": KUBERNETES,
    "local": {"kind": "local"},
}
EKS = {"instanceTypes": ["m7i.large"], "min": 1, "max": 450}
EKS_GPU = {"instanceTypes": ["g6.xlarge"], "min": 0, "max": 450}
GKE = {"machineType": "n2-standard-4", "min": 1, "max": 1000}
GKE_GPU = {"machineType": "g2-standard-8", "min": 0, "max": 1000}
PRICES = {"cpu": 1, "memory": 1}


def problems(kind: str, path: str, value: Any, around: dict[str, Any] | None = None) -> list[str]:
    """The mistakes of a small file with one value set at a path; `around` is the map that it stands in."""
    models: dict[str, Any] = {"churn": {"stable": {"version": 3}}}
    says: dict[str, Any] = {"platform": copy.deepcopy(PLATFORMS[kind]), "models": models}
    *parents, last = path.split(".")
    found = says
    for index, key in enumerate(parents):
        found = found.setdefault(key, copy.deepcopy(around or {}) if index == len(parents) - 1 else {})
    found[last] = value
    try:
        parse(says["platform"], says["models"])
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


BOUNDS: list[tuple[str, str, float, float, dict[str, Any]]] = [
    ("aws", "platform.nodes.cpu.min", 1, 450, EKS),
    # A node group in each of two zones.
    ("aws", "platform.nodes.cpu.max", 2, 450, EKS),
    ("aws", "platform.nodes.cpu.diskGb", 20, 2000, EKS),
    ("aws", "platform.nodes.gpu.l4.min", 0, 450, EKS_GPU),
    ("aws", "platform.nodes.gpu.l4.max", 1, 450, EKS_GPU),
    ("aws", "platform.nodes.gpu.l4.diskGb", 20, 2000, EKS_GPU),
    ("aws", "platform.database.storageGb", 20, 10_000, {}),
    ("aws", "platform.sagemaker.capturePercent", 0, 100, {}),
    ("aws", "platform.logDays", 1, 3653, {}),
    ("gcp", "platform.nodes.cpu.min", 1, 1000, GKE),
    ("gcp", "platform.nodes.cpu.max", 1, 1000, GKE),
    ("gcp", "platform.nodes.cpu.diskGb", 20, 2000, GKE),
    ("gcp", "platform.nodes.gpu.l4.min", 0, 1000, GKE_GPU),
    ("gcp", "platform.nodes.gpu.l4.max", 1, 1000, GKE_GPU),
    ("gcp", "platform.nodes.gpu.l4.diskGb", 20, 2000, GKE_GPU),
    ("gcp", "platform.database.storageGb", 10, 10_000, {}),
    ("gcp", "platform.logDays", 1, 3650, {}),
    ("kubernetes", "platform.prices.cpu", 0, 10_000, PRICES),
    ("kubernetes", "platform.prices.memory", 0, 10_000, PRICES),
    ("kubernetes", "platform.prices.gpu", 0, 100_000, PRICES),
    ("kubernetes", "models.churn.resources.cpu", 0.1, 256, {}),
    ("kubernetes", "models.churn.resources.gpu", 0, 16, {}),
    ("kubernetes", "models.churn.autoscaling.min", 0, 1000, {}),
    ("kubernetes", "models.churn.autoscaling.max", 1, 1000, {}),
    ("kubernetes", "models.churn.autoscaling.requestsPerSecond", 1, 100_000, {}),
    ("kubernetes", "models.churn.canary.weight", 0, 100, {"version": 4}),
    ("kubernetes", "models.churn.canary.version", 1, 2**31 - 1, {"weight": 1}),
    ("local", "platform.ports.gateway", 1024, 65535, {}),
]


@pytest.mark.parametrize(
    ("kind", "path", "low", "high", "around"), BOUNDS, ids=[f"{kind}-{path}" for kind, path, *_ in BOUNDS]
)
def test_a_number_may_be_at_its_limits_and_not_past_them(
    kind: str, path: str, low: float, high: float, around: dict[str, Any]
) -> None:
    for value in (low, high):
        assert problems(kind, path, value, around) == []
    step = 1 if isinstance(low, int) else 0.001
    for value in (low - step, high + step):
        told = [text for text in problems(kind, path, value, around) if text.startswith(f"{path} is ")]
        assert len(told) == 1 and f" number from {low} to {high}" in told[0]


@pytest.mark.parametrize(
    "path",
    ["models.churn.canary.weight", "models.churn.autoscaling.gpuUtilization"],
)
def test_a_percentage_is_no_fraction(path: str) -> None:
    assert f"{path} is 0.7: must be a whole number from" in (
        told := "\n".join(problems("kubernetes", path, 0.7))
    )
    assert "It is a percentage, not a fraction." in told


@pytest.mark.parametrize(
    ("kind", "runtime", "least", "most"),
    [
        ("local", "local", 1, 1),
        ("kubernetes", "kubernetes", 1, 1),
        ("aws", "sagemaker", 1, 1),
        ("aws", "lambda", 0, 1000),
        ("gcp", "cloud-run", 0, 100),
    ],
)
def test_servers_have_defaults(kind: str, runtime: str, least: int, most: int) -> None:
    blocks: dict[str, Any] = {"plain": {}, "empty": {"autoscaling": {}}}
    models = {name: {"runtime": runtime, "stable": {"version": 3}, **block} for name, block in blocks.items()}
    for model in parse(PLATFORMS[kind], models).models:
        assert (model.autoscaling.min, model.autoscaling.max) == (least, most)


def test_pools_of_nodes_have_defaults() -> None:
    eks = {"cpu": {"instanceTypes": ["m7i.large"]}, "gpu": {"l4": {"instanceTypes": ["g6.xlarge"]}}}
    found = parse({**aws.DEV, "nodes": eks}, {}).platform
    assert isinstance(found, AwsPlatform)
    assert found.nodes.cpu == AwsPool(
        instance_types=("m7i.large",), min=2, max=2, spot=False, disk_gb=50
    ) and found.nodes.gpu["l4"] == AwsPool(
        instance_types=("g6.xlarge",), min=0, max=1, spot=False, disk_gb=100
    )
    gke = {"cpu": {"machineType": "n2-standard-4"}, "gpu": {"l4": {"machineType": "g2-standard-8"}}}
    google = parse({**gcp.DEV, "nodes": gke}, {}).platform
    assert isinstance(google, GcpPlatform)
    assert google.nodes.cpu == GcpPool(
        machine_type="n2-standard-4", min=2, max=2, spot=False, disk_gb=50
    ) and google.nodes.gpu["l4"] == GcpPool(
        machine_type="g2-standard-8", min=0, max=1, spot=False, disk_gb=100
    )


@pytest.mark.parametrize(("kind", "pool"), [("aws", EKS), ("gcp", GKE)])
def test_a_pool_that_says_only_its_most_starts_with_two(kind: str, pool: dict[str, Any]) -> None:
    around = {key: value for key, value in pool.items() if key != "min"}
    assert problems(kind, "platform.nodes.cpu.max", 2, around) == []
    least = {
        "aws": "a whole number from 2 to 450",
        "gcp": "min, 2, or more",
    }[kind]
    assert problems(kind, "platform.nodes.cpu.max", 1, around) == [
        f"platform.nodes.cpu.max is 1: must be {least}."
    ]


MAPS = [
    *((kind, "platform.tracking") for kind in ("aws", "gcp", "kubernetes")),
    *(("kubernetes", f"platform.{key}") for key in ("gateway", "prices", "tracking.access")),
    *(("aws", f"platform.{key}") for key in ("addons", "database", "nodes", "sagemaker", "tags")),
    *(("gcp", f"platform.{key}") for key in ("cloudRun", "database", "labels", "nodes")),
    *((kind, f"platform.nodes.{key}") for kind in ("aws", "gcp") for key in ("cpu", "gpu", "gpu.l4")),
    *(("local", f"{key}") for key in ("platform.ports", "models.churn.canary", "models.churn.autoscaling")),
    *(("kubernetes", f"models.churn{key}") for key in ("", ".stable", ".resources", ".autoscaling")),
]


@pytest.mark.parametrize(("kind", "path"), MAPS, ids=[f"{kind}-{path}" for kind, path in MAPS])
def test_what_is_no_map_is_told_by_an_example_that_has_the_keys(kind: str, path: str) -> None:
    around = {"image": KUBERNETES["image"]} if path.endswith("access") else {}
    (told,) = [text for text in problems(kind, path, 3, around) if text.startswith(f"{path} is 3: ")]
    before, _, example = told.removesuffix(".").partition("must be a map such as ")
    assert before == f"{path} is 3: "
    shown = yaml.safe_load(example.replace(", …}", "}"))
    assert isinstance(shown, dict) and shown
    assert [text for text in problems(kind, path, shown, around) if "unknown key" in text] == []


def test_labels_of_an_image_that_are_no_map_are_told_by_an_example() -> None:
    build = {"base": KUBERNETES["image"], "repository": "registry.example.com/serving", "labels": 3}
    with pytest.raises(ConfigError, match=r"image\.build\.labels is 3: must be a map such as \{team: ml\}\."):
        parse({**KUBERNETES, "image": {"build": build}}, {})
