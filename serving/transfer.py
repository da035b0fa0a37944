"""Files and answers over HTTP: asked for again when they fail, and errors that say what was asked for."""

import http.client
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

ATTEMPTS: Final = 4
_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20

Received = TypeVar("Received")


class FetchError(Exception):
    """An artifact that can't be had. The message is for the user."""


class _BrokenOffError(Exception):
    """An answer that ended before its end."""


def download(url: str, path: Path, pause: float, headers: Mapping[str, str]) -> None:
    """Write a page's content to a file, whole. `pause` is in seconds, and doubles. Raises FetchError."""

    def save(answer: http.client.HTTPResponse) -> None:
        with path.open("wb") as file:
            shutil.copyfileobj(answer, file, _CHUNK)
            size = file.tell()
        if (said := answer.headers.get("Content-Length")) and int(said) != size:
            raise _BrokenOffError(f"the answer ended after {size} of {said} bytes")

    _ask(url, pause, headers, save)


def ask_json(url: str, pause: float, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The JSON object that a page answers with."""
    found_text = _ask(url, pause, headers, lambda answer: answer.read())
    try:
        found: object = json.loads(found_text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _foreign(url)
    return cast(Mapping[str, Any], found)


def items(content: Mapping[str, Any], key: str, url: str) -> list[Mapping[str, Any]]:
    """The objects that an answer lists under a key; none where it has no such key."""
    found = cast("list[Mapping[str, Any]]", content.get(key) or [])
    if not isinstance(cast(object, found), list) or not all(isinstance(cast(object, i), dict) for i in found):
        raise _foreign(url)
    return found


def text(item: Mapping[str, Any], key: str, url: str) -> str:
    """The text that an answer has under a key, as it must."""
    if not isinstance(found := item.get(key), str):
        raise _foreign(url)
    return found


def _foreign(url: str) -> FetchError:
    return FetchError(f"{url} gave another answer than such a server gives: is it the right address?")


def _ask(
    url: str,
    pause: float,
    headers: Mapping[str, str],
    receive: Callable[[http.client.HTTPResponse], Received],
) -> Received:
    """Ask and receive the answer; what fails or breaks off is asked for anew, from its beginning."""
    request = urllib.request.Request(url)  # noqa: S310
    for name, value in headers.items():
        # Who we are is for this server alone, not for one that it sends us on to.
        request.add_unredirected_header(name, value)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return receive(answer)
        except (
            *(urllib.error.URLError, http.client.HTTPException, ssl.SSLError),
            *(TimeoutError, ConnectionError, _BrokenOffError),
        ) as error:
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429
            if final or attempt == ATTEMPTS:
                raise FetchError(f"{url}: {error}") from None
            time.sleep(pause * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")
