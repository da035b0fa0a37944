"""The commands that the guides tell people to run on a stack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES = [DOCS / "getting-started-aws.md", DOCS / "ci.md", DOCS / "operations.md"]
PAGES = sorted([*GUIDES, *(DOCS / "components").glob("*.md")])
_BARE = re.compile(
    r"(?<![\w./-])pulumi (up|preview|destroy|refresh|stack|login|cancel|state|config|import)\b"
)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_stack_is_worked_on_by_the_wrapper(page: Path) -> None:
    """It has the policy pack and uv; and of a stack that `pulumi stack init` chose it knows nothing, so the
    next `./pulumiw up` would be of the stack `local`."""
    assert [found[0] for found in _BARE.finditer(page.read_text(encoding="utf-8"))] == []
