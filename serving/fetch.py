"""Fetch a model's artifact from where its registry keeps it, and check its digest: a pod's first step.

Sources: ``mlflow-artifacts:/…`` (through the tracking server), ``s3://…`` (with boto3, where the image has
it), ``gs://…``, ``file:///…`` or a path (a volume). Credentials are the environment's: MLflow's own
variables, AWS', or the identity that Google's metadata server gives.
"""

import argparse
import base64
import importlib
import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from serving.artifact import ArtifactError, verify

_SECONDS = 60
File = tuple[str, Callable[[Path], None]]
"""A file of an artifact: its relative path, and what writes it to a path."""


class FetchError(Exception):
    """An artifact that can't be fetched; the text says why and what to do."""


def fetch(source: str, digest: str, to: Path, tracking: str, environment: Mapping[str, str]) -> None:
    """Put the artifact at ``to``, whole and with its digest, or raise FetchError or ArtifactError."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=to.parent) as name:
        folder = Path(name) / "artifact"
        count = 0
        for relative, write in _files(source, tracking, environment):
            path = folder / _safe(relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
            count += 1
        if not count:
            raise FetchError(f"there is nothing at {source}")
        verify(folder, digest)
        # A container that is started again finds what it fetched before.
        shutil.rmtree(to, ignore_errors=True)
        folder.rename(to)


def _files(source: str, tracking: str, environment: Mapping[str, str]) -> Iterator[File]:
    parts = urlsplit(source)
    match parts.scheme:
        case "mlflow-artifacts":
            return _mlflow(tracking, unquote(parts.path).strip("/"), environment)
        case "s3":
            return _s3(parts.netloc, unquote(parts.path).strip("/"))
        case "gs":
            return _gs(parts.netloc, unquote(parts.path).strip("/"), environment)
        case "" | "file":
            return _folder(Path(unquote(parts.path)))
        case other:
            raise FetchError(
                f"{source} can't be fetched: {other}:// is not known here; accepted are"
                " mlflow-artifacts:, s3://, gs:// and file://"
            )


def _safe(relative: str) -> PurePosixPath:
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise FetchError(f"the artifact has a file {relative!r} outside of itself")
    return path


def _folder(folder: Path) -> Iterator[File]:
    if not folder.is_dir():
        raise FetchError(f"there is no folder {folder}: is its volume mounted here?")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), _copy(path)


def _copy(path: Path) -> Callable[[Path], None]:
    return lambda to: shutil.copyfile(path, to) and None


def _mlflow(tracking: str, root: str, environment: Mapping[str, str]) -> Iterator[File]:
    """List and read through MLflow's artifact proxy."""
    base = f"{tracking.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"
    headers: dict[str, str] = {}
    if token := environment.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    elif user := environment.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{environment.get('MLFLOW_TRACKING_PASSWORD', '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    pending = [""]
    while pending:
        folder = pending.pop()
        where = "/".join(part for part in (root, folder) if part)
        listed = json.loads(_read(f"{base}?path={quote(where, safe='')}", headers))
        for entry in listed.get("files", []):
            # Some versions answer with the whole path, some with the name.
            name = PurePosixPath(entry["path"]).name
            relative = f"{folder}/{name}" if folder else name
            if entry.get("is_dir"):
                pending.append(relative)
            else:
                yield relative, _download(f"{base}/{quote(f'{root}/{relative}')}", headers)


def _s3(bucket: str, root: str) -> Iterator[File]:
    try:
        client: Any = importlib.import_module("boto3").client("s3")
    except ImportError:
        raise FetchError(
            "s3:// needs boto3, which this image doesn't have; build it in,"
            " or let MLflow hand artifacts out (mlflow server --serve-artifacts)"
        ) from None
    prefix = f"{root}/" if root else ""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = str(entry["Key"])
            if not key.endswith("/"):
                yield key.removeprefix(prefix), _object(client, bucket, key)


def _object(client: Any, bucket: str, key: str) -> Callable[[Path], None]:
    return lambda to: client.download_file(bucket, key, str(to))


def _gs(bucket: str, root: str, environment: Mapping[str, str]) -> Iterator[File]:
    """List and read through Cloud Storage's JSON API."""
    emulator = environment.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    headers = {} if emulator else {"Authorization": f"Bearer {_google_token(environment)}"}
    base = f"{emulator or 'https://storage.googleapis.com'}/storage/v1/b/{quote(bucket, safe='')}/o"
    prefix = f"{root}/" if root else ""
    token = ""
    while True:
        listed = json.loads(_read(f"{base}?prefix={quote(prefix, safe='')}&pageToken={token}", headers))
        for entry in listed.get("items", []):
            key = str(entry["name"])
            if not key.endswith("/"):
                yield key.removeprefix(prefix), _download(f"{base}/{quote(key, safe='')}?alt=media", headers)
        token = quote(listed.get("nextPageToken", ""), safe="")
        if not token:
            return


def _google_token(environment: Mapping[str, str]) -> str:
    host = environment.get("GCE_METADATA_HOST", "metadata.google.internal")
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
    return str(json.loads(_read(url, {"Metadata-Flavor": "Google"}))["access_token"])


def _read(url: str, headers: Mapping[str, str]) -> bytes:
    with _open(url, headers) as answer:
        return answer.read()


def _download(url: str, headers: Mapping[str, str]) -> Callable[[Path], None]:
    def write(to: Path) -> None:
        with _open(url, headers) as answer, to.open("wb") as file:
            shutil.copyfileobj(answer, file, 1024 * 1024)

    return write


def _open(url: str, headers: Mapping[str, str]) -> Any:
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310
    try:
        return urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        raise FetchError(f"{_shown(url)} answered {error.code} {error.reason}") from None
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(f"{_shown(url)} can't be reached: {reason}") from None


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Fetch as the command line says; returns 0, or 1 with a message."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.fetch", description="Fetch a model's artifact and check its digest."
    )
    parser.add_argument("--source", required=True, help="URI of the artifact's folder")
    parser.add_argument("--digest", required=True, help="sha256:<hex> that it must have")
    parser.add_argument("--to", required=True, type=Path, help="folder to make")
    parser.add_argument("--tracking", default="", help="MLflow tracking URI, for mlflow-artifacts:")
    given = parser.parse_args(arguments)
    try:
        fetch(given.source, given.digest, given.to, given.tracking, environment)
    except (FetchError, ArtifactError) as error:
        sys.stderr.write(f"serving.fetch: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
