"""An environment as its file stands, applied once by the engine, and what previews of other files show."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from components.environment import AwsPlatform, GcpPlatform, ImageBuild, read
from components.image import TRACKING_RECIPE, content_tag, serving_recipe
from planning.rendering import changes, graph
from planning.stack import PlannedStack, Step
from planning.stand_ins import ROOT
from tests.environments import environment_file

GOLDEN = Path(__file__).parent / "golden"
Models = dict[str, Any]


class Planned:
    """An environment that has been applied as its file stands."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = yaml.safe_load(environment_file(name).read_text())
        self._hide = {str(folder): "<folder>", str(ROOT): "<checkout>"}
        platform = read(environment_file(name)).platform
        assert isinstance(platform, AwsPlatform | GcpPlatform)
        image, tracking = platform.cluster.image, platform.cluster.tracking
        # They change with every line of the server.
        if isinstance(image, ImageBuild):
            for recipe in (serving_recipe(image), serving_recipe(image, sagemaker=True)):
                self._hide[content_tag(ROOT, recipe, image)] = "<content>"
        if tracking and not isinstance(tracking.image, str):
            self._hide[content_tag(ROOT, TRACKING_RECIPE, tracking.image)] = "<content>"
        self.stack = PlannedStack(folder / "stack", name)
        self.stack.declare(yaml.safe_dump(self._file))
        self.stack.up()

    def edited(self, edit: Callable[[Models], None]) -> list[Step]:
        """What a preview shows once the models are edited."""
        return self.rewritten(lambda content: edit(content["config"]["model-delivery:models"]))

    def rewritten(self, edit: Callable[[Models], None]) -> list[Step]:
        """What a preview shows once the file is edited."""
        content = yaml.safe_load(yaml.safe_dump(self._file))
        edit(content)
        self.stack.declare(yaml.safe_dump(content))
        return self.stack.steps()

    def changes(self, steps: list[Step]) -> str:
        # The tag of another image than the file's.
        return re.sub(r":[0-9a-f]{20}\b", ":<other content>", changes(steps, self._hide))

    def graph(self, steps: list[Step]) -> str:
        return graph(steps, self._hide)


def golden(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def touched(steps: list[Step]) -> dict[str, set[str]]:
    """Operation to the types it is done to, components and replacement's parts left out."""
    found: dict[str, set[str]] = {}
    for step in steps:
        kind = step.type.rpartition("$")[2]
        if step.op in ("create", "update", "delete", "replace") and not kind.startswith(
            ("delivery:aws", "delivery:gcp")
        ):
            found.setdefault(step.op, set()).add(kind)
    return found


def outputs_only(step: Step) -> bool:
    """Whether it is the stack, of which nothing but outputs can change."""
    return step.type.endswith("pulumi:pulumi:Stack")
