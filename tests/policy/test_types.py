"""The types that rules name are those of the official SDKs: a misspelt one would never be judged."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from policy.rules import RULES

SOURCES = Path(__file__).resolve().parents[2] / "policy" / "rules"
NAMED = {kind for rule in RULES.values() for kind in rule.types} | {
    kind
    for file in SOURCES.glob("*.py")
    for kind in re.findall(r'"((?:aws|gcp|kubernetes):[\w.]+/\w+:\w+)"', file.read_text())
}
# Ours, the engine's, and those that a cluster's operators bring.
ELSEWHERE = re.compile(r"delivery:|pulumi:|kubernetes:(monitoring\.coreos\.com|gateway\.[\w.]+)/")


def sources(kind: str) -> list[Path]:
    """The files of the SDK that may declare a type. The SDK is not imported: that takes seconds."""
    package, path, name = kind.split(":")
    spec = find_spec(f"pulumi_{package}")
    assert spec and spec.submodule_search_locations
    group, member = path.split("/")
    module = f"{group.split('.')[0]}/{member}" if package == "kubernetes" else group
    folder = Path(spec.submodule_search_locations[0])
    files = [*(folder / module).glob("*.py"), *(folder / f"{module}_").glob("*.py")]
    return [file for file in files if file.stem.replace("_", "").lower() == name.lower()]


@pytest.mark.parametrize("kind", sorted(kind for kind in NAMED if not ELSEWHERE.match(kind)))
def test_a_type_that_a_rule_names_is_one_of_the_sdks(kind: str) -> None:
    assert any(f"'{kind}'" in file.read_text() for file in sources(kind))
