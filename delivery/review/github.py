"""One comment a stack on a pull request, updated in place, over GitHub's REST API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx

from delivery.review.errors import ReviewError

API = "https://api.github.com"
_PER_PAGE = 100
_MOST_PAGES = 100
_SECONDS = 30


def post(comment: str, marker: str, *, repository: str, pull_request: int, token: str, api: str = API) -> str:
    """Write the comment, over the one that has ``marker`` as its last line where there is one; its address.

    A comment of somebody else that quotes the marker isn't touched: it must be of the token's own user, or of
    a bot where the token can't ask who it is (as a workflow's token can't), and the token must be allowed to
    change it. Raises ReviewError.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ReviewError(f"`{repository}` is no repository: it has the form owner/name.")
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "model-delivery-review",
    }
    comments = f"/repos/{repository}/issues/{pull_request}/comments"
    try:
        with httpx.Client(base_url=api, headers=headers, timeout=_SECONDS) as client:
            for own in _own(client, comments, marker, _login(client)):
                answer = client.patch(f"/repos/{repository}/issues/comments/{own}", json={"body": comment})
                # Another bot's, or gone meanwhile: that must not stand in the way of ours.
                if answer.status_code not in (403, 404):
                    break
            else:
                answer = client.post(comments, json={"body": comment})
            return str(_object(_checked(answer, "writing the comment")).get("html_url", ""))
    except httpx.HTTPError as error:
        raise ReviewError(f"{api} does not answer: {error}. The comment is not written.") from None


def _login(client: httpx.Client) -> str | None:
    """Whose token it is; None for a workflow's, which isn't a user's."""
    answer = client.get("/user")
    if answer.status_code in (403, 404):
        return None
    return str(_object(_checked(answer, "asking whose token it is")).get("login", "")) or None


def _own(client: httpx.Client, comments: str, marker: str, login: str | None) -> Iterator[int]:
    """The numbers of the comments on the pull request that may be ours, the oldest first."""
    for page in range(1, _MOST_PAGES + 1):
        answer = client.get(comments, params={"per_page": _PER_PAGE, "page": page})
        found: object = _checked(answer, "reading the comments")
        if not isinstance(found, list):
            raise ReviewError(
                "GitHub's answer to reading the comments is no list. Is the API's address right?"
            )
        for comment in cast("list[object]", found):
            said = _object(comment)
            user = _object(said.get("user"))
            mine = user.get("login") == login if login else user.get("type") == "Bot"
            lines = str(said.get("body") or "").rstrip().splitlines()
            if mine and lines and lines[-1].strip() == marker and isinstance(said.get("id"), int):
                yield int(said["id"])
        if len(cast("list[object]", found)) < _PER_PAGE:
            return


def _checked(answer: httpx.Response, doing: str) -> Any:
    if answer.is_success:
        try:
            return answer.json()
        except ValueError:
            raise ReviewError(f"GitHub's answer to {doing} is no JSON. Is the API's address right?") from None
    hints = {
        401: "The token isn't valid.",
        403: "The token may not: a workflow needs `permissions: {pull-requests: write}`.",
        404: "There is no such pull request, or the token may not see it.",
        422: "GitHub refuses the comment.",
    }
    hint = hints.get(answer.status_code, "Try again later.")
    raise ReviewError(f"{doing} failed: GitHub answers {answer.status_code}. {hint}")


def _object(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
