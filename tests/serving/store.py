"""A stand-in for the stores that artifacts are fetched from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.http_server import HttpServer


class Store(HttpServer):
    """A server that keeps files by their names, in the words of MLflow, Cloud Storage and S3."""

    def __init__(self, files: Mapping[str, bytes], host: str = "127.0.0.1") -> None:
        self.files = dict(files)
        self.asked: list[str] = []
        self.authorisations: set[str] = set()
        self.failures = 0
        self.broken = 0  # answers that end in their middle
        self.instead: bytes | None = None  # what every page says
        self.elsewhere = ""  # where every page sends one on to
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.path)
                owner.authorisations.add(self.headers.get("Authorization", ""))
                if owner.failures:
                    owner.failures -= 1
                    self.answer(503, b"busy")
                    return
                if owner.elsewhere:
                    self.send_response(302)
                    self.send_header("Location", owner.elsewhere + self.path)
                    self.end_headers()
                    return
                parts = urlsplit(self.path)
                code, content = owner.answer(parts.path, parse_qs(parts.query))
                self.answer(code, content if owner.instead is None else owner.instead)

            do_HEAD = do_GET  # noqa: N815

            def answer(self, code: int, content: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", '"x"')
                self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
                self.end_headers()
                if self.command == "GET":
                    if owner.broken and len(content) > 1000:
                        owner.broken -= 1
                        content = content[:1000]
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(Handler, host)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts"):
            return self._mlflow(unquote(path.removeprefix("/api/2.0/mlflow-artifacts/artifacts")), query)
        if path.startswith("/storage/v1/b/bucket/o"):
            return self._gs(unquote(path.removeprefix("/storage/v1/b/bucket/o")), query)
        if path.startswith("/computeMetadata/"):
            return 200, json.dumps({"access_token": "from-metadata"}).encode()
        return self._s3(unquote(path.removeprefix("/bucket").removeprefix("/")), query)

    def _object(self, name: str) -> tuple[int, bytes]:
        return (200, self.files[name]) if name in self.files else (404, b"no such file")

    def _mlflow(self, name: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if name:
            return self._object(name.strip("/"))
        folder = query["path"][0].strip("/") + "/"
        below = {file.removeprefix(folder) for file in self.files if file.startswith(folder)} - {""}
        entries = {(name.partition("/")[0], "/" in name) for name in below}
        found = [{"path": path, "is_dir": is_folder} for path, is_folder in sorted(entries)]
        return 200, json.dumps({"files": found}).encode()

    def _gs(self, name: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if name:
            return self._object(name.removeprefix("/"))
        names = sorted(file for file in self.files if file.startswith(query["prefix"][0]))
        start = int(query.get("pageToken", ["0"])[0])
        page: dict[str, object] = {"items": [{"name": file} for file in names[start : start + 2]]}
        if start + 2 < len(names):
            page["nextPageToken"] = str(start + 2)
        return 200, json.dumps(page).encode()

    def _s3(self, name: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if name:
            return self._object(name)
        prefix = query["prefix"][0]
        keys = "".join(
            f"<Contents><Key>{escape(file)}</Key><Size>{len(content)}</Size></Contents>"
            for file, content in self.files.items()
            if file.startswith(prefix)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
        return 200, body.encode()
