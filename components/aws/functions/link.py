"""The function of ``LinkKeeper``, as Lambda runs it: Python and botocore, which its runtime brings."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session

ANSWER = (404, "No such model")
"""What the load balancer says where no model is: the API's own 404 has another text."""
_SECONDS = 30


def handler(event: Any, context: Any) -> None:
    """Send one signed request to ``URL``. Raises RuntimeError unless the load balancer has answered."""
    url = os.environ["URL"]
    request = AWSRequest("GET", url)
    session: Any = Session()
    SigV4Auth(session.get_credentials(), "execute-api", os.environ["AWS_REGION"]).add_auth(request)
    answer = _answer(url, dict(request.headers.items()))
    if answer != ANSWER:
        raise RuntimeError(f"{url} answered {answer}, not {ANSWER}: the load balancer isn't reached")


def _answer(url: str, headers: dict[str, str]) -> tuple[int, str]:
    asked = urllib.request.Request(url, headers=headers)  # noqa: S310 - the program's own address
    try:
        with urllib.request.urlopen(asked, timeout=_SECONDS) as response:  # noqa: S310
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
