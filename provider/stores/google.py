"""Artifacts in Google Cloud Storage, through its JSON API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

from provider.stores import File

_READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
_SECONDS = 60
_CHUNK = 1 << 20


class CloudStorage:
    """An artifact at ``gs://bucket/prefix``, with Application Default Credentials; STORAGE_EMULATOR_HOST is a
    server without any.

    An object's MD5 is that of its content, except where it was composed of others, which has a CRC32C alone
    (Cloud Storage, Hashes and ETags).
    """

    evidence = "gs-hash"
    ranges = True

    def __init__(self, source: str) -> None:
        parts = urlsplit(source)
        self._prefix = parts.path.strip("/") + "/"
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
        host = emulator or "https://storage.googleapis.com"
        self._objects = f"{host}/storage/v1/b/{quote(parts.netloc, safe='')}/o"
        self._session = _session(signed=not emulator)

    def files(self) -> list[File]:
        found: list[File] = []
        page = ""
        while True:
            fields = "items(name,size,md5Hash,crc32c),nextPageToken"
            url = f"{self._objects}?prefix={quote(self._prefix, safe='')}&fields={quote(fields, safe='')}"
            content = cast("dict[str, Any]", self._get(f"{url}&pageToken={quote(page, safe='')}").json())
            for item in content.get("items", []):
                if not (name := str(item["name"])).endswith("/"):
                    checksum = str(item.get("md5Hash") or item.get("crc32c") or "")
                    found.append(File(name.removeprefix(self._prefix), int(item["size"]), checksum))
            page = str(content.get("nextPageToken") or "")
            if not page:
                return found

    def read(self, path: str, start: int, length: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        return cast(bytes, self._get(self._media(path), headers=headers).content)

    def copy(self, path: str, to: Path) -> None:
        with self._get(self._media(path), stream=True) as answer, to.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)

    def _media(self, path: str) -> str:
        return f"{self._objects}/{quote(self._prefix + path, safe='')}?alt=media"

    def _get(self, url: str, **more: Any) -> Any:
        answer = self._session.get(url, timeout=_SECONDS, **more)
        answer.raise_for_status()
        return answer


def _session(signed: bool) -> Any:
    if not signed:
        import requests

        return requests.Session()
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = cast(Any, google.auth).default(scopes=[_READ_ONLY])
    return AuthorizedSession(credentials)
