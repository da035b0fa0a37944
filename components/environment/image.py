"""The images of the model server and of MLflow: one that exists, by its digest, or one that the program
builds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from components.environment.section import Section

PINNED: Final = re.compile(
    r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([-._a-z0-9]*[a-z0-9])?)*"
    r"(:[A-Za-z0-9_][-._A-Za-z0-9]{0,127})?@sha256:[0-9a-f]{64}"
)
"""A container image by its digest."""
PINNED_RULE: Final = (
    "must be an image pinned by its digest, such as registry.example.com/serving@sha256:<64 hex>"
)

_RULE: Final = f"{PINNED_RULE}, or {{build: {{base: …}}}}"
_KEYS: Final = ("base", "labels", "platforms", "source")
_SERVING_KEYS: Final = (*_KEYS, "adapter", "flavors", "sagemaker")
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([-._a-z0-9]*[a-z0-9])?)+"
)
_LABEL: Final = re.compile(r"[a-z0-9]([-._/a-z0-9]{0,126}[a-z0-9])?")

Architecture = Literal["linux/amd64", "linux/arm64"]
Flavor = Literal["onnx", "sklearn"]
"""A flavour of models, as MLflow names it."""
FLAVORS: Final[tuple[Flavor, ...]] = ("onnx", "sklearn")
"""All that the model server serves."""
_FLAVORS_RULE: Final = f"must be a list of different flavours: {', '.join(FLAVORS)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """An image that the program builds from the checkout and pushes."""

    base: str
    """A slim Python image by its digest."""
    platforms: tuple[Architecture, ...] = ("linux/amd64",)
    source: str = ""
    """Where the source is, for the label `org.opencontainers.image.source`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels beside those of the Dockerfile."""
    repository: str | None = None
    """Where it is pushed, without a tag; None: into the platform's own registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild(Build):
    """A build of the model server's image. Its base has the minor version of Python that models are trained
    with."""

    adapter: str | None = None
    """AWS' Lambda Web Adapter by its digest; None: an image for everything but Lambda."""
    flavors: tuple[Flavor, ...] = FLAVORS
    """What it serves: it has the packages of these flavours alone."""
    sagemaker: bool = False
    """Whether the image for SageMaker is built too where no model of the stack runs there."""


def parse_image(platform: Section, *, has_registry: bool) -> str | ImageBuild | None:
    """Understand the key `image` of a platform; None if it is absent or wrong.

    A platform that has no registry of its own must be told the repository of a build.
    """
    build = _opened(platform, _SERVING_KEYS, has_registry=has_registry)
    if build is None or isinstance(build, str):
        return build
    adapter = build.matching("adapter", PINNED, PINNED_RULE)
    flavors = build.texts("flavors", re.compile("|".join(FLAVORS)), _FLAVORS_RULE)
    sagemaker = build.flag("sagemaker")
    common = _common(build, has_registry=has_registry, example="registry.example.com/serving")
    if common is None:
        return None
    return ImageBuild(
        base=common.base,
        adapter=adapter,
        flavors=_sorted(flavors),
        sagemaker=sagemaker or False,
        platforms=common.platforms,
        source=common.source,
        labels=common.labels,
        repository=common.repository,
    )


def parse_tracking_image(tracking: Section, *, has_registry: bool) -> str | Build | None:
    """Understand the key `image` of `tracking`; None if it is absent or wrong."""
    build = _opened(tracking, _KEYS, has_registry=has_registry)
    if build is None or isinstance(build, str):
        return build
    return _common(build, has_registry=has_registry, example="registry.example.com/mlflow")


def parse_flavors(platform: Section, image: str | ImageBuild | None) -> tuple[Flavor, ...] | None:
    """Understand the key `imageFlavors`, which says what an image that exists serves; None: every flavour."""
    flavors = platform.texts("imageFlavors", re.compile("|".join(FLAVORS)), _FLAVORS_RULE)
    if isinstance(image, ImageBuild):
        if flavors:
            platform.problem(
                "imageFlavors",
                "not for an image that is built here",
                "Write them as platform.image.build.flavors.",
            )
        flavors = image.flavors
    found = _sorted(flavors)
    return None if found == FLAVORS else found


def parse_uses_gpu(platform: Section, image: str | ImageBuild | None) -> bool:
    """Understand the key `imageUsesGpu`, which is for an image of one's own."""
    uses = platform.flag("imageUsesGpu") or False
    if uses and isinstance(image, ImageBuild):
        platform.problem(
            "imageUsesGpu",
            "not for an image that is built here: it has onnxruntime for CPUs",
            "Name an image of your own with onnxruntime-gpu, by its digest, as platform.image.",
        )
    return uses


def _opened(above: Section, keys: tuple[str, ...], *, has_registry: bool) -> Section | str | None:
    """Take the image that a map names, or open its build."""
    if not isinstance(above.values.get("image"), Mapping):
        return above.matching("image", PINNED, _RULE)
    image = above.section("image", accepted=("build",), example="{build: {base: …}}")
    if image is None:
        return None
    image.require("build", "a map such as {base: …@sha256:<64 hex>}")
    accepted = keys if has_registry else (*keys, "repository")
    return image.section("build", accepted=accepted, example="{base: …@sha256:<64 hex>}")


def _common(build: Section, *, has_registry: bool, example: str) -> Build | None:
    """Understand what every build has."""
    build.require("base", "a slim Python image by its digest, such as python:3.12-slim@sha256:<64 hex>")
    base = build.matching("base", PINNED, PINNED_RULE)
    names = build.texts(
        "platforms",
        re.compile("linux/(amd64|arm64)"),
        "must be a list of different platforms, linux/amd64 and linux/arm64",
    )
    source = build.matching("source", re.compile(r"https?://\S{1,500}"), "must be the address of the source")
    repository: str | None = None
    if not has_registry:
        build.require("repository", f"where the image is pushed, such as {example}")
        repository = build.matching(
            "repository", _REPOSITORY, f"must be a repository without a tag, such as {example}"
        )
    labels = _labels(build)
    if base is None or (repository is None and not has_registry):
        return None
    return Build(
        base=base,
        platforms=cast(tuple[Architecture, ...], names or ("linux/amd64",)),
        source=source or "",
        labels=labels,
        repository=repository,
    )


def _sorted(flavors: Sequence[str] | None) -> tuple[Flavor, ...]:
    """The flavours in one order, so that another order is no other image; all of them where none is named."""
    return tuple(flavor for flavor in FLAVORS if flavors is None or flavor in flavors)


def _labels(build: Section) -> Mapping[str, str]:
    section = build.section("labels", accepted=build.names("labels"), example="{team: ml}")
    if section is None:
        return {}
    found: dict[str, str] = {}
    for name in section.values:
        if not _LABEL.fullmatch(name):
            section.problem(name, "a label's name has lower-case letters, digits and - . _ /")
        text = section.line(name, 500)
        if text is not None:
            found[name] = text
    return found
