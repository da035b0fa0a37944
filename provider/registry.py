"""What the MLflow registry says of a model version, and what its artifact is."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from provider.answers import Answer, Answers
from provider.contents import Content, UnreachableError, Wanted, content
from provider.login import LoginError, log_in
from provider.masking import masked, reason
from provider.resource import Properties, ProviderError

_ONE_AT_A_TIME = threading.Lock()
"""MLflow sets itself up in process-wide variables."""
_FLAVORS = ("onnx", "sklearn")
_UNITY_CATALOG = ("databricks-uc", "uc")
_LISTED = 20
"""Registered models that a message names."""


class UnknownModelError(ProviderError):
    """The registry has no such registered model."""

    def __init__(self, text: str, near: str) -> None:
        super().__init__(text)
        self.near = near
        """The registered model that was probably meant; empty: none is near."""


@dataclass(frozen=True)
class Registered:
    """A model version as it is served. Empty strings and maps stand for what the registry doesn't know."""

    digest: str
    artifact: str
    """Its folder on this machine, or where that will be once it is fetched."""
    size: int
    """Bytes of all files of the artifact."""
    source: str
    """Its URI as the registry names it (``s3://…``, ``mlflow-artifacts:/…``), without user and password."""
    flavor: str
    signature: Properties
    metrics: dict[str, float]
    run: str
    data: str
    """The digest of the data that trained it."""
    commit: str
    """The git commit of the training code."""
    code: str
    """Where the training code is: repository, path, entry."""
    owner: str
    risk_class: str
    """As the file's ``riskClass``, if it was registered with one."""
    card: str
    """The model card: its text, or the URI that the tag ``card`` has."""
    approved_by: str
    """Who approved this very artifact, see `python -m pipeline approve`; empty for an approval of another."""
    approved_at: str
    evaluation: str
    """``approved``, ``rejected``, or what else the tag says."""
    registered: str
    """When the version was made, ISO 8601 in UTC."""
    listing: str = ""
    """What its store says of its files, see ``stores.fingerprint``; empty where it wasn't asked."""
    undecided: tuple[str, ...] = ()
    """The fields that only the update can tell, since only a download does."""
    judged: Path | None = field(default=None, compare=False)
    """The folder by which it can be judged, where the artifact itself isn't on this machine."""
    rewritten: bool = False
    """See ``contents.Content``."""
    unread: str = ""
    """See ``contents.Content``."""


def resolve(
    uri: str,
    model: str,
    version: int,
    store: Path,
    wanted: Wanted = Wanted(),  # noqa: B008
) -> Registered:
    """Look a version up of a registered model. ``uri`` is an MLflow tracking URI (``https://…``, ``sqlite:///…``).

    What of its artifact is read, and where its digest comes from, is said in ``provider.contents``. An
    artifact that is downloaded is kept in ``store``, which also keeps the answers of a registry in a file
    until that file changes.

    Raises UnreachableError when the registry does not answer, UnknownModelError when it has no such model,
    another ProviderError when the version or its artifact can't be served.
    """
    answers = Answers(store / ".answers", uri, model, version)
    said = answers.kept()
    if said is None:
        with _ONE_AT_A_TIME:
            said = _ask(uri, model, version)
        answers.keep(said)
    tags, source = said.tags, said.source
    recorded = tags.get("artifact.digest", "")
    what = f"{model} version {version}"
    # Outside the lock: this takes a second a gigabyte, and releases can be read side by side.
    found = content(uri, source, recorded, store, what, wanted)
    at = masked(source) if found.folder != Path(found.artifact) else found.artifact
    if recorded and found.digest != recorded:
        raise ProviderError(
            f"the artifact of {what} in {at} is not what was registered: its digest is {found.digest}, "
            f"registered was {recorded}. Restore the artifact, or register what is there as a new version"
        )
    mlmodel = _mlmodel(found, what, at)
    flavors = _map(mlmodel.get("flavors"))
    approved = tags.get("approved.digest", found.digest) == found.digest or not found.digest
    return Registered(
        digest=found.digest,
        artifact=found.artifact,
        size=found.size,
        source=masked(source),
        flavor=next((f for f in _FLAVORS if f in flavors), ", ".join(sorted(flavors))),
        signature={k: v for k, v in _map(mlmodel.get("signature")).items() if v},
        metrics=said.metrics,
        run=said.run,
        data=tags.get("data.digest", ""),
        commit=tags.get("git.commit") or said.run_tags.get("mlflow.source.git.commit", ""),
        code=masked(tags.get("training.code") or _code(said.run_tags)),
        owner=tags.get("owner", ""),
        risk_class=tags.get("risk.class", ""),
        card=tags.get("card") or said.description,
        approved_by=tags.get("approved.by", "") if approved else "",
        approved_at=tags.get("approved.at", "") if approved else "",
        evaluation=tags.get("evaluation", ""),
        registered=_utc(said.created),
        listing=found.listing,
        undecided=_undecided(found, tags),
        judged=None if str(found.folder) == found.artifact else found.folder,
        rewritten=found.rewritten,
        unread=found.unread,
    )


