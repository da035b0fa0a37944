"""The images of the model server and of MLflow: built from the checkout, pushed, and known by their digests
from then on."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker_build as docker

from components.environment import FLAVORS, Build, ImageBuild, Tracking

_ROOT = Path(__file__).resolve().parents[1]
# Relative to the program's folder, so that a checkout elsewhere has the same inputs.
_CONTEXT = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one image is made of the checkout."""

    name: str
    type: str
    """The component's type in the stack's state."""
    dockerfile: str
    contents: tuple[str, ...]
    """All that goes in, as patterns below the checkout."""
    target: str
    arguments: Mapping[str, str]
    """What this image's Dockerfile is told beside its base and where the source is."""


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
    return image if isinstance(image, str) else _built(serving_recipe(image), image, own, opts)


def sagemaker_image(
    build: ImageBuild, own: Callable[[], Destination], opts: pulumi.ResourceOptions | None = None
) -> pulumi.Output[str]:
    """The reference of the same image as root, which SageMaker asks for; built beside the other one."""
    return _built(serving_recipe(build, sagemaker=True), build, own, opts)


def tracking_image(
    tracking: Tracking | None,
    own: Callable[[], Destination] | None = None,
    opts: pulumi.ResourceOptions | None = None,
) -> pulumi.Input[str] | None:
    """The reference, with its digest, of MLflow's image, see ``serving_image``; None where the platform has
    no MLflow of its own."""
    if tracking is None:
        return None
    image = tracking.image
    return image if isinstance(image, str) else _built(TRACKING_RECIPE, image, own, opts)


TRACKING_RECIPE = Recipe(
    name="tracking-image",
    type="delivery:image:TrackingImage",
    dockerfile="tracking/Dockerfile",
    contents=("tracking/requirements.txt", "serving/sbom.py", "serving/slim.py", "tracking/Dockerfile*"),
    target="tracking",
    arguments={},
)


def serving_recipe(build: ImageBuild, *, sagemaker: bool = False) -> Recipe:
    """How the model server's image is made, or the same as root."""
    arguments: dict[str, str] = {}
    if build.flavors != FLAVORS:
        arguments["REQUIREMENTS"] = f"requirements-{'-'.join(build.flavors)}.txt"
    if build.adapter is not None and not sagemaker:
        arguments["ADAPTER"] = build.adapter
    return Recipe(
        name="serving-sagemaker" if sagemaker else "serving",
        type="delivery:image:ServingImage",
        dockerfile="serving/Dockerfile",
        contents=("serving/*.py", "serving/serve", "serving/requirements*.txt", "serving/Dockerfile*"),
        target="sagemaker" if sagemaker else "lambda" if build.adapter else "server",
        arguments=arguments,
    )


def _built(
    recipe: Recipe, build: Build, own: Callable[[], Destination] | None, opts: pulumi.ResourceOptions | None
) -> pulumi.Output[str]:
    if build.repository is not None:
        return BuiltImage(recipe, build, Destination(repository=build.repository), opts).ref
    if own is None:
        raise ValueError("an image is built, and neither its file nor its platform has a repository for it")
    return BuiltImage(recipe, build, own(), opts).ref


class BuiltImage(pulumi.ComponentResource):
    """An image by docker-build: BuildKit's digest is known, and an unchanged context is not built again
    (pulumi-docker's v4 Image knows neither).

    Its tag is a hash of what it is made of, so it fits repositories with immutable tags, and the same
    checkout gives the same tag. Only an apply builds it; needed is a BuildKit that the machine reaches.
    The image stays in the registry when its declaration goes: something may still run it.
    """

    ref: pulumi.Output[str]
    """``repository:tag@sha256:…``; in a preview unknown where the image will be built."""

    def __init__(
        self, recipe: Recipe, build: Build, to: Destination, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(recipe.type, recipe.name, None, opts)
        image = docker.Image(
            recipe.name,
            context={"location": _CONTEXT},
            dockerfile={"location": recipe.dockerfile},
            target=recipe.target,
            build_args={"BASE": build.base, "SOURCE": build.source, **recipe.arguments},
            labels=dict(build.labels) or None,
            platforms=[docker.Platform(platform) for platform in build.platforms],
            tags=[pulumi.Output.concat(to.repository, ":", content_tag(_ROOT, recipe, build))],
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


def content_tag(root: Path, recipe: Recipe, build: Build) -> str:
    """A tag made of 20 hex digits: of the arguments, and of names, modes and bytes of all that goes in.

    BuildKit's provider looks at the same things, so a tag is new whenever an image will be built.
    """
    total = hashlib.sha256()
    for key, value in sorted(_said(recipe, build).items()):
        total.update(f"{key}={value}\n".encode())
    for file in sorted({file for pattern in recipe.contents for file in root.glob(pattern)}):
        content, mode = file.read_bytes(), stat.S_IMODE(file.stat().st_mode)
        total.update(f"{file.relative_to(root).as_posix()} {mode:o} {len(content)}\n".encode() + content)
    return total.hexdigest()[:20]


def _said(recipe: Recipe, build: Build) -> Mapping[str, str]:
    labels = {f"label {key}": value for key, value in build.labels.items()}
    arguments = {f"argument {key}": value for key, value in recipe.arguments.items()}
    return {
        "target": recipe.target,
        "base": build.base,
        "source": build.source,
        "platforms": ",".join(build.platforms),
        **arguments,
        **labels,
    }
