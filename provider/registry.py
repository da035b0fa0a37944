"""What the MLflow registry says of a model version, with the artifact's digest found in its own bytes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from provider.resource import Properties, ProviderError
from serving.artifact import ArtifactError, digest

_ONE_AT_A_TIME = threading.Lock()


class Unreachable(Exception):
    """The registry did not answer; nothing is known about the version. The text says where and why."""


@dataclass(frozen=True)
class Registered:
    """A model version as it is served. Empty strings and maps stand for what the registry doesn't know."""

    digest: str
    artifact: str
    flavor: str
    signature: Properties
    metrics: dict[str, float]
    run: str
    data: str
    commit: str


def resolve(uri: str, model: str, version: int) -> Registered:
    """Look a version up. ``uri`` is an MLflow tracking URI (``https://…``, ``sqlite:///…``).

    The digest is computed from the artifact, and compared with the one that was registered where there is one.

    Raises Unreachable when the registry does not answer, ProviderError when the version or its artifact can't be served.
    """
    with _ONE_AT_A_TIME:
        client = _client(uri)
        found = _version(client, uri, model, version)
        tags: dict[str, str] = dict(found.tags or {})
        artifact = _artifact(client, model, version)
        actual = _digest(artifact, model, version)
        registered = tags.get("artifact.digest", actual)
        if actual != registered:
            raise ProviderError(
                f"the artifact of {model} version {version} in {artifact} is not what was registered: its digest is {actual}, "
                f"registered was {registered}. Restore the artifact, or register what is there as a new version"
            )
        content = _mlmodel(artifact, model, version)
        flavors = _map(content.get("flavors"))
        return Registered(
            digest=actual,
            artifact=str(artifact),
            flavor=next((f for f in ("onnx", "sklearn") if f in flavors), ", ".join(sorted(flavors))),
            signature={k: v for k, v in _map(content.get("signature")).items() if v},
            metrics=_metrics(client, found.run_id),
            run=found.run_id or "",
            data=tags.get("data.digest", ""),
            commit=tags.get("git.commit", ""),
        )


def _client(uri: str) -> Any:
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        # MLflow would make an empty database where there is none, and the user would look for the model in vain.
        path = Path(uri.removeprefix("sqlite:///"))
        if not path.is_file():
            raise Unreachable(f"there is no registry at {path}")
    import logging
    import os

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    from mlflow import MlflowClient

    try:
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    except Exception as error:
        raise Unreachable(_reason(error)) from None


def _version(client: Any, uri: str, model: str, version: int) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(model, str(version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise Unreachable(_reason(error)) from None
    except Exception as error:
        raise Unreachable(_reason(error)) from None
    raise ProviderError(_unknown(client, uri, model, version))


def _unknown(client: Any, uri: str, model: str, version: int) -> str:
    versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{model}'"))
    if versions:
        return f"{model} has no version {version} in the registry {uri}; registered are {', '.join(map(str, versions))}"
    models = sorted(m.name for m in client.search_registered_models())
    known = f"registered are {', '.join(models)}" if models else "nothing is registered there yet"
    return f"the registry {uri} has no model {model!r}; {known}"


def _artifact(client: Any, model: str, version: int) -> Path:
    source = str(client.get_model_version_download_uri(model, str(version)))
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme == "" or (not parts.netloc and Path(source).exists()):
        return Path(source)
    import mlflow.artifacts

    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source))
    except Exception as error:
        raise Unreachable(
            f"the artifact {source} of {model} version {version} can't be fetched: {_reason(error)}"
        ) from None


def _digest(artifact: Path, model: str, version: int) -> str:
    try:
        return digest(artifact)
    except ArtifactError as error:
        raise ProviderError(f"{model} version {version} can't be served: {error}") from None


def _mlmodel(artifact: Path, model: str, version: int) -> Properties:
    try:
        content = yaml.safe_load((artifact / "MLmodel").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ProviderError(
            f"{model} version {version} has no readable MLmodel file in {artifact}: {error}"
        ) from None
    return _map(content)


def _map(value: object) -> Properties:
    return cast(Properties, value) if isinstance(value, dict) else {}


def _metrics(client: Any, run: str | None) -> dict[str, float]:
    if not run:
        return {}
    try:
        return {k: float(v) for k, v in client.get_run(run).data.metrics.items()}
    except Exception:
        # The run may have been deleted since; the version is still what it was.
        return {}


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