def _undecided(found: Content, tags: Mapping[str, str]) -> tuple[str, ...]:
    if found.digest:
        return ()
    # An approval is of one digest.
    approval = ("approved_by", "approved_at") if "approved.digest" in tags else ()
    return ("digest", "artifact", *approval)


def _ask(uri: str, model: str, version: int) -> Answer:
    client = _client(uri)
    found = _version(client, uri, model, version)
    source = _source(client, uri, model, version)
    metrics, run_tags = _run(client, found.run_id)
    return Answer(
        run=found.run_id or "",
        source=source,
        tags=dict(found.tags or {}),
        description=found.description or "",
        created=found.creation_timestamp,
        metrics=metrics,
        run_tags=run_tags,
    )


def _client(uri: str) -> Any:
    if urlsplit(uri).scheme in _UNITY_CATALOG or uri in _UNITY_CATALOG:
        raise ProviderError(
            f"the registry {masked(uri)} is a Unity Catalog, which can't be read yet: MLflow takes it for no "
            "tracking URI, and its artifacts are handed out with temporary credentials, which a server that "
            "starts again later hasn't got. Register the versions in an MLflow tracking server"
        )
    if urlsplit(uri).scheme == "sqlite":
        # MLflow would make an empty database where there is none.
        path = Path(uri.removeprefix("sqlite:///"))
        if not path.is_file():
            raise UnreachableError(f"there is no file {path}")
    if urlsplit(uri).scheme in ("http", "https"):
        try:
            log_in()
        except LoginError as error:
            raise UnreachableError(str(error)) from None
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from mlflow import MlflowClient

    try:
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    except Exception as error:
        raise UnreachableError(reason(error, uri)) from None


def _version(client: Any, uri: str, model: str, version: int) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(model, str(version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise UnreachableError(reason(error, uri)) from None
    except Exception as error:
        raise UnreachableError(reason(error, uri)) from None
    try:
        unknown = _unknown(client, uri, model, version)
    except Exception as error:
        raise UnreachableError(reason(error, uri)) from None
    raise unknown


def _unknown(client: Any, uri: str, model: str, version: int) -> ProviderError:
    registry, models = masked(uri), sorted(_models(client))
    if model in models:
        versions = sorted(int(v.version) for v in client.search_model_versions(f"name = {_quoted(model)}"))
        known = f"registered are {', '.join(map(str, versions))}" if versions else "it has no version yet"
        return ProviderError(f"{model} has no version {version} in the registry {registry}; {known}")
    known = f"registered are {', '.join(models[:_LISTED])}" if models else "nothing is registered there yet"
    more = f" and {len(models) - _LISTED} more" if len(models) > _LISTED else ""
    return UnknownModelError(
        f"the registry {registry} has no model {model!r}; {known}{more}", _near(model, models)
    )


def _models(client: Any) -> list[str]:
    """The names of all registered models, page by page."""
    names: list[str] = []
    token = None
    while True:
        page = client.search_registered_models(max_results=1000, page_token=token)
        names += [model.name for model in page]
        token = page.token
        if not token:
            return names


def _quoted(name: str) -> str:
    """A name in a filter of MLflow's, which knows no escapes."""
    return f'"{name}"' if "'" in name else f"'{name}'"


def _near(model: str, models: list[str]) -> str:
    """The registered name that was probably meant: one that differs only in case and marks, one whose last
    part it is (``main.ml.churn`` of ``churn``), or one that is spelt nearly the same."""

    def plain(name: str) -> str:
        return "".join(filter(str.isalnum, name.casefold()))

    wanted = plain(model)
    same = [name for name in models if plain(name) == wanted]
    last = [name for name in models if plain(name.rpartition(".")[2]) == wanted]
    for meant in (same, last):
        if len(meant) == 1:
            return meant[0]
    return next(iter(get_close_matches(model, models, n=1)), "")


def _source(client: Any, uri: str, model: str, version: int) -> str:
    try:
        return str(client.get_model_version_download_uri(model, str(version)))
    except Exception as error:
        raise UnreachableError(reason(error, uri)) from None


def _mlmodel(found: Content, what: str, at: str) -> Properties:
    try:
        return _map(yaml.safe_load((found.folder / "MLmodel").read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        told = str(error).replace(str(found.folder), at)
        raise ProviderError(f"{what} has no readable MLmodel file in {at}: {told}") from None


def _map(value: object) -> Properties:
    return cast(Properties, value) if isinstance(value, dict) else {}


def _run(client: Any, run: str | None) -> tuple[dict[str, float], dict[str, str]]:
    """The run's finite metrics and its tags, or none: the run may be gone, the version isn't."""
    if not run:
        return {}, {}
    try:
        found = client.get_run(run).data
    except Exception:
        return {}, {}
    metrics = {name: float(value) for name, value in found.metrics.items() if math.isfinite(value)}
    return metrics, dict(found.tags)


def _code(run: Mapping[str, str]) -> str:
    """Where MLflow itself says that a run's code is: it knows the repository of a script in a checkout."""
    repository, script = run.get("mlflow.source.git.repoURL", ""), run.get("mlflow.source.name", "")
    return f"{repository}#{script}" if repository and script else ""


def _utc(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
