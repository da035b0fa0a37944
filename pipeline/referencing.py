"""A registered version gets a drift reference: as a new version, for an artifact never changes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.access import logged_name, registered_version, versions_of
from pipeline.approving import APPROVAL
from pipeline.registering import ARTIFACT_DIGEST, Registered, Registry
from serving.artifact import digest, verify

OF = "reference.of"
"""The tag that names the version which the new one is made from."""


def refer(registry: Registry, name: str, version: int, data: Path, without: Sequence[str] = ()) -> Registered:
    """Register the artifact of a version, with the reference of a file of data, as the model's next version.

    The new version has the run, the description, the metrics, the parameters and the tags of the old one, all
    but its approval: that is of the old artifact. The old version stays as it is. If a version of the model
    has this very artifact, that one is returned, with the state ``found``.

    Raises RegistryError for a version that isn't there, ArtifactError if its artifact can't be read, isn't
    the registered one or can't be loaded, and DataError if the data don't fit the model.
    """
    from pipeline import reference, table
    from serving import mlmodel, runtime

    client = registry.client
    old = registered_version(client, name, version)
    location: str = client.get_model_version_download_uri(name, str(version))
    with tempfile.TemporaryDirectory(prefix="reference-") as temporary:
        folder = Path(temporary) / "model"
        with registry.downloaded(location) as stored:
            # Before anything of it is loaded, which may run code.
            verify(stored, old.tags.get(ARTIFACT_DIGEST) or digest(stored))
            ignored = shutil.ignore_patterns("registered_model_meta")
            shutil.copytree(stored, folder, ignore=ignored)
        (folder / reference.FILE).unlink(missing_ok=True)
        signature = runtime.load(mlmodel.read(folder)).signature
        reference.write(folder, table.read(data, signature, without), data.name)
        made = digest(folder)
        if found := _with(registry, name, made):
            return Registered(
                name=name, version=int(found.version), digest=made, run_id=found.run_id or "", state="found"
            )
        tags = {key: value for key, value in old.tags.items() if key not in APPROVAL}
        return _registered(registry, folder, old, tags | {ARTIFACT_DIGEST: made, OF: str(version)})


def _with(registry: Registry, name: str, made: str) -> Any | None:
    """Return the version whose artifact has a digest, the oldest of several."""
    for found in versions_of(registry.client, name):
        known = found.tags.get(ARTIFACT_DIGEST)
        if known is None:
            location = registry.client.get_model_version_download_uri(name, found.version)
            with registry.downloaded(location) as stored:
                known = digest(stored)
        if known == made:
            return found
    return None


def _registered(registry: Registry, folder: Path, old: Any, tags: Mapping[str, str]) -> Registered:
    from mlflow.entities import LoggedModelOutput

    client, run = registry.client, _run(registry.client, old.run_id)
    before = _logged_model(client, old)
    model_id: str = client.create_logged_model(
        run.info.experiment_id if run else registry.experiment(old.name),
        name=before.name if before else logged_name(old.name),
        source_run_id=run.info.run_id if run else None,
        tags=dict(tags),
        params=dict(before.params or {}) if before else None,
        model_type=before.model_type if before else None,
    ).model_id
    try:
        client.log_model_artifacts(model_id, str(folder))
        client.finalize_logged_model(model_id, "READY")
        if run:
            client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step=0)])
            _link_metrics(client, run, before, model_id)
        return registry.add_version(old.name, model_id, old.run_id, tags, old.description or "", "new")
    except BaseException:  # an interruption too: without its version, nothing refers to it
        client.delete_logged_model(model_id)
        raise


def _link_metrics(client: Any, run: Any, before: Any, model_id: str) -> None:
    """Link the run's metrics of the old model to the new one. They are the same points, so the run has none
    more.
    """
    from mlflow.entities import Metric

    points: list[Any] = (before.metrics if before else None) or []
    metrics = [
        Metric(
            point.key,
            point.value,
            point.timestamp,
            point.step,
            model_id,
            point.dataset_name,
            point.dataset_digest,
        )
        for point in points
        if point.run_id in (None, run.info.run_id)
    ]
    if metrics:
        client.log_batch(run.info.run_id, metrics=metrics)


def _run(client: Any, run_id: str | None) -> Any | None:
    """Return a version's run, or None if it has none or that was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id) if run_id else None
    except MlflowException:
        return None
    return run if run and run.info.lifecycle_stage == "active" else None


def _logged_model(client: Any, version: Any) -> Any | None:
    """Return the logged model of a version, or None: versions of before MLflow 3 have none."""
    from mlflow.exceptions import MlflowException

    source = str(version.source)
    # Not every registry keeps the id, but all keep what the version was made from.
    model_id = version.model_id or (
        source.removeprefix("models:/") if source.startswith("models:/m-") else ""
    )
    try:
        return client.get_logged_model(model_id) if model_id else None
    except MlflowException:
        return None
