"""Stacks whose provider of images is Pulumi's own, on a copy of the checkout that tests may change."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import yaml

from planning.stack import PlannedStack
from planning.stand_ins import ROOT
from tests.image.engine import Engine
from tests.image.variants import ADAPTER
from tools import images


def working_tree(folder: Path) -> Path:
    """A copy of the checkout but for its users' files, with its environment and its toolchain."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        of_users = Path(name).match("Pulumi.*.yaml") or Path(name).match("policy/*.yaml")
        if not of_users and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    for name in (".venv", ".delivery"):
        (folder / name).symlink_to(ROOT / name)
    return folder


class ImageStack(PlannedStack):
    """A stack, of a program, that builds with an engine's BuildKit and logs in to its registry."""

    def __init__(self, folder: Path, name: str, program: Path, engine: Engine) -> None:
        super().__init__(folder, name, program)
        self.env.update(engine.env)
        script = folder / "plugins" / "pulumi-resource-docker-build"
        provider = shlex.quote(str(images.provider().executable))
        script.write_text(f'#!/bin/sh\nexec {provider} "$@"\n')

    def references(self) -> dict[str, str]:
        """The reference of each image that the stack has built, by the name of its resource."""
        exported = json.loads(self.command("stack", "export", "--stack", self.name).text)
        return {
            resource["urn"].rpartition("::")[2]: resource["outputs"]["ref"]
            for resource in exported["deployment"]["resources"]
            if resource["type"] == "docker-build:index:Image"
        }

    def outputs(self) -> dict[str, str]:
        """What the stack exports."""
        return json.loads(self.command("stack", "output", "--json", "--stack", self.name).text)


def built(folder: Path, tree: Path, docker: Engine) -> ImageStack:
    """A stack of the program in ``tree``, applied: it builds the model server's image and MLflow's."""
    made = ImageStack(folder, "built", tree, docker)
    made.declare(declared(docker))
    made.up()
    return made


def variants_of(folder: Path, docker: Engine) -> ImageStack:
    """A stack of ``tests/image/program.py``, applied: it builds the other variants."""
    program = working_tree(folder / "program")
    shutil.copy(ROOT / "tests" / "image" / "program.py", program / "__main__.py")
    made = ImageStack(folder / "stack", "variants", program, docker)
    config = {"base": docker.base, "repository": f"{docker.registry}/serving", "adapter": docker.own(ADAPTER)}
    made.declare(yaml.safe_dump({"config": {f"model-delivery:{k}": v for k, v in config.items()}}))
    made.up()
    return made


def declared(docker: Engine) -> str:
    """A Pulumi.<stack>.yaml whose images are built, for a cluster that is not there."""
    platform = {
        "kind": "kubernetes",
        "context": "prod",
        "image": {"build": {"base": docker.base, "repository": f"{docker.registry}/serving"}},
        "tracking": {"image": {"build": {"base": docker.base, "repository": f"{docker.registry}/mlflow"}}},
        "registry": "https://mlflow.example.com",
        "url": "https://models.example.com",
        "gateway": {"tlsSecret": "models-tls"},
    }
    models = {"tumour": {"stable": {"version": 1}}}
    config = {"model-delivery:platform": platform, "model-delivery:models": models}
    return yaml.safe_dump({"config": config})
