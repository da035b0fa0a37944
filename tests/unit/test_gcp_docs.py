"""docs/components/gcp.md has read what Google says of every type that is declared there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.gcp import CALLERS, DEV, PROD, google, only_gcp
from tests.unit.test_aws_docs import listed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "components" / "gcp.md"
MODELS: dict[str, Any] = {
    "fast": {"runtime": "cloud-run", "stable": {"version": 3}},
    "pods": {"stable": {"version": 3}},
}
"""With a certificate in front of Cloud Run, and without one."""
PLATFORMS = [PROD, {**DEV, "cloudRun": {"invokers": [CALLERS]}}]


def declared() -> set[tuple[str, str]]:
    types = {r.type for platform in PLATFORMS for r in only_gcp(google(MODELS, platform)[0])}
    return {(type.split(":")[1].split("/")[0], type.split(":")[2]) for type in types}


def test_every_type_that_is_declared_was_read_about_and_no_other() -> None:
    assert listed(PAGE, "## What Google says of each type") == declared()


def test_a_type_that_is_not_in_the_table_is_missed(tmp_path: Path) -> None:
    short = tmp_path / "gcp.md"
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    short.write_text("\n".join(line for line in lines if not line.startswith("| `kms`")), encoding="utf-8")
    missed = declared() - listed(short, "## What Google says of each type")
    assert missed == {("kms", "KeyRing"), ("kms", "CryptoKey"), ("kms", "CryptoKeyIAMMember")}
