"""The platform of kind `azure`: an Azure Machine Learning workspace that is there, and its instance types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from components.environment.image import PINNED, PINNED_RULE, Flavor, parse_flavors, parse_uses_gpu
from components.environment.registered import tracking_uri
from components.environment.section import Section
from components.environment.values import Resources, Runtime

KEYS: Final = (
    "kind",
    "image",
    "imageFlavors",
    "imageUsesGpu",
    "publicAccess",
    "region",
    "registry",
    "resourceGroup",
    "subscription",
    "tags",
    "workspace",
)

_SUBSCRIPTION: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GROUP: Final = re.compile(r"[\w.()-]{0,89}[\w()-]", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{4,30}[1-9]?")
_WORKSPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}")
_TAG: Final = re.compile(r"[^<>%&\\?/\s]{1,128}")
_MOST_TAGS: Final = 40
"""Azure takes 50 of a resource; the rest are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzurePlatform:
    """A workspace of Azure Machine Learning. It is named, not made: with its network, registry and storage
    it is an organisation's, not one program's."""

    runtimes: ClassVar[tuple[Runtime, ...]] = ("azure-ml",)
    gpus: ClassVar[bool] = True
    has_keda: ClassVar[bool] = False
    has_prometheus: ClassVar[bool] = False

    kind: Literal["azure"] = "azure"
    subscription: str
    """The subscription's id: nothing is declared in another one by mistake."""
    resource_group: str
    """The workspace's resource group."""
    region: str
    workspace: str
    image: str
    """The model server's image by its digest, in the workspace's own container registry."""
    registry: str
    """The MLflow tracking URI at which releases are looked up, and from which servers fetch artifacts."""
    image_uses_gpu: bool = False
    """Whether the image runs models on a GPU: it has onnxruntime-gpu and CUDA."""
    image_flavors: tuple[Flavor, ...] | None = None
    """What the image serves; None: all that the model server serves."""
    public_access: bool = False
    """Whether the endpoints answer from the internet too, callers with a token alone."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def uses_gpus(self) -> bool:
        """Whether the model server's image runs models on a GPU."""
        return self.image_uses_gpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance type of managed online endpoints."""

    name: str
    cores: int
    gib: int
    gpus: int = 0


# From small to large.
_INSTANCES: Final = (
    Instance(name="Standard_F2s_v2", cores=2, gib=4),
    Instance(name="Standard_DS2_v2", cores=2, gib=7),
    Instance(name="Standard_F4s_v2", cores=4, gib=8),
    Instance(name="Standard_DS3_v2", cores=4, gib=14),
    Instance(name="Standard_F8s_v2", cores=8, gib=16),
    Instance(name="Standard_DS4_v2", cores=8, gib=28),
    Instance(name="Standard_F16s_v2", cores=16, gib=32),
    Instance(name="Standard_DS5_v2", cores=16, gib=56),
    Instance(name="Standard_F32s_v2", cores=32, gib=64),
    Instance(name="Standard_F72s_v2", cores=72, gib=144),
    Instance(name="Standard_NC4as_T4_v3", cores=4, gib=28, gpus=1),
    Instance(name="Standard_NC8as_T4_v3", cores=8, gib=56, gpus=1),
    Instance(name="Standard_NC16as_T4_v3", cores=16, gib=110, gpus=1),
    Instance(name="Standard_NC64as_T4_v3", cores=64, gib=440, gpus=4),
)


def azure_instance(resources: Resources) -> Instance | None:
    """The smallest instance type that has what is asked, with GPUs only if asked; None if none has."""
    for instance in _INSTANCES:
        enough = instance.cores >= resources.cpu and instance.gib * 1024 >= resources.mebibytes
        if enough and instance.gpus >= resources.gpu and bool(instance.gpus) == bool(resources.gpu):
            return instance
    return None


def judge_azure(resources: Resources, model: Section) -> None:
    """Note what no instance type has of what a model asks."""
    if azure_instance(resources) is not None:
        return
    most = [instance for instance in _INSTANCES if bool(instance.gpus) == bool(resources.gpu)][-1]
    gpus = f"{most.gpus} GPUs, " if most.gpus else ""
    model.problem(
        "resources",
        f"more than an instance of Azure ML has; the largest has {gpus}{most.cores} cores, {most.gib}Gi",
    )


def parse_azure(section: Section) -> AzurePlatform | None:
    """Understand the keys of the kind `azure`; None if a required one is missing or wrong."""
    section.require("subscription", "the subscription's id, such as 01234567-89ab-cdef-0123-456789abcdef")
    section.require("resourceGroup", "the workspace's resource group")
    section.require("region", "the workspace's region, such as westeurope")
    section.require("workspace", "the name of an Azure Machine Learning workspace")
    section.require("image", "the model server's image, pinned by its digest")
    section.require("registry", "an MLflow tracking URI such as https://mlflow.example.com")
    subscription = section.matching(
        "subscription",
        _SUBSCRIPTION,
        "must be a subscription's id, such as 01234567-89ab-cdef-0123-456789abcdef",
    )
    group = section.matching("resourceGroup", _GROUP, "must be the name of a resource group")
    region = section.matching("region", _REGION, "must be a region as Azure writes it, such as westeurope")
    workspace = section.matching(
        "workspace", _WORKSPACE, "must be a workspace's name: 3 to 33 letters, digits, hyphens, underscores"
    )
    image = section.matching("image", PINNED, PINNED_RULE)
    if image and not re.fullmatch(r"[a-z0-9]{5,50}\.azurecr\.io", image.split("/")[0]):
        section.problem(
            "image",
            "must be in the workspace's container registry: NAME.azurecr.io/…@sha256:…",
            "An endpoint's identity may pull from there alone.",
        )
    uses_gpus = parse_uses_gpu(section, image)
    flavors = parse_flavors(section, image)
    registry = tracking_uri(section)
    public = section.flag("publicAccess")
    tags = _tags(section)
    if not (subscription and group and region and workspace and image and registry):
        return None
    return AzurePlatform(
        subscription=subscription,
        resource_group=group,
        region=region,
        workspace=workspace,
        image=image,
        image_uses_gpu=uses_gpus,
        image_flavors=flavors,
        registry=registry,
        public_access=public or False,
        tags=tags,
    )


def _tags(platform: Section) -> Mapping[str, str]:
    section = platform.section("tags", accepted=platform.names("tags"), example="{cost-centre: ml}")
    if section is None:
        return {}
    if len(section.values) > _MOST_TAGS:
        platform.problem("tags", f"must have at most {_MOST_TAGS} tags")
    found: dict[str, str] = {}
    for name in section.values:
        if not _TAG.fullmatch(name):
            section.problem(
                name, "a tag's name has up to 128 characters, none of them a space or < > % & \\ ? /"
            )
        elif (text := section.line(name, 256)) is not None:
            found[name] = text
    return found
