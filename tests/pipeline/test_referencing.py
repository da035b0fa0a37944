"""A drift reference for a model of plain MLflow, in a real registry: before and after its registration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import numpy as np
import pandas
import pytest

from pipeline import access, reference
from pipeline.__main__ import main
from pipeline.registering import Facts, Registry, register
from pipeline.table import DataError
from serving.artifact import digest
from tests.serving.client import serve

pytestmark = pytest.mark.real

FEATURES = ["age", "income", "tenure"]
ROWS = pandas.DataFrame(np.random.default_rng(3).normal(size=(50, 3)), columns=FEATURES)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    ROWS.to_csv(tmp_path / "train.csv", index=False)
    return tmp_path / "train.csv"


def client(tracking_uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def stored(tracking_uri: str, version: int) -> Path:
    uri: str = client(tracking_uri).get_model_version_download_uri("people", str(version))
    return Path(url2pathname(uri.removeprefix("file://")))


def state(tracking_uri: str, version: int) -> dict[str, Any]:
    """All of a version that a reader of the registry sees."""
    found = client(tracking_uri).get_model_version("people", str(version))
    run = client(tracking_uri).get_run(found.run_id) if found.run_id else None
    fields = {key: value for key, value in dict(found).items() if key != "metrics"}
    return {
        **fields,
        "tags": dict(found.tags),
        "files": digest(stored(tracking_uri, version)),
        "run": run and (run.data.to_dictionary(), run.info.status, run.info.end_time),
        "history": run and len(client(tracking_uri).get_metric_history(found.run_id, "accuracy")),
    }


def log(tracking_uri: str, model: Any, **options: Any) -> Any:
    """Log the model and its measure by plain MLflow, as a data scientist does."""
    import mlflow
    from mlflow.models import infer_signature

    # Without a location of its own, its artifacts go to `mlruns` in the current folder: this checkout.
    files = Path(url2pathname(tracking_uri.removeprefix("sqlite:///"))).parent / "artifacts"
    if client(tracking_uri).get_experiment_by_name("people of a notebook") is None:
        client(tracking_uri).create_experiment("people of a notebook", files.as_uri())
    mlflow.set_experiment("people of a notebook")
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(ROWS, np.array([0, 1])),
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
            **options,
        )
        mlflow.log_metric("accuracy", 0.9, model_id=info.model_id)
        mlflow.log_param("C", 1.0)
    return info


class TestTheCommand:
    @pytest.fixture
    def registered(self, classifier: Any, tracking_uri: str) -> str:
        """Version 1 of `people`, by plain MLflow; no tag of ours."""
        with access.chosen(tracking_uri):
            log(tracking_uri, classifier, registered_model_name="people")
        for key, value in {"owner": "risk-team", "approved.by": "Ann", "evaluation": "rejected"}.items():
            client(tracking_uri).set_model_version_tag("people", "1", key, value)
        client(tracking_uri).update_model_version("people", "1", "# A card")
        return tracking_uri

    def refer(self, tracking_uri: str, version: int, data: Path, *words: str) -> int:
        place = ("--tracking-uri", tracking_uri)
        return main(["reference", "people", str(version), "--data", str(data), *words, *place])

    def test_makes_a_new_version_of_the_same_model_and_leaves_the_old_one(
        self, registered: str, data: Path, capsys: pytest.CaptureFixture[str]
    ):
        before = state(registered, 1)
        capsys.readouterr()
        assert self.refer(registered, 1, data) == 0
        told = capsys.readouterr().out
        assert "people version 2: registered" in told and "version 1 stays as it is" in told
        assert state(registered, 1) == before

        old, new = stored(registered, 1), stored(registered, 2)
        names = {path.name for path in old.iterdir()}
        assert {path.name for path in new.iterdir()} - names == {"reference.json"}
        assert all((old / name).read_bytes() == (new / name).read_bytes() for name in names)
        made = state(registered, 2)
        assert made["tags"] == {
            "owner": "risk-team",
            "evaluation": "rejected",  # it is the same model: what was found of it stays found
            "artifact.digest": digest(new),
            "reference.of": "1",
        }
        assert (made["run_id"], made["description"]) == (before["run_id"], "# A card")
        logged = client(registered).get_logged_model(made["source"].removeprefix("models:/"))
        assert [(m.key, m.value, m.run_id) for m in logged.metrics] == [("accuracy", 0.9, made["run_id"])]
        assert logged.source_run_id == made["run_id"]
        assert logged.name == "model"
        assert logged.status == "READY"

    def test_makes_what_the_server_counts_by(self, registered: str, data: Path):
        assert self.refer(registered, 1, data) == 0
        with serve(stored(registered, 2)) as server:
            server.predict(ROWS.to_numpy().tolist())
            median = json.loads((stored(registered, 2) / "reference.json").read_text())["features"]["age"]
            line = f'model_feature_distribution_bucket{{feature="age",le="{median["quantiles"][4]!r}"}}'
            assert server.metric(line) == 25

    def test_makes_no_further_version_of_the_same_data(
        self, registered: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        assert self.refer(registered, 1, data) == 0
        ROWS.assign(label=1).to_parquet(tmp_path / "train.parquet")
        capsys.readouterr()
        for version, words in ((1, ()), (2, ()), (1, ("--without", "label"))):
            file = tmp_path / "train.parquet" if words else data
            assert self.refer(registered, version, file, *words) == 0
            assert "people version 2 has this drift reference already" in capsys.readouterr().out
        assert len(client(registered).search_model_versions("name='people'")) == 2
        (ROWS * 2).to_csv(data, index=False)
        assert self.refer(registered, 2, data) == 0
        assert "people version 3: registered" in capsys.readouterr().out

    def test_needs_no_run(self, registered: str, data: Path):
        run_id = state(registered, 1)["run_id"]
        client(registered).delete_run(run_id)
        assert self.refer(registered, 1, data) == 0
        assert client(registered).get_model_version("people", "2").run_id == run_id

    @pytest.mark.parametrize("name", ["main.ml.people", "O'Brien"])
    def test_takes_a_registered_model_whose_name_no_logged_model_may_have(
        self, registered: str, data: Path, name: str
    ):
        client(registered).create_registered_model(name)
        client(registered).create_model_version(name, stored(registered, 1).as_uri())
        place = ("--data", str(data), "--tracking-uri", registered)
        assert main(["reference", name, "1", *place]) == 0
        assert client(registered).get_model_version(name, "2").tags["reference.of"] == "1"

    @pytest.mark.parametrize(
        ("version", "content", "says"),
        [
            (7, None, "people has no version 7; registered are 1"),
            (1, "age,income\n1,2\n", "train.csv lacks the column 'tenure'"),
            (1, "age,income,tenure,label\n1,2,3,4\n", "--without COLUMN"),
            (1, "age,income,tenure\n1,2,x\n", "train.csv, row 1 (tenure): expected a number"),
            (1, "", "is empty"),
        ],
    )
    def test_registers_nothing_by_a_mistake(
        self,
        registered: str,
        data: Path,
        version: int,
        content: str | None,
        says: str,
        capsys: pytest.CaptureFixture[str],
    ):
        if content is not None:
            data.write_text(content)
        capsys.readouterr()
        assert self.refer(registered, version, data) == 1
        told = capsys.readouterr().err
        assert says in told and told.startswith("error: ") and told.count("\n") == 1
        assert len(client(registered).search_model_versions("name='people'")) == 1

    def test_leaves_nothing_behind_when_the_registration_fails(
        self, registered: str, data: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Registry, "add_version", full)
        assert self.refer(registered, 1, data) == 1
        experiment = client(registered).get_experiment_by_name("people of a notebook").experiment_id
        assert len(client(registered).search_logged_models([experiment])) == 1
        monkeypatch.undo()
        assert self.refer(registered, 1, data) == 0
        assert len(client(registered).search_model_versions("name='people'")) == 2

    def test_loads_nothing_of_an_artifact_that_was_changed(
        self,
        model: Callable[[str], Path],
        tracking_uri: str,
        data: Path,
        capsys: pytest.CaptureFixture[str],
    ):
        facts = Facts(training_digest="sha256:t", data_name="d", data_digest="sha256:d")
        register(model("model"), "people", facts, tracking_uri=tracking_uri)
        (stored(tracking_uri, 1) / "model.skops").write_bytes(b"another")
        assert self.refer(tracking_uri, 1, data) == 1
        assert "is not the one that was registered" in capsys.readouterr().err

    def test_leaves_a_training_its_version(self, model: Callable[[str], Path], tracking_uri: str, data: Path):
        facts = Facts(training_digest="sha256:t", data_name="d", data_digest="sha256:d")
        register(model("model"), "people", facts, tracking_uri=tracking_uri)
        assert self.refer(tracking_uri, 1, data) == 0
        with Registry.open(tracking_uri) as registry:
            found = registry.find("people", "sha256:t")
        assert found is not None and (found.version, found.state) == (1, "found")
        assert state(tracking_uri, 2)["tags"]["training.digest"] == "sha256:t"


class TestBesideLogModel:
    def test_the_artifact_has_it_when_it_is_registered(self, classifier: Any, tracking_uri: str):
        import mlflow

        with access.chosen(tracking_uri):
            info = log(tracking_uri, classifier)
            reference.log_reference(info, ROWS)
            mlflow.register_model(info.model_uri, "people")
        found = json.loads((stored(tracking_uri, 1) / "reference.json").read_text())
        assert set(found["features"]) == set(FEATURES)
        assert set(found["predictions"]["classes"]) == {"0", "1"}

    @pytest.mark.parametrize("at_once", [True, False])
    def test_a_registered_version_stays_as_it_is(self, classifier: Any, tracking_uri: str, at_once: bool):
        import mlflow

        with access.chosen(tracking_uri):
            info = log(tracking_uri, classifier, **({"registered_model_name": "people"} if at_once else {}))
            if not at_once:
                mlflow.register_model(info.model_uri, "people")
            before = digest(stored(tracking_uri, 1))
            with pytest.raises(DataError, match="registered already, and its artifact must not change"):
                reference.log_reference(info, ROWS)
        assert digest(stored(tracking_uri, 1)) == before
