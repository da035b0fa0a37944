"""The policy pack, as the engine starts it: `./pulumiw` names it in every preview and update."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
# The engine starts it as a folder, and from within it: its files would be modules of their own.
sys.path = [str(_ROOT), *(entry for entry in sys.path if Path(entry).resolve() != _ROOT / "policy")]

from pulumi_policy import PolicyPack  # noqa: E402

from components.environment import ConfigError  # noqa: E402
from policy import pack  # noqa: E402

try:
    policies = pack.load(os.environ.get("PULUMI_STACK", "")).policies()
except ConfigError as error:
    sys.exit(f"The policy pack can't be used, so nothing is judged and nothing goes on.\n{error}")

PolicyPack(pack.NAME, policies)
