"""Who a plan says it is when it asks an MLflow server: MLflow's own variables, and a job's identity.

A job of GitHub Actions with the right ``id-token: write`` can have a token of GitHub's OpenID issuer, which
lives for five minutes: shorter than an update. So it isn't handed in, it is asked for each time that the
registry is, where MODEL_DELIVERY_AUDIENCE says whom it is meant for (``tracking.access.audience``).
"""

from __future__ import annotations

import os
from typing import Any

from provider.masking import reason

AUDIENCE = "MODEL_DELIVERY_AUDIENCE"
_URL, _BEARER = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_SECONDS = 10


class LoginError(Exception):
    """There is no token, though one is asked for. The text says why."""


def log_in() -> None:
    """Give MLflow's client a fresh token, where an audience is named; else leave its variables alone."""
    audience = os.environ.get(AUDIENCE)
    if not audience:
        return
    url, bearer = os.environ.get(_URL), os.environ.get(_BEARER)
    if not url or not bearer:
        raise LoginError(
            f"{AUDIENCE} is set, and there is no job of GitHub Actions with the right id-token: write to "
            "have a token from. Give the job the right, or unset it and set MLFLOW_TRACKING_TOKEN"
        )
    import requests

    try:
        answer = requests.get(
            url, {"audience": audience}, headers={"Authorization": f"bearer {bearer}"}, timeout=_SECONDS
        )
        answer.raise_for_status()
        said: Any = answer.json()
        os.environ["MLFLOW_TRACKING_TOKEN"] = str(said["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = reason(error, url) if isinstance(error, OSError) else "it did not say one"
        raise LoginError(f"GitHub gives no token for the audience {audience}: {why}") from None
