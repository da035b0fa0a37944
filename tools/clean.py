"""Delete what the checkout has made for itself: environment, toolchain, state, models.

Refuses while the stack `local` still has something running: without its state nobody could stop that.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any, cast

from tools import errors
from tools.errors import ToolError
from tools.local import LocalStack
from tools.paths import DELIVERY, ROOT, VENV


def main() -> int:
    """The command line."""
    running = resources(LocalStack(ROOT))
    if running:
        raise ToolError(
            f"the stack local still has {running} resources: they would run on. Run `make down` first."
        )
    for folder in (DELIVERY, VENV):
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    return 0


def resources(stack: LocalStack) -> int:
    """How many resources the state of a stack has, the stack itself left out."""
    if not (stack.root / "Pulumi.yaml").exists() or not stack.checkpoint.exists():
        return 0
    content = cast("dict[str, Any]", json.loads(stack.checkpoint.read_text()))
    latest = cast("dict[str, Any]", content.get("checkpoint", {}).get("latest") or {})
    listed = cast("list[dict[str, Any]]", latest.get("resources") or [])
    return sum(1 for resource in listed if resource.get("type") != "pulumi:pulumi:Stack")


if __name__ == "__main__":
    sys.exit(errors.run(main))
