"""The program builds its images by Pulumi's own provider, and pushes them to a registry with a login."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.image.engine import Engine
from tests.image.stack import ImageStack
from tests.image.variants import Built

pytestmark = pytest.mark.image

_PINNED = re.compile(r"127\.0\.0\.1:[0-9]+/(serving|mlflow):[0-9a-f]{20}@sha256:[0-9a-f]{64}")


def changed(stack: ImageStack) -> set[tuple[str, str]]:
    return {(step.op, step.name) for step in stack.steps() if step.op != "same"}


def test_what_was_built_is_in_the_registry_by_its_digest(
    docker: Engine, stack: ImageStack, variants: Built, mlflow: str
) -> None:
    references = [*variants.values(), mlflow]
    assert all(_PINNED.fullmatch(reference) for reference in references), references
    assert len(set(references)) == len(variants) + 1
    for reference in references:
        kind, manifest = docker.manifest(reference)
        # No index of attestations: Lambda takes none.
        assert kind in (
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
        ), kind
        assert manifest["layers"]


def test_an_unchanged_context_builds_nothing(docker: Engine, stack: ImageStack, tree: Path) -> None:
    pushes, pinned = docker.pushes(), stack.references()
    assert pushes > 0
    (tree / "README.md").write_text("something that goes into no image")
    assert changed(stack) == set()
    stack.up()
    assert stack.references() == pinned and docker.pushes() == pushes


def test_a_changed_server_is_built_pushed_and_rolled_out(
    docker: Engine, stack: ImageStack, tree: Path
) -> None:
    before, file = stack.references(), tree / "serving" / "page.py"
    text = file.read_text()
    file.write_text(f"{text}\n# another line\n")
    try:
        assert changed(stack) >= {("update", "serving")} and ("update", "tracking-image") not in changed(
            stack
        )
        stack.up()
        after = stack.references()
        assert after["serving"] != before["serving"] and stack.outputs()["image"] == after["serving"]
        assert after["tracking-image"] == before["tracking-image"]
        # What runs, or is to be gone back to, stays.
        for reference in (before["serving"], after["serving"]):
            assert docker.manifest(reference)[1]["layers"]
        # Packages come from the layers that were there: only what has changed was pushed.
        layers = [
            [layer["digest"] for layer in docker.manifest(reference)[1]["layers"]]
            for reference in (before["serving"], after["serving"])
        ]
        assert layers[0][:2] == layers[1][:2] and layers[0] != layers[1]
    finally:
        file.write_text(text)
        stack.up()
    assert stack.references() == before
