"""The packages of this Python environment as a CycloneDX list, which image scanners read.

python -m serving.sbom > sbom.cdx.json
"""

import json
import re
import sys
from importlib import metadata
from typing import Any


def bill() -> dict[str, Any]:
    """Every installed distribution with its version and package URL, sorted by name."""
    found = {_normal(str(item.metadata["Name"])): item.version for item in metadata.distributions()}
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in sorted(found.items())
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=1)
