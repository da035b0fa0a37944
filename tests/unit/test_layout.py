"""Imports go one way, so that a platform can be read, tested and taken out without the others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "components.environment": {"components.metric_direction"},
    "components.image": {"components.environment"},
    "components.traffic": {"components.environment"},
    "components.release": {"components.environment"},
    "components.endpoint": set[str](),
    "components.step": {"components.environment"},
    "components.rollout": {"components.environment", "components.step"},
    "components.platform": {
        "components.endpoint",
        "components.environment",
        "components.local",
        "components.kubernetes",
        "components.aws",
        "components.gcp",
        "components.azure",
        "components.image",
        "components.replacement",
        "components.rollout",
        "components.step",
    },
    "components.program": {"components.environment"},
    "components.replacement": set[str](),
    "components.metric_direction": set[str](),
    "components.local": {
        "components.endpoint",
        "components.environment",
        "components.release",
        "components.traffic",
        "tools.paths",
    },
    "components.kubernetes": {
        "components.endpoint",
        "components.environment",
        "components.release",
        "components.traffic",
    },
    # A cloud's cluster is a cluster: its models' pods are the Kubernetes platform's.
    "components.aws": {
        "components.endpoint",
        "components.environment",
        "components.image",
        "components.kubernetes",
        "components.release",
        "components.traffic",
    },
    "components.gcp": {
        "components.endpoint",
        "components.environment",
        "components.image",
        "components.kubernetes",
        "components.release",
        "components.traffic",
    },
    "components.azure": {
        "components.endpoint",
        "components.environment",
        "components.release",
        "components.traffic",
    },
    # The digest of an artifact is one rule, the server's; so is what it can serve.
    # Where a local stack keeps its things is one reading, the tools'.
    "provider": {"serving.artifact", "serving.mlmodel", "tools.paths"},
    # The drift reference of a model is what its server will compare with: the server's own reading of it.
    "pipeline": {
        "serving.artifact",
        "serving.mlmodel",
        "serving.runtime",
        "serving.signature",
        "serving.statistics",
        "tools.paths",
    },
    "serving": set[str](),
    "delivery": {"components.environment", "components.metric_direction", "policy", "provider.gateway"},
    # A plan is the real program on stand-ins: it builds no part of a stack itself.
    "planning": {
        "components.environment",
        "delivery.review",
        "pipeline.quiet",
        "provider",
        "serving.artifact",
        "tools",
    },
    # Everything that it judges reaches it as the engine's properties.
    "policy": {"components.environment", "components.metric_direction"},
    "tools": set[str](),
}
OURS = {name.split(".")[0] for name in MAY_IMPORT} | {"tests", "benchmarks"}


def imports(file: Path) -> set[str]:
    """The project's own modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are written out in full"
            module = node.module or ""
            found |= {module} if "." in module else {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in OURS}


def files(room: str) -> list[Path]:
    path = ROOT.joinpath(*room.split("."))
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


# Read while tests are collected: no test's threads run yet, and CPython 3.11's parser, which counts its depth
# for all threads together, stumbles over them.
IMPORTS = {file: imports(file) for room in MAY_IMPORT for file in files(room)}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    wrong = {
        f"{file.relative_to(ROOT)} imports {module}"
        for file in files(room)
        for module in IMPORTS[file]
        if not any(within(module, name) for name in allowed)
    }
    assert files(room) and wrong == set()


def test_every_room_has_a_rule() -> None:
    rooms = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts[:2])
        for file in (ROOT / "components").rglob("*.py")
        if file.parent != ROOT / "components" or file.stem != "__init__"
    }
    assert rooms <= MAY_IMPORT.keys()
