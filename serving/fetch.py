"""Fetch a model's artifact to where a server loads it; refuse other bytes than those that were pinned.

    python -m serving.fetch --source s3://… --digest sha256:… --to DIR [--tracking https://…]

Each option can also be given as SERVING_SOURCE, SERVING_DIGEST, SERVING_ARTIFACT (for --to),
SERVING_TRACKING. Sources: `s3://bucket/prefix`, with the credentials that boto3 finds; `gs://bucket/prefix`,
as the service account that Google's metadata server names; `mlflow-artifacts:/path`, which the MLflow server
at --tracking hands out (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN);
`file:///path` and a plain path, for what is mounted.
"""

import argparse
import base64
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from serving.artifact import ArtifactError, digest, verify
from serving.transfer import ATTEMPTS, FetchError, ask_json, download, items, text


def fetch(source: str, expected: str, to: Path, tracking: str = "", pause: float = 1.0) -> bool:
    """Make `to` the folder of the artifact with the digest `expected`; False if it was there already.

    The folder appears whole or not at all. What fails on the way is tried again up to three times, after
    `pause` seconds at first and twice as long each time. Raises FetchError or ArtifactError.
    """
    if to.exists() and _is(to, expected):
        return False
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".fetching-", dir=to.parent))
    except OSError as error:
        raise FetchError(f"cannot write to {to.parent}: {error.strerror}") from None
    try:
        _copy(source, tracking, fresh, pause)
        verify(fresh, expected)
        # An earlier, other artifact; or a mounted folder, which can only be filled.
        shutil.rmtree(to, ignore_errors=True)
        fresh.rename(to)
        to.chmod(0o755)
    except OSError as error:
        raise FetchError(f"cannot write the artifact to {to}: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return True


def _is(folder: Path, expected: str) -> bool:
    try:
        return digest(folder) == expected
    except ArtifactError:
        return False


def _copy(source: str, tracking: str, into: Path, pause: float) -> None:
    scheme = urlsplit(source).scheme
    if scheme == "s3":
        _from_s3(source, into)
    elif scheme == "mlflow-artifacts":
        _from_mlflow(source, tracking, into, pause)
    elif scheme == "gs":
        _from_gs(source, into, pause)
    elif scheme in ("file", ""):
        path = Path(url2pathname(urlsplit(source).path)) if scheme else Path(source)
        if not path.is_dir():
            raise FetchError(f"there is no folder {path}")
        shutil.copytree(path, into, dirs_exist_ok=True, symlinks=True)
    else:
        raise FetchError(
            f"artifacts can't be fetched from {scheme}://;"
            " accepted: s3://, gs://, mlflow-artifacts:/ and file://"
        )


def _from_s3(source: str, into: Path) -> None:
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(source)
    bucket, prefix = parts.netloc, parts.path.strip("/") + "/"
    try:
        client = (
            cast(Any, boto3)
            .session.Session()
            .client("s3", config=Config(retries={"max_attempts": ATTEMPTS, "mode": "standard"}))
        )
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = 0
        for page in pages:
            for item in page.get("Contents", []):
                key = str(item["Key"])
                if key.endswith("/"):
                    continue  # consoles make such empty objects for folders
                client.download_file(bucket, key, str(_inside(into, key.removeprefix(prefix))))
                found += 1
    # Boto3's own are neither: a download that broke off more often than it was tried again.
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise FetchError(f"{source}: {error}") from None
    if not found:
        raise FetchError(f"there is nothing at {source}")


def _from_gs(source: str, into: Path, pause: float) -> None:
    """Read through Cloud Storage's JSON API; STORAGE_EMULATOR_HOST is one without tokens."""
    parts = urlsplit(source)
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    headers = {} if emulator else {"Authorization": f"Bearer {_google_token(pause)}"}
    base = f"{emulator or 'https://storage.googleapis.com'}/storage/v1/b/{quote(parts.netloc, safe='')}/o"
    prefix, page, found = parts.path.strip("/") + "/", "", 0
    while True:
        url = f"{base}?prefix={quote(prefix, safe='')}&pageToken={quote(page, safe='')}"
        content = ask_json(url, pause, headers)
        for item in items(content, "items", url):
            name = text(item, "name", url)
            if name.endswith("/"):
                continue
            path = _inside(into, name.removeprefix(prefix))
            download(f"{base}/{quote(name, safe='')}?alt=media", path, pause, headers)
            found += 1
        page = str(content.get("nextPageToken") or "")
        if not page:
            break
    if not found:
        raise FetchError(f"there is nothing at {source}")


def _google_token(pause: float) -> str:
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
    return text(ask_json(url, pause, {"Metadata-Flavor": "Google"}), "access_token", url)


def _from_mlflow(source: str, tracking: str, into: Path, pause: float) -> None:
    parts = urlsplit(source)
    server = tracking.rstrip("/")
    if parts.netloc:
        server = f"{urlsplit(tracking).scheme or 'https'}://{parts.netloc}"
    if not server:
        raise FetchError(f"{source} is handed out by an MLflow server: say which one by --tracking")
    if urlsplit(server).scheme not in ("http", "https"):
        raise FetchError(
            f"{source} is handed out by an MLflow server, which {server} is not: http:// or https://"
        )
    base = f"{server}/api/2.0/mlflow-artifacts/artifacts"
    for path in _listed(base, parts.path.strip("/"), "", pause):
        url = f"{base}/{quote(parts.path.strip('/'))}/{quote(path)}"
        download(url, _inside(into, path), pause, _authorisation(os.environ))


def _listed(base: str, root: str, below: str, pause: float) -> Iterator[str]:
    """The files below a folder of an MLflow server, by their paths within `root`."""
    at = f"{root}/{below}".rstrip("/")
    url = f"{base}?path={quote(at, safe='')}"
    for item in items(ask_json(url, pause, _authorisation(os.environ)), "files", url):
        path = f"{below}/{text(item, 'path', url)}".lstrip("/")
        if item.get("is_dir"):
            yield from _listed(base, root, path, pause)
        else:
            yield path


def _authorisation(environment: Mapping[str, str]) -> dict[str, str]:
    if token := environment.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := environment.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{environment.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _inside(folder: Path, name: str) -> Path:
    """The path of a file within the folder, whose own folder is made. Names that lead out are refused."""
    path = folder / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise FetchError(
            f"the artifact has a file of the name {name!r}, which would lie outside of its folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def main(arguments: Sequence[str]) -> int:
    """The command line: fetch, and say what was done. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.fetch", description="Fetch a model's artifact and check its digest."
    )

    def option(
        flag: str, variable: str, text: str, kind: Callable[[str], object] = str, must: bool = True
    ) -> None:
        value: object = os.environ.get(variable) or None
        parser.add_argument(flag, type=kind, default=value, required=must and value is None, help=text)

    option("--source", "SERVING_SOURCE", "s3://…, mlflow-artifacts:/…, file://… or a path")
    option("--digest", "SERVING_DIGEST", "sha256:<hex> that the artifact must have")
    option("--to", "SERVING_ARTIFACT", "folder to make", Path)
    option("--tracking", "SERVING_TRACKING", "MLflow tracking URI", must=False)
    values = parser.parse_args(arguments)
    to = Path(values.to)
    try:
        fresh = fetch(values.source, values.digest, to, values.tracking or "")
    except (FetchError, ArtifactError) as error:
        sys.stderr.write(f"serving.fetch: {error}\n")
        return 1
    sys.stderr.write(f"serving.fetch: {to} {'has' if fresh else 'had'} {values.digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
