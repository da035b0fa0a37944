"""What builds and runs images in tests: Pulumi's own provider of them, BuildKit's daemon, a registry, and
AWS' emulator of Lambda with the adapter that its image has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools import gobuild, progress, toolchain, versions
from tools.errors import ToolError
from tools.paths import GO_MODULES
from tools.toolchain import Recipe, Tool

_MODULE = GO_MODULES / "docker-build"
_PROVIDER = "github.com/pulumi/pulumi-docker-build"
_BUILDKIT = "github.com/moby/buildkit"
_REGISTRY = "github.com/distribution/distribution/v3"
_LAMBDA = GO_MODULES / "lambda"
_EMULATOR = "github.com/aws/aws-lambda-runtime-interface-emulator"
_ADAPTER = (0, 9, 1)
"""AWS' Lambda Web Adapter, of the version that the environments name."""


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


def emulator() -> Tool:
    """AWS' emulator of Lambda's interface to a runtime."""
    name = "aws-lambda-rie"
    return toolchain.from_go(
        name,
        versions.required(_EMULATOR, _LAMBDA / "go.mod"),
        _LAMBDA,
        f"{_EMULATOR}/cmd/{name}",
        usual="20 seconds on 2 cores",
    )


def adapter() -> Tool | None:
    """AWS' Lambda Web Adapter, built by cargo; None where there is none."""
    cargo, name = shutil.which("cargo"), "lambda-adapter"
    if cargo is None:
        return None

    def make(folder: Path) -> None:
        what = ("lambda_web_adapter", "--version", versions.show(_ADAPTER), "--locked", "--debug")
        code, tail = progress.run(
            [cargo, "install", *what, "--root", str(folder), "--no-track"],
            what=f"Building {name} by cargo",
            usual="a minute on 2 cores",
            cwd=folder,
            # Its own release is optimised across all that it is made of, which takes five times as long.
            env={**os.environ, "CARGO_PROFILE_DEV_DEBUG": "false"},
            detail=lambda lines: f"{lines:,} lines",
        )
        if code != 0:
            raise ToolError(f"cargo can't build {name}. Its last words:\n{tail}")
        (folder / "bin" / name).rename(folder / name)

    return toolchain.find(Recipe(name, _ADAPTER, [], None, make))


def _daemon(name: str, module: str, usual: str) -> Tool:
    version = versions.required(module, _MODULE / "go.mod")
    return toolchain.from_go(name, version, _MODULE, f"{module}/cmd/{name}", usual=usual)
