"""The model server's image: built from the checkout, pushed, and known by its digest from then on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pulumi
import pulumi_docker_build as docker

from components.environment.cluster import PINNED

_ROOT = Path(__file__).resolve().parents[1]
_DOCKERFILE = "serving/Dockerfile"
_IN_IT = ("serving/*.py", "serving/serve", "serving/requirements.txt", f"{_DOCKERFILE}*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get into the registry. Without one, Docker's own logins on the building machine are used."""

    address: pulumi.Input[str]
    """The registry's host, such as ``123456789012.dkr.ecr.eu-central-1.amazonaws.com``."""
    username: pulumi.Input[str]
    password: pulumi.Input[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArgs:
    """What the image is made of, and where it goes."""

    repository: pulumi.Input[str]
    """The repository, without a tag."""
    base: str
    """A slim Python image of the Python that models are trained with, pinned by its digest: a pickled model
    needs the same minor version."""
    adapter: str | None = None
    """AWS' Lambda Web Adapter, pinned by its digest; with it the image runs on Lambda too."""
    source: str = ""
    """Where the source is, for the label ``org.opencontainers.image.source``."""
    platform: Literal["linux/amd64", "linux/arm64"] = "linux/amd64"
    login: Login | None = None


class ServingImage(pulumi.ComponentResource):
    """The image of the model server, by docker-build: BuildKit's digest is known, and an unchanged context is
    not built again (pulumi-docker's v4 Image knows neither).

    Its tag is a hash of what it is made of, so it fits repositories with immutable tags, and the same
    checkout gives the same tag. Only an apply builds it; needed is a BuildKit that the machine reaches.
    """

    ref: pulumi.Output[str]
    """``repository:tag@sha256:…``; in a preview unknown where the image will be built."""

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the image. Raises ValueError for a base or an adapter without a digest."""
        for what, image in (("base", args.base), ("adapter", args.adapter)):
            if image is not None and not PINNED.fullmatch(image):
                raise ValueError(
                    f"{what} must be an image pinned by its digest, such as python:3.12-slim@sha256:<64 hex>,"
                    f" is {image!r}"
                )
        super().__init__("delivery:image:ServingImage", name, None, opts)
        arguments = {"BASE": args.base, "SOURCE": args.source}
        if args.adapter is not None:
            arguments["ADAPTER"] = args.adapter
        tag = content_tag(_ROOT, {**arguments, "platform": args.platform})
        image = docker.Image(
            name,
            context={"location": str(_ROOT)},
            dockerfile={"location": str(_ROOT / _DOCKERFILE)},
            target="server" if args.adapter is None else "lambda",
            build_args=arguments,
            platforms=[docker.Platform(args.platform)],
            tags=[pulumi.Output.concat(args.repository, ":", tag)],
            push=True,
            build_on_preview=False,
            registries=[
                {
                    "address": args.login.address,
                    "username": args.login.username,
                    "password": pulumi.Output.secret(args.login.password),
                }
            ]
            if args.login
            else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ref = image.ref
        self.register_outputs({"ref": self.ref})


def content_tag(root: Path, arguments: dict[str, str]) -> str:
    """A tag made of 20 hex digits: of the arguments, and of the names and bytes of all that goes in."""
    total = hashlib.sha256()
    for key, value in sorted(arguments.items()):
        total.update(f"{key}={value}\n".encode())
    for file in sorted({file for pattern in _IN_IT for file in root.glob(pattern)}):
        content = file.read_bytes()
        total.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()[:20]
