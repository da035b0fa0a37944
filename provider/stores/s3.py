"""Artifacts in S3, and in what speaks its protocol."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from provider.stores import File

_ATTEMPTS = 3


class S3:
    """An artifact at ``s3://bucket/prefix``.

    An object's ETag changes with its content, whatever encrypts it; that it is the same says that nothing was
    written since (Amazon S3 API reference, type Object). It comes with the list, so it needs no right beyond
    ``s3:ListBucket``. Credentials are those that boto3 finds, settings those that MLflow reads.
    """

    evidence = "s3-etag"
    ranges = True

    def __init__(self, source: str) -> None:
        parts = urlsplit(source)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/") + "/"
        self._client = _client()

    def files(self) -> list[File]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        return [
            File(str(item["Key"]).removeprefix(self._prefix), int(item["Size"]), str(item["ETag"]).strip('"'))
            for page in pages
            for item in page.get("Contents", [])
            # Consoles make such empty objects for folders.
            if not str(item["Key"]).endswith("/")
        ]

    def read(self, path: str, start: int, length: int) -> bytes:
        answer = self._client.get_object(
            Bucket=self._bucket, Key=self._prefix + path, Range=f"bytes={start}-{start + length - 1}"
        )
        return cast(bytes, answer["Body"].read())

    def copy(self, path: str, to: Path) -> None:
        self._client.download_file(self._bucket, self._prefix + path, str(to))


def _client() -> Any:
    import boto3
    from botocore.config import Config

    addressing = os.environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "auto")
    config = Config(
        retries={"max_attempts": _ATTEMPTS, "mode": "standard"},
        s3=cast(Any, {"addressing_style": addressing}),
    )
    unchecked = os.environ.get("MLFLOW_S3_IGNORE_TLS", "").lower() in ("true", "1")
    # A session for each: boto3's default one is not for several threads.
    return (
        cast(Any, boto3)
        .session.Session()
        .client(
            "s3",
            endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
            verify=False if unchecked else None,
            config=config,
        )
    )
