"""The model server's image: built from the checkout, pushed, and known by its digest from then on."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker_build as docker

from components.environment import ImageBuild

_ROOT = Path(__file__).resolve().parents[1]
# Relative to the program's folder, so that a checkout elsewhere has the same inputs.
_CONTEXT, _DOCKERFILE = ".", "serving/Dockerfile"
_IN_IT = ("serving/*.py", "serving/serve", "serving/requirements.txt", f"{_DOCKERFILE}*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get into the registry. Without one, Docker's own logins on the building machine are used."""

    address: pulumi.Input[str]
    """The registry's host, such as ``123456789012.dkr.ecr.eu-central-1.amazonaws.com``."""
    username: pulumi.Input[str]
    password: pulumi.Input[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an image goes."""

    repository: pulumi.Input[str]
    """The repository, without a tag."""
    login: Login | None = None


def serving_image(
    image: str | ImageBuild,
    own: Callable[[], Destination] | None = None,
    opts: pulumi.ResourceOptions | None = None,
) -> pulumi.Input[str]:
    """The reference, with its digest, of the image that a platform's models run in.

    One that is there already is taken as it is. A build goes to the repository that the file names, or to
    the platform's ``own``, which is asked for a build alone.
    """
    if isinstance(image, str):
        return image
    if image.repository is not None:
        return ServingImage("serving", image, Destination(repository=image.repository), opts).ref
    if own is None:
        raise ValueError("an image is built, and neither its file nor its platform has a repository for it")
    return ServingImage("serving", image, own(), opts).ref


class ServingImage(pulumi.ComponentResource):
    """The image of the model server, by docker-build: BuildKit's digest is known, and an unchanged context is
    not built again (pulumi-docker's v4 Image knows neither).

    Its tag is a hash of what it is made of, so it fits repositories with immutable tags, and the same
    checkout gives the same tag. Only an apply builds it; needed is a BuildKit that the machine reaches.
    The image stays in the registry when its declaration goes: something may still run it.
    """

    ref: pulumi.Output[str]
    """``repository:tag@sha256:…``; in a preview unknown where the image will be built."""

    def __init__(
        self, name: str, build: ImageBuild, to: Destination, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:image:ServingImage", name, None, opts)
        arguments = {"BASE": build.base, "SOURCE": build.source}
        if build.adapter is not None:
            arguments["ADAPTER"] = build.adapter
        tag = content_tag(_ROOT, build)
        image = docker.Image(
            name,
            context={"location": _CONTEXT},
            dockerfile={"location": _DOCKERFILE},
            target="server" if build.adapter is None else "lambda",
            build_args=arguments,
            labels=dict(build.labels) or None,
            platforms=[docker.Platform(platform) for platform in build.platforms],
            tags=[pulumi.Output.concat(to.repository, ":", tag)],
            push=True,
            build_on_preview=False,
            registries=[
                {
                    "address": to.login.address,
                    "username": to.login.username,
                    "password": pulumi.Output.secret(to.login.password),
                }
            ]
            if to.login
            else None,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        # The provider takes every output to be as secret as the password that it has been given.
        self.ref = pulumi.Output.unsecret(image.ref)
        self.register_outputs({"ref": self.ref})


def content_tag(root: Path, build: ImageBuild) -> str:
    """A tag made of 20 hex digits: of the arguments, and of names, modes and bytes of all that goes in.

    BuildKit's provider looks at the same things, so a tag is new whenever an image will be built.
    """
    total = hashlib.sha256()
    for key, value in sorted(_said(build).items()):
        total.update(f"{key}={value}\n".encode())
    for file in sorted({file for pattern in _IN_IT for file in root.glob(pattern)}):
        content, mode = file.read_bytes(), stat.S_IMODE(file.stat().st_mode)
        total.update(f"{file.relative_to(root).as_posix()} {mode:o} {len(content)}\n".encode() + content)
    return total.hexdigest()[:20]


def _said(build: ImageBuild) -> Mapping[str, str]:
    labels = {f"label {key}": value for key, value in build.labels.items()}
    return {
        "base": build.base,
        "adapter": build.adapter or "",
        "source": build.source,
        "platforms": ",".join(build.platforms),
        **labels,
    }
