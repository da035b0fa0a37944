"""What builds images in tests: Pulumi's own provider of them, BuildKit's daemon and a registry to push to."""

from __future__ import annotations

from pathlib import Path

from tools import gobuild, toolchain, versions
from tools.paths import GO_MODULES
from tools.toolchain import Recipe, Tool

_MODULE = GO_MODULES / "docker-build"
_PROVIDER = "github.com/pulumi/pulumi-docker-build"
_BUILDKIT = "github.com/moby/buildkit"
_REGISTRY = "github.com/distribution/distribution/v3"


def provider() -> Tool:
    """Pulumi's docker-build provider, of the version that the locked SDK belongs to."""
    version = versions.required(_PROVIDER, _MODULE / "go.mod")
    name, built = "docker-build-provider", "pulumi-resource-docker-build"

    def make(folder: Path) -> None:
        gobuild.build(
            _MODULE,
            [f"{_PROVIDER}/provider/cmd/{built}"],
            folder,
            usual="3 minutes on 2 cores",
            stamp=f"{_PROVIDER}/provider.Version={versions.show(version)}",
        )
        # Under its own name Pulumi would find it in `bin`, for real stacks too.
        (folder / built).rename(folder / name)

    return toolchain.find(Recipe(name, version, [], None, make))


def buildkitd() -> Tool:
    """BuildKit's daemon."""
    return _daemon("buildkitd", _BUILDKIT, "a minute on 2 cores")


def registry() -> Tool:
    """A container registry."""
    return _daemon("registry", _REGISTRY, "a minute on 2 cores")


def _daemon(name: str, module: str, usual: str) -> Tool:
    def make(folder: Path) -> None:
        gobuild.build(_MODULE, [f"{module}/cmd/{name}"], folder, usual=usual)

    return toolchain.find(Recipe(name, versions.required(module, _MODULE / "go.mod"), [], None, make))
