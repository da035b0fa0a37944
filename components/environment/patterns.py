"""What names and addresses in a cluster look like."""

from __future__ import annotations

import re
from typing import Final

LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label: the name of a namespace, a Gateway, a Secret."""
LABEL_RULE: Final = "must be a name of lower-case letters, digits and hyphens, at most 63"
HOST: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
STORAGE: Final = re.compile(r"[1-9][0-9]{0,4}(Mi|Gi|Ti)")
