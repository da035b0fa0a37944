"""The model server's image: one that is there, by its digest, or one that the program builds."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
_KEYS: Final = ("adapter", "base", "labels", "platforms", "source")
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([-._a-z0-9]*[a-z0-9])?)+"
)
_LABEL: Final = re.compile(r"[a-z0-9]([-._/a-z0-9]{0,126}[a-z0-9])?")

Architecture = Literal["linux/amd64", "linux/arm64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """An image that the program builds from the checkout and pushes."""

    base: str
    """A slim Python image by its digest; of the minor version that models are trained with."""
    adapter: str | None = None
    """AWS' Lambda Web Adapter by its digest; None: an image for everything but Lambda."""
    platforms: tuple[Architecture, ...] = ("linux/amd64",)
    source: str = ""
    """Where the source is, for the label `org.opencontainers.image.source`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels beside those of the Dockerfile."""
    repository: str | None = None
    """Where it is pushed, without a tag; None: into the platform's own registry."""


def parse_image(platform: Section, *, has_registry: bool) -> str | ImageBuild | None:
    """Understand the key `image`; None if it is absent or wrong.

    A platform that has no registry of its own must be told the repository of a build.
    """
    if not isinstance(platform.values.get("image"), Mapping):
        return platform.matching("image", PINNED, _RULE)
    image = platform.section("image", accepted=("build",), example="{build: {base: …}}")
    if image is None:
        return None
    image.require("build", "a map such as {base: …@sha256:<64 hex>}")
    accepted = _KEYS if has_registry else (*_KEYS, "repository")
    build = image.section("build", accepted=accepted, example="{base: …@sha256:<64 hex>}")
    return _build(build, has_registry=has_registry) if build else None


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


def _build(build: Section, *, has_registry: bool) -> ImageBuild | None:
    build.require("base", "a slim Python image by its digest, such as python:3.12-slim@sha256:<64 hex>")
    base = build.matching("base", PINNED, PINNED_RULE)
    adapter = build.matching("adapter", PINNED, PINNED_RULE)
    names = build.texts(
        "platforms",
        re.compile("linux/(amd64|arm64)"),
        "must be a list of different platforms, linux/amd64 and linux/arm64",
    )
    source = build.matching("source", re.compile(r"https?://\S{1,500}"), "must be the address of the source")
    repository: str | None = None
    if not has_registry:
        build.require("repository", "where the image is pushed, such as registry.example.com/serving")
        repository = build.matching(
            "repository",
            _REPOSITORY,
            "must be a repository without a tag, such as registry.example.com/serving",
        )
    labels = _labels(build)
    if base is None or (repository is None and not has_registry):
        return None
    return ImageBuild(
        base=base,
        adapter=adapter,
        platforms=cast(tuple[Architecture, ...], names or ("linux/amd64",)),
        source=source or "",
        labels=labels,
        repository=repository,
    )


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
