"""Addresses and errors without the secrets that they may hold. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HIDDEN = "***"
_LONGEST = 200


def masked(uri: str) -> str:
    """An address whose user, password and query are hidden: ``https://***@host/path``."""
    text = re.sub(r"(?<=://)[^/?#]*@", f"{_HIDDEN}@", uri)
    return re.sub(r"(?<=\?)[^#\s]+", _HIDDEN, text) if "://" in text else text


def reason(error: BaseException, uri: str) -> str:
    """Why something at an address failed: the innermost cause in one line, without secrets."""
    innermost = error
    while (cause := _cause(innermost)) is not None:
        innermost = cause
    text = innermost.strerror if isinstance(innermost, OSError) and innermost.strerror else str(innermost)
    line = next((part for part in text.strip().splitlines() if part.strip()), type(innermost).__name__)
    for secret in _secrets(uri):
        line = line.replace(secret, _HIDDEN)
    line = re.sub(r"\S+://\S+", lambda found: masked(found[0]), line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _cause(error: BaseException) -> BaseException | None:
    """What an exception came from: its cause, its context, or what urllib3 carries in it."""
    carried = getattr(error, "reason", None)
    if isinstance(carried, BaseException):
        return carried
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _secrets(uri: str) -> list[str]:
    parts = urlsplit(uri)
    found = [parts.password, parts.username, parts.query, parts.netloc.rpartition("@")[0]]
    return sorted({s for s in found if s and len(s) > 2}, key=len, reverse=True)
