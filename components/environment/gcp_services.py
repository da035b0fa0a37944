"""What Google's machine types and Cloud Run can give a model of what it asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from components.environment.section import Section
from components.environment.values import Resources, Runtime

GPU_REGIONS: Final = (
    "asia-south1",
    "asia-southeast1",
    "europe-west1",
    "europe-west4",
    "us-central1",
    "us-east4",
)
"""Where Cloud Run has NVIDIA L4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """The GPUs that a machine type brings."""

    type: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What an instance of a service on Cloud Run has."""

    cpu: int
    mebibytes: int
    gpu: int = 0


# Cores of a machine type with L4, and how many GPUs come with them.
_L4: Final = {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}
_BY_NAME: Final = (
    (re.compile(r"a2-highgpu-([1248])g"), "nvidia-tesla-a100"),
    (re.compile(r"a2-mega(?:gpu)-(16)g"), "nvidia-tesla-a100"),
    (re.compile(r"a2-ultragpu-([1248])g"), "nvidia-a100-80gb"),
    (re.compile(r"a3-(?:highgpu|edgegpu)-([1248])g"), "nvidia-h100-80gb"),
    (re.compile(r"a3-megagpu-(8)g"), "nvidia-h100-mega-80gb"),
    (re.compile(r"a3-ultragpu-(8)g"), "nvidia-h200-141gb"),
)

# Cores that Cloud Run has, each with the least and the most memory in MiB that goes with it.
_CORES: Final = ((1, 512, 4096), (2, 512, 8192), (4, 2048, 16_384), (6, 4096, 24_576), (8, 4096, 32_768))
# Cloud Run gives a GPU to no smaller instance.
_WITH_GPU: Final = (4, 16_384)


def accelerator(machine_type: str) -> Accelerator | None:
    """The GPUs that come with a machine type; None if it has none that is known here."""
    if found := re.fullmatch(r"g2-standard-([0-9]+)", machine_type):
        count = _L4.get(int(found[1]))
        return Accelerator(type="nvidia-l4", count=count) if count else None
    for pattern, name in _BY_NAME:
        if found := pattern.fullmatch(machine_type):
            return Accelerator(type=name, count=int(found[1]))
    return None


def cloud_run_container(resources: Resources) -> Container | None:
    """The smallest instance of Cloud Run that has what is asked: cores and memory bound each other; None if
    none has."""
    if resources.gpu > 1:
        return None
    cores, memory = resources.cpu, resources.mebibytes
    if resources.gpu:
        cores, memory = max(cores, _WITH_GPU[0]), max(memory, _WITH_GPU[1])
    for cpu, least, most in _CORES:
        if cpu >= cores and most >= memory:
            return Container(cpu=cpu, mebibytes=max(memory, least), gpu=resources.gpu)
    return None


def judge_gcp(runtime: Runtime, region: str, resources: Resources, model: Section) -> None:
    """Note what Cloud Run hasn't got of what a model asks. `region` is the platform's."""
    if runtime != "cloud-run":
        return
    section = model.inner("resources")
    if resources.gpu > 1:
        section.problem("gpu", "too many for Cloud Run: an instance has one")
    elif cloud_run_container(resources) is None:
        model.problem("resources", "more than an instance of Cloud Run has; the largest has 8 cores, 32Gi")
    if resources.gpu and region not in GPU_REGIONS:
        section.problem("gpu", f"Cloud Run has no GPU in {region}; it has in {', '.join(GPU_REGIONS)}")
