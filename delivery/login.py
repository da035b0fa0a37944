"""What to do where Pulumi is not logged in to the place that keeps a stack's state."""

from __future__ import annotations

import re

_NO_LOGIN = re.compile(
    r"PULUMI_ACCESS_TOKEN must be set|not logged in|invalid access token|failed to login", re.IGNORECASE
)


def advice(said: str, stack: str) -> str | None:
    """Return how to log in if that is what Pulumi, which ``said`` something, asks for; else None."""
    if not _NO_LOGIN.search(said):
        return None
    return (
        f"Pulumi is not logged in to where the state of {stack} is: `./pulumiw login` logs in to Pulumi "
        "Cloud, `./pulumiw login s3://BUCKET` (or gs://, azblob://, file://) to a state of your own; in CI, "
        "set PULUMI_ACCESS_TOKEN or PULUMI_BACKEND_URL"
    )
