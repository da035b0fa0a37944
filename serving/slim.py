"""Take out of this Python environment what nothing that runs in an image uses, and say how much that was.

    python -m serving.slim

Gone are the packages' own tests, a fifth of what is installed, and the descriptions of all services of AWS
but those that fetch an artifact from S3 and log in for it.
"""

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SERVICES = frozenset({"s3", "signin", "sso", "sso-oidc", "sts"})
"""S3, and what boto3 asks for credentials."""


def superfluous(packages: Path) -> Iterator[Path]:
    """Find what can go of a folder of installed packages."""
    for folder in sorted(packages.rglob("tests")):
        if folder.is_dir():
            yield folder
    for folder in sorted((packages / "botocore" / "data").glob("*/")):
        if folder.name not in SERVICES:
            yield folder


def slim(packages: Path) -> int:
    """Remove it; returns how many bytes that were."""
    gone = 0
    for folder in list(superfluous(packages)):
        # A folder of tests may be inside another one.
        gone += sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
        shutil.rmtree(folder, ignore_errors=True)
    return gone


if __name__ == "__main__":
    sys.stdout.write(f"{slim(Path(sysconfig.get_path('purelib'))) / 1e6:.0f} MB are gone\n")
