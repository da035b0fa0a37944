"""What Lambda and SageMaker can give a model of what it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.environment.aws import AwsPlatform
from components.environment.image import ImageBuild
from components.environment.section import Section
from components.environment.values import Canary, Resources, Runtime

MOST_LAMBDA_MEMORY: Final = 10_240
_MEMORY_A_CORE: Final = 1769
"""MiB: Lambda gives a function one core for as much memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance type of SageMaker."""

    name: str
    cores: int
    gib: int
    gpus: int = 0


def _general(size: str, cores: int) -> Instance:
    return Instance(name=f"ml.m5.{size}", cores=cores, gib=4 * cores)


def _graphics(size: str, cores: int, gpus: int) -> Instance:
    return Instance(name=f"ml.g5.{size}", cores=cores, gib=4 * cores, gpus=gpus)


# From small to large.
_INSTANCES: Final = (
    _general("large", 2),
    _general("xlarge", 4),
    _general("2xlarge", 8),
    _general("4xlarge", 16),
    _general("12xlarge", 48),
    _general("24xlarge", 96),
    _graphics("xlarge", 4, 1),
    _graphics("2xlarge", 8, 1),
    _graphics("4xlarge", 16, 1),
    _graphics("8xlarge", 32, 1),
    _graphics("16xlarge", 64, 1),
    _graphics("12xlarge", 48, 4),
    _graphics("24xlarge", 96, 4),
    _graphics("48xlarge", 192, 8),
)


def lambda_memory(resources: Resources) -> int:
    """The memory in MiB that gives a function what is asked: its cores come with its memory."""
    return max(resources.mebibytes, round(resources.cpu * _MEMORY_A_CORE))


def sagemaker_instance(resources: Resources) -> Instance | None:
    """The smallest instance type that has what is asked, with GPUs only if asked; None if none has."""
    for instance in _INSTANCES:
        enough = instance.cores >= resources.cpu and instance.gib * 1024 >= resources.mebibytes
        if enough and instance.gpus >= resources.gpu and bool(instance.gpus) == bool(resources.gpu):
            return instance
    return None


def judge_aws(
    runtime: Runtime,
    platform: AwsPlatform,
    canary: Canary | None,
    resources: Resources,
    model: Section,
) -> None:
    """Note what Lambda and SageMaker haven't got of what a model asks."""
    if runtime == "lambda":
        _judge_lambda(platform, resources, model)
    elif runtime == "sagemaker":
        _judge_sagemaker(platform, canary, resources, model)


def _judge_lambda(platform: AwsPlatform, resources: Resources, model: Section) -> None:
    image = platform.cluster.image
    if isinstance(image, ImageBuild) and image.adapter is None:
        model.problem(
            "runtime",
            "Lambda needs its Web Adapter in the image",
            "Name it in platform.image.build.adapter, by its digest.",
        )
    if lambda_memory(resources) > MOST_LAMBDA_MEMORY:
        key = "memory" if resources.mebibytes > MOST_LAMBDA_MEMORY else "cpu"
        model.inner("resources").problem(
            key, "too much for Lambda: 10240Mi is the most, and 5.788 cores come with that"
        )


def _judge_sagemaker(
    platform: AwsPlatform, canary: Canary | None, resources: Resources, model: Section
) -> None:
    if canary and canary.shadow and platform.sagemaker.auto_rollback:
        model.inner("canary").problem(
            "shadow",
            "not with platform.sagemaker.autoRollback: it asks for two answering variants at all times, and"
            " SageMaker takes only one beside a shadow",
            "Turn that off, or give the canary a weight.",
        )
    if isinstance(platform.cluster.image, str) and platform.sagemaker.image is None:
        model.problem(
            "runtime",
            "SageMaker asks for a container that runs as root, which platform.image doesn't",
            "Name the image for SageMaker in platform.sagemaker.image, by its digest.",
        )
    if sagemaker_instance(resources) is None:
        most = [instance for instance in _INSTANCES if bool(instance.gpus) == bool(resources.gpu)][-1]
        gpus = f"{most.gpus} GPUs, " if most.gpus else ""
        model.problem(
            "resources",
            f"more than a SageMaker instance has; the largest has {gpus}{most.cores} cores, {most.gib}Gi",
        )
