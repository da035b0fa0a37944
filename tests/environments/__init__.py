"""Environment files for tests, as this project ships them.

The files at the top of the checkout belong to the people who promote models in them, so no test reads those.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def environment_file(name: str) -> Path:
    """Return the path of the fixture ``Pulumi.<name>.yaml``: ``local``, ``dev``, ``prod`` or ``gcp``."""
    return FOLDER / f"Pulumi.{name}.yaml"
