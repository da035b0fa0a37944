"""A small MLflow registry in which every version that a plan asks for exists, as it would in a real one.

Artifacts are named where a real registry has them, in a bucket. They are small, the same each time, and
already in the store of fetched artifacts, so nothing is downloaded.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from serving.artifact import digest

if TYPE_CHECKING:
    from mlflow import MlflowClient

BUCKETS = {"gcp": "gs://mlflow-artifacts"}
"""Where artifacts are on the kinds of platform that fetch from no other place than their cloud's own."""
BUCKET = "s3://mlflow-artifacts"

_MLMODEL = """\
flavors:
  sklearn:
    serialization_format: cloudpickle
signature:
  inputs: '[{{"type": "double", "name": "age", "required": true}}]'
  outputs: '[{{"type": "long", "required": true}}]'
model_uuid: {name}-{version}
"""


class SeededRegistry:
    """A registry and a store below ``home``, which is the plan's MODEL_DELIVERY_HOME."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._folder = home / "registry"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.uri = f"sqlite:///{self._folder / 'mlflow.db'}"
        self._last: dict[str, int] = {}
        self._runs: dict[str, str] = {}

    def seed(self, versions: Mapping[str, int], kind: str = "") -> None:
        """Register models up to a version each; what is there already stays. `kind`: the platform's."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        from pipeline import quiet

        quiet.hush()
        client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        for name, last in sorted(versions.items()):
            if name not in self._last:
                try:
                    client.create_registered_model(name)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
            for version in range(self._last.get(name, 0) + 1, last + 1):
                self._register(client, name, version, BUCKETS.get(kind, BUCKET))
            self._last[name] = max(self._last.get(name, 0), last)

    def _register(self, client: MlflowClient, name: str, version: int, bucket: str) -> None:
        store = self.home / "artifacts"
        fresh = store / f".new-{name}-{version}"
        fresh.mkdir(parents=True)
        (fresh / "MLmodel").write_text(_MLMODEL.format(name=name, version=version))
        (fresh / "model.pkl").write_bytes(pickle.dumps(None))
        found = digest(fresh)
        kept = store / found.replace(":", "-")
        shutil.rmtree(kept, ignore_errors=True)
        fresh.rename(kept)
        # All that the policy pack asks of a release, as a registry has it whose versions were approved.
        tags = {
            "artifact.digest": found,
            "data.digest": "sha256:0",
            "git.commit": "0" * 40,
            "training.code": "https://git.example.com/models@main#train.py",
            "owner": "models-team",
            "risk.class": "minimal",
            "card": f"https://models.example.com/cards/{name}",
            "evaluation": "approved",
            "approved.by": "k.meier@example.com",
            "approved.at": (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "approved.digest": found,
        }
        if name not in self._runs:
            self._runs[name] = client.create_run("0").info.run_id
            client.log_metric(self._runs[name], "accuracy", 0.9)
        made = client.create_model_version(
            name, f"{bucket}/{name}/{version}", run_id=self._runs[name], tags=tags
        )
        if int(made.version) != version:
            raise RuntimeError(f"{name}: the registry gave {made.version} for {version}")
