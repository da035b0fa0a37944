"""S3 and Cloud Storage in small: lists with checksums, objects and parts of them, every byte counted."""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.http_server import HttpServer


class Buckets(HttpServer):
    """A server that keeps ``files`` of the bucket ``bucket``; ``stamps`` make an ETag another one."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.stamps: dict[str, str] = {}
        self.sent = 0
        """Bytes of all answers' bodies."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                code, content = owner.answer(parts.path, parse_qs(parts.query))
                ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if ranged and code == 200:
                    code, content = 206, content[int(ranged[1]) : int(ranged[2] or len(content)) + 1]
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", '"x"')
                self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
                self.end_headers()
                if self.command == "GET":
                    owner.sent += len(content)
                    self.wfile.write(content)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *_: object) -> None:
                pass

        super().__init__(Handler)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if path.startswith("/storage/v1/b/bucket/o"):
            name = unquote(path.removeprefix("/storage/v1/b/bucket/o")).removeprefix("/")
            return self._object(name) if name else self._google(query)
        name = unquote(path.removeprefix("/bucket").removeprefix("/"))
        return self._object(name) if name else self._s3(query["prefix"][0])

    def _object(self, name: str) -> tuple[int, bytes]:
        return (200, self.files[name]) if name in self.files else (404, b"no such file")

    def _hash(self, name: str) -> str:
        return hashlib.md5(self.files[name] + self.stamps.get(name, "").encode()).hexdigest()

    def _google(self, query: dict[str, list[str]]) -> tuple[int, bytes]:
        names = sorted(file for file in self.files if file.startswith(query["prefix"][0]))
        start = int(query["pageToken"][0]) if query.get("pageToken") else 0
        # Of a composed object there is no MD5.
        items = [
            {
                "name": name,
                "size": str(len(self.files[name])),
                ("crc32c" if name.endswith(".txt") else "md5Hash"): self._hash(name),
            }
            for name in names[start : start + 2]
        ]
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(names) else {}
        return 200, json.dumps({"items": items, **more}).encode()

    def _s3(self, prefix: str) -> tuple[int, bytes]:
        keys = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size>"
            f"<ETag>&quot;{self._hash(name)}&quot;</ETag></Contents>"
            for name, content in sorted(self.files.items())
            if name.startswith(prefix)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
        return 200, body.encode()
