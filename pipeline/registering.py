"""A model folder becomes a version in the MLflow registry, with all that planning and serving must know."""

import contextlib
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline import access, quiet
from pipeline.access import RegistryError, logged_name, versions_of
from serving.artifact import ArtifactError, digest

TRAINING_DIGEST = "training.digest"
ARTIFACT_DIGEST = "artifact.digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is recorded beside a model: on its run, and as tags of its version."""

    training_digest: str
    data_name: str
    data_digest: str
    data_source: str = ""
    git_commit: str = "unknown"
    git_dirty: bool = True
    code: str = ""
    """Where the code that trained it is, as `source` in `pipeline.provenance` writes it."""
    owner: str | None = None
    risk_class: str | None = None
    """Its class under the EU AI Act: `minimal`, `limited` or `high`."""
    parameters: Mapping[str, int | float | str] = field(default_factory=dict[str, int | float | str])
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    card: str = ""
    """The model card, as Markdown: the description of the version."""

    def tags(self) -> dict[str, str]:
        """Return the tags of the version, all but the digest of the artifact."""
        tags = {
            TRAINING_DIGEST: self.training_digest,
            "data.name": self.data_name,
            "data.digest": self.data_digest,
            "git.commit": self.git_commit,
            "git.dirty": str(self.git_dirty).lower(),
        }
        return tags | ({"training.code": self.code} if self.code else {}) | self.claims()

    def claims(self) -> dict[str, str]:
        """Return the tags that say nothing of the training: who answers for the model, and its risk."""
        claims = {"owner": self.owner, "risk.class": self.risk_class}
        return {key: value for key, value in claims.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version in the registry."""

    name: str
    version: int
    digest: str
    run_id: str
    state: str = "new"
    """`new`; `found`, if it was there already; `completed`, if an interrupted registration was finished."""


def register(
    folder: Path, name: str, facts: Facts, *, tracking_uri: str, artifacts: Path | None = None
) -> Registered:
    """Register the MLflow model in a folder as the next version of a model: see `Registry`."""
    with Registry.open(tracking_uri, artifacts) as registry:
        return registry.register(folder, name, facts)


class Registry:
    """An MLflow registry, locked against a second training where it is a local database.

    A run is tagged with everything about the model before its artifact is stored, and the version comes last,
    with all its tags at once. So whatever an interruption leaves behind is found by `training.digest`, and
    is finished if its artifact is whole, else removed.
    """

    def __init__(self, client: Any, tracking_uri: str, artifacts: Path | None, *, alone: bool) -> None:
        self._client = client
        self._uri = tracking_uri
        self._artifacts = artifacts
        self._alone = alone

    @classmethod
    @contextlib.contextmanager
    def open(cls, tracking_uri: str, artifacts: Path | None = None) -> "Generator[Registry]":
        """Open the registry at a tracking URI; a local database that isn't there yet is made.

        `artifacts` is the folder for the artifacts of experiments that don't exist yet; by default the folder
        `artifacts` beside a local database, and elsewhere whatever the server chooses. Raises RegistryError.
        """
        access.answers(tracking_uri)
        database = access.database(tracking_uri)
        if database and artifacts is None:
            artifacts = database.parent / "artifacts"
        with contextlib.ExitStack() as stack:
            if database:
                stack.enter_context(access.locked(database))
            from mlflow import MlflowClient

            quiet.hush()  # MLflow sets its loggers up when it is imported
            stack.enter_context(access.chosen(tracking_uri))
            client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
            yield cls(client, tracking_uri, artifacts, alone=database is not None)

    @property
    def client(self) -> Any:
        """MLflow's client of this registry."""
        return self._client

    def find(
        self, name: str, training_digest: str, lacking: Mapping[str, str] | None = None
    ) -> Registered | None:
        """Find the version that a training has given before; finish it if it was interrupted.

        A version whose artifact is gone or changed doesn't count. Of the tags `lacking` it gets those that it
        doesn't have.
        """
        versions = versions_of(self._client, name)
        for version in versions:
            tags = self._run_tags(version.run_id) | dict(version.tags)
            if tags.get(TRAINING_DIGEST) == training_digest and (whole := self._whole(version, tags)):
                self._tag(version, {key: v for key, v in (lacking or {}).items() if key not in tags})
                return whole
        known = {version.run_id for version in versions}
        for run in self._runs(name, training_digest):
            # On a server that others use too, a run that goes on may be somebody's who is at work.
            if run.info.run_id in known or (run.info.status == "RUNNING" and not self._alone):
                continue
            if finished := self._finish(run, name):
                return finished
            self._client.delete_run(run.info.run_id)
        return None

    def register(self, folder: Path, name: str, facts: Facts) -> Registered:
        """Register the MLflow model in a folder as the next version of a model."""
        from mlflow.entities import LoggedModelOutput

        tags = facts.tags() | {ARTIFACT_DIGEST: digest(folder)}
        experiment = self.experiment(name)
        run_tags = tags | {"mlflow.note.content": facts.card} if facts.card else tags
        run_id = self._client.create_run(experiment, tags=run_tags, run_name=name).info.run_id
        try:
            model_id = self._client.create_logged_model(
                experiment, name=logged_name(name), source_run_id=run_id, tags=tags
            ).model_id
            self._log(run_id, model_id, facts)
            self._client.log_model_artifacts(model_id, str(folder))
            self._client.finalize_logged_model(model_id, "READY")
            self._client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
            self._client.set_terminated(run_id)
        except Exception:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._client.set_terminated(run_id, "FAILED")
            raise
        return self.add_version(name, model_id, run_id, tags, facts.card, "new")

    def add_version(
        self, name: str, model_id: str, run_id: str | None, tags: Mapping[str, str], card: str, state: str
    ) -> Registered:
        """Make a logged model the next version of a model. Raises RegistryError if its artifact isn't the one
        of the tag ``artifact.digest``.
        """
        with self.downloaded(self._client.get_logged_model(model_id).artifact_location) as stored:
            if digest(stored) != tags[ARTIFACT_DIGEST]:
                raise RegistryError(
                    f"the artifact that the registry stored for {name} isn't the one that was handed to it;"
                    " look for a full disk or another writer, then train again"
                )
        self._ensure_registered_model(name)
        created = self._client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=run_id,
            tags=dict(tags),
            description=card or None,
            model_id=model_id,
        )
        return Registered(
            name=name,
            version=int(created.version),
            digest=tags[ARTIFACT_DIGEST],
            run_id=run_id or "",
            state=state,
        )

    def _whole(self, version: Any, tags: Mapping[str, str]) -> Registered | None:
        """Check a version's artifact against its tags, and write the tags it lacks."""
        try:
            location = self._client.get_model_version_download_uri(version.name, version.version)
            with self.downloaded(location) as stored:
                actual = digest(stored)
        except ArtifactError:
            return None
        if tags.get(ARTIFACT_DIGEST, actual) != actual:
            return None
        wanted = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
        wanted[ARTIFACT_DIGEST] = actual
        missing = {key: value for key, value in wanted.items() if key not in version.tags}
        self._tag(version, missing)
        return Registered(
            name=version.name,
            version=int(version.version),
            digest=actual,
            run_id=version.run_id,
            state="completed" if missing else "found",
        )

    def _tag(self, version: Any, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_model_version_tag(version.name, version.version, key, value)

    def _finish(self, run: Any, name: str) -> Registered | None:
        """Make the version of a run that was stopped before it, if its model is whole; else remove that."""
        run_tags = dict(run.data.tags)
        tags = {key: value for key, value in run_tags.items() if not key.startswith("mlflow.")}
        models = self._client.search_logged_models(
            [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
        )
        for model in models:
            with (
                contextlib.suppress(ArtifactError),
                self.downloaded(model.artifact_location) as stored,
            ):
                if model.status == "READY" and digest(stored) == tags.get(ARTIFACT_DIGEST):
                    card = run_tags.get("mlflow.note.content", "")
                    return self.add_version(name, model.model_id, run.info.run_id, tags, card, "completed")
            self._client.delete_logged_model(model.model_id)
        return None

    def _log(self, run_id: str, model_id: str, facts: Facts) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        short = facts.data_digest.removeprefix("sha256:")[:16]
        dataset = Dataset(
            name=facts.data_name,
            digest=short,
            source_type="code",
            source=facts.data_source or facts.data_name,
        )
        self._client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )
        now = int(time.time() * 1000)
        metrics = [
            Metric(key, value, now, 0, model_id, facts.data_name, short)
            for key, value in facts.metrics.items()
        ]
        parameters = [Param(key, str(value)) for key, value in facts.parameters.items()]
        self._client.log_batch(run_id, metrics=metrics, params=parameters)
        if facts.parameters:
            self._client.log_model_params(
                model_id, {key: str(value) for key, value in facts.parameters.items()}
            )

    def experiment(self, name: str) -> str:
        """Return the id of the experiment of a model, which is made if there is none."""
        found = self._client.get_experiment_by_name(name)
        if found:
            if found.lifecycle_stage != "active":
                raise RegistryError(
                    f"the experiment {name} was deleted; restore it, or name the model differently"
                )
            return found.experiment_id
        location = self._artifacts.resolve().as_uri() if self._artifacts else None
        return self._client.create_experiment(name, artifact_location=location)

    def _runs(self, name: str, training_digest: str) -> list[Any]:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return []
        wanted = f"tags.`{TRAINING_DIGEST}` = '{training_digest}'"
        return list(self._client.search_runs([experiment.experiment_id], wanted))

    def _run_tags(self, run_id: str | None) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        if not run_id:
            return {}
        try:
            return dict(self._client.get_run(run_id).data.tags)
        except MlflowException:  # the run was removed; its version stays
            return {}

    def _ensure_registered_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    @contextlib.contextmanager
    def downloaded(self, location: str) -> Generator[Path]:
        """Give the folder of a stored artifact: the stored one itself where it is local, else a copy of it.

        Raises ArtifactError if it can't be had.
        """
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        if location.startswith("file:"):
            yield Path(url2pathname(urlsplit(location).path))
            return
        with tempfile.TemporaryDirectory(prefix="model-") as copy:
            try:
                found = mlflow.artifacts.download_artifacts(location, dst_path=copy, tracking_uri=self._uri)
            except (MlflowException, OSError) as error:
                raise ArtifactError(f"the artifact at {location} can't be read: {error}") from None
            yield Path(found)
