"""Versions in a real registry on a real database: what is recorded, found again, left by an interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import numpy as np
import pytest

from pipeline import model_folder, training
from pipeline.registering import Facts, Registered, Registry, register
from serving.artifact import digest
from tests.ports import free_port
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

FACTS = Facts(
    training_digest="sha256:t1",
    data_name="people",
    data_digest="sha256:0123456789abcdef0123",
    data_source="a table",
    git_commit="c0ffee",
    git_dirty=False,
    code="https://host/o/r#train.py (make train)",
    owner="risk-team",
    risk_class="high",
    parameters={"C": 1.0, "recipe": "plain"},
    metrics={"accuracy": 0.9},
    card="# A card",
)
TAGS = {
    "training.digest": "sha256:t1",
    "data.name": "people",
    "data.digest": "sha256:0123456789abcdef0123",
    "git.commit": "c0ffee",
    "git.dirty": "false",
    "training.code": "https://host/o/r#train.py (make train)",
    "owner": "risk-team",
    "risk.class": "high",
}

Write = Callable[[str], Path]

# MLflow hands a table with names to a model that was trained without: the server wants no pandas in its way.
NAMELESS = pytest.mark.filterwarnings("ignore:X has feature names")


def client(tracking_uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def versions(tracking_uri: str, name: str = "people") -> dict[int, dict[str, str]]:
    """Return the tags of each version."""
    found = client(tracking_uri).search_model_versions(f"name='{name}'")
    return {int(version.version): dict(version.tags) for version in found}


def stored(tracking_uri: str, version: int) -> Path:
    """Return the folder in which a version's artifact is kept."""
    uri = client(tracking_uri).get_model_version_download_uri("people", str(version))
    assert uri.startswith("file://")
    return Path(url2pathname(uri.removeprefix("file://")))


def find(tracking_uri: str) -> Registered | None:
    with Registry.open(tracking_uri) as registry:
        return registry.find("people", FACTS.training_digest)


class TestAVersion:
    def test_has_its_tags_and_its_artifact(self, model: Write, tracking_uri: str):
        folder = model("model")
        registered = register(folder, "people", FACTS, tracking_uri=tracking_uri)
        assert (registered.version, registered.state, registered.digest) == (1, "new", digest(folder))
        assert versions(tracking_uri) == {1: TAGS | {"artifact.digest": digest(folder)}}
        assert digest(stored(tracking_uri, 1)) == digest(folder)

    def test_is_kept_beside_the_database(self, model: Write, tracking_uri: str, tmp_path: Path):
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        assert stored(tracking_uri, 1).is_relative_to(tmp_path / "registry" / "artifacts")

    def test_is_kept_where_one_says(self, model: Write, tracking_uri: str, tmp_path: Path):
        place = tmp_path / "else where"
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri, artifacts=place)
        assert stored(tracking_uri, 1).is_relative_to(place)

    def test_has_a_run_with_metrics_parameters_and_data(self, model: Write, tracking_uri: str):
        registered = register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        run = client(tracking_uri).get_run(registered.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {"accuracy": 0.9}
        assert run.data.params == {"C": "1.0", "recipe": "plain"}
        assert run.data.tags["mlflow.note.content"] == "# A card"
        (dataset,) = run.inputs.dataset_inputs
        assert (dataset.dataset.name, dataset.dataset.digest) == ("people", "0123456789abcdef")
        (logged,) = run.outputs.model_outputs
        assert client(tracking_uri).get_logged_model(logged.model_id).status == "READY"

    def test_has_the_card_as_description(self, model: Write, tracking_uri: str):
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        assert client(tracking_uri).get_model_version("people", "1").description == "# A card"

    def test_needs_no_more_than_the_digests(self, model: Write, tracking_uri: str):
        facts = Facts(training_digest="sha256:t", data_name="d", data_digest="sha256:d")
        register(model("model"), "people", facts, tracking_uri=tracking_uri)
        assert set(versions(tracking_uri)[1]) == {
            *("training.digest", "data.name", "data.digest", "git.commit", "git.dirty", "artifact.digest")
        }

    def test_is_the_next_one(self, model: Write, tracking_uri: str):
        numbers = [
            register(model(name), "people", FACTS, tracking_uri=tracking_uri).version for name in "abc"
        ]
        assert numbers == [1, 2, 3]

    @NAMELESS
    def test_loads_and_answers_by_mlflow(self, model: Write, tracking_uri: str):
        import mlflow.pyfunc
        import pandas

        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        loaded = mlflow.pyfunc.load_model(str(stored(tracking_uri, 1)))
        rows = pandas.DataFrame([[9.0, 9.0, 9.0], [-9.0, -9.0, -9.0]], columns=["age", "income", "tenure"])
        assert list(loaded.predict(rows)) == [1, 0]


class TestAModelFolder:
    @NAMELESS
    @pytest.mark.parametrize("flavour", ["sklearn", "onnx"])
    def test_has_the_same_signature_whatever_the_flavour(self, flavour: Any, classifier: Any, tmp_path: Path):
        import mlflow.models
        import mlflow.pyfunc
        import pandas

        converted = training.only_predictions(training.to_onnx(classifier, 3))
        model_folder.save(
            converted if flavour == "onnx" else classifier,
            flavour,
            tmp_path / "model",
            features=["age", "income", "tenure"],
            example=np.zeros((2, 3)),
        )
        described = mlflow.models.Model.load(str(tmp_path / "model"))
        assert set(described.flavors) == {"python_function", flavour}
        assert described.signature is not None
        assert described.signature.inputs.to_dict() == [
            {"type": "double", "name": name, "required": True} for name in ("age", "income", "tenure")
        ]
        assert described.signature.outputs.to_dict() == [
            {"type": "long", "name": "predictions", "required": True}
        ]
        example = json.loads((tmp_path / "model" / "input_example.json").read_text())
        assert example["data"] == [[0.0] * 3] * 2
        rows = pandas.DataFrame([[9.0] * 3, [-9.0] * 3], columns=["age", "income", "tenure"])
        answers = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(rows)
        assert np.asarray(answers).ravel().tolist() == [1, 0]

    def test_holds_no_pickle(self, model: Write):
        assert not [
            path for path in model("model").rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")
        ]


class TestFinding:
    def test_nothing_in_an_empty_registry(self, tracking_uri: str):
        assert find(tracking_uri) is None

    def test_what_was_registered(self, model: Write, tracking_uri: str):
        first = register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        found = find(tracking_uri)
        assert found == Registered(
            name="people", version=1, digest=first.digest, run_id=first.run_id, state="found"
        )

    def test_nothing_of_another_training_or_model(self, model: Write, tracking_uri: str):
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        with Registry.open(tracking_uri) as registry:
            assert registry.find("people", "sha256:t2") is None
            assert registry.find("others", FACTS.training_digest) is None

    @pytest.mark.parametrize("tag", [*TAGS, "artifact.digest"])
    def test_completes_a_version_that_lacks_a_tag(self, tag: str, model: Write, tracking_uri: str):
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        before = versions(tracking_uri)
        client(tracking_uri).delete_model_version_tag("people", "1", tag)
        found = find(tracking_uri)
        assert found is not None
        assert (found.version, found.state) == (1, "completed")
        assert versions(tracking_uri) == before
        again = find(tracking_uri)
        assert again is not None
        assert again.state == "found"

    def test_passes_over_a_changed_artifact(self, model: Write, tracking_uri: str):
        register(model("a"), "people", FACTS, tracking_uri=tracking_uri)
        (stored(tracking_uri, 1) / "MLmodel").write_text("changed")
        assert find(tracking_uri) is None
        register(model("b"), "people", FACTS, tracking_uri=tracking_uri)
        found = find(tracking_uri)
        assert found is not None
        assert found.version == 2

    def test_passes_over_a_lost_artifact(self, model: Write, tracking_uri: str):
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        shutil.rmtree(stored(tracking_uri, 1))
        assert find(tracking_uri) is None

    def test_still_finds_a_version_whose_run_was_removed(self, model: Write, tracking_uri: str):
        first = register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        client(tracking_uri).delete_run(first.run_id)
        found = find(tracking_uri)
        assert found is not None
        assert found.version == 1


STEPS = (
    "create_logged_model",
    "log_batch",
    "log_model_artifacts",
    "finalize_logged_model",
    "log_outputs",
    "set_terminated",
    "create_registered_model",
    "create_model_version",
)


class TestAnInterruption:
    @pytest.mark.parametrize("step", STEPS)
    def test_is_made_good_by_the_next_run(
        self, step: str, model: Write, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
    ):
        from mlflow import MlflowClient

        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        folder = model("model")
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, step, stop)
            with pytest.raises(KeyboardInterrupt):
                register(folder, "people", FACTS, tracking_uri=tracking_uri)
        assert versions(tracking_uri) == {}

        found = find(tracking_uri)
        whole = STEPS.index(step) > STEPS.index("finalize_logged_model")
        assert (found.state if found else None) == ("completed" if whole else None)
        if not found:
            found = register(folder, "people", FACTS, tracking_uri=tracking_uri)
        assert found.version == 1
        assert versions(tracking_uri) == {1: TAGS | {"artifact.digest": digest(folder)}}
        assert digest(stored(tracking_uri, 1)) == digest(folder)

        experiment = client(tracking_uri).get_experiment_by_name("people")
        runs = client(tracking_uri).search_runs([experiment.experiment_id])
        assert [run.info.run_id for run in runs] == [found.run_id]
        logged = client(tracking_uri).search_logged_models([experiment.experiment_id])
        assert len(logged) == 1

    def test_by_an_error_of_the_disk_is_the_error_and_a_failed_run(
        self, model: Write, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
    ):
        from mlflow import MlflowClient

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(MlflowClient, "log_model_artifacts", full)
        with pytest.raises(OSError, match="No space left"):
            register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        experiment = client(tracking_uri).get_experiment_by_name("people")
        (run,) = client(tracking_uri).search_runs([experiment.experiment_id])
        assert run.info.status == "FAILED"

    def test_leaves_the_runs_of_other_trainings_alone(self, model: Write, tracking_uri: str):
        register(model("model"), "people", FACTS, tracking_uri=tracking_uri)
        experiment = client(tracking_uri).get_experiment_by_name("people").experiment_id
        other = client(tracking_uri).create_run(experiment, tags={"training.digest": "sha256:t2"})
        find(tracking_uri)
        assert client(tracking_uri).get_run(other.info.run_id).info.lifecycle_stage == "active"


def pipeline(*words: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "pipeline", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run_pipeline(*words: str) -> tuple[int, str, str]:
    process = pipeline(*words)
    out, err = process.communicate(timeout=5 * PATIENCE)
    return process.returncode, out, err


class TestTheCommand:
    def test_killed_and_run_again_gives_two_whole_versions_once(self, tmp_path: Path):
        uri = f"sqlite:///{tmp_path}/registry/mlflow.db"
        killed = pipeline("train", "--tracking-uri", uri)
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.startswith("tumour version 1"):
                break
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=PATIENCE)
        assert set(versions(uri, "tumour")) == {1}

        code, out, err = run_pipeline("train", "--tracking-uri", uri, "--owner", "lab")
        assert (code, err) == (0, "")
        assert "tumour version 1: already registered, sha256:" in out
        assert "tumour version 2: registered, sha256:" in out
        made = versions(uri, "tumour")
        assert set(made) == {1, 2}
        assert made[2]["owner"] == "lab"
        assert made[1]["data.name"] == "breast-cancer-wisconsin"

        code, out, err = run_pipeline("train", "--tracking-uri", uri)
        assert (code, err) == (0, "")
        assert "training" not in out
        assert versions(uri, "tumour") == made

        found = client(uri).search_model_versions("name='tumour'")
        metrics = [set(client(uri).get_run(version.run_id).data.metrics) for version in found]
        assert metrics == [{"roc_auc", "accuracy", "log_loss", "f1"}] * 2
        for version in found:
            folder = Path(client(uri).get_model_version_download_uri("tumour", version.version)[7:])
            assert digest(folder) == version.tags["artifact.digest"]
            assert len(json.loads((folder / "reference.json").read_text())["features"]) == 30

    def test_interrupted_says_so(self, tmp_path: Path):
        process = pipeline("train", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")
        assert process.stdout is not None
        process.stdout.read(5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (1, "error: interrupted; the next run continues\n")

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("http://127.0.0.1:1", "error: nothing answers at http://127.0.0.1:1: "),
            ("nope://x", "error: the registry at nope://x failed: "),
            ("sqlite:////dev/null/mlflow.db", "error: the registry's folder /dev/null can't be written: "),
        ],
    )
    def test_a_registry_that_cannot_be_used_is_one_line(self, uri: str, message: str):
        code, _, err = run_pipeline("train", "--tracking-uri", uri)
        assert code == 1
        assert err.startswith(message)
        assert err.count("\n") == 1

    def test_a_wrong_command_is_told_what_there_is(self):
        code, _, err = run_pipeline("trian")
        assert code == 2
        assert "invalid choice: 'trian' (choose from" in err


def test_through_a_server(model: Write, tmp_path: Path, tracking_uri: str):
    """The same through MLflow's own server, which keeps the artifacts itself."""
    import time

    from pipeline import access

    port = free_port()
    log = (tmp_path / "server.log").open("w")
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", tracking_uri, "--artifacts-destination", str(tmp_path / "served")]
    server = subprocess.Popen(
        [sys.executable, *words],
        stdout=log,
        stderr=log,
        start_new_session=True,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    uri = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            try:
                access.answers(uri)
                break
            except access.RegistryError:
                assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
                time.sleep(0.2)
        folder = model("model")
        registered = register(folder, "people", FACTS, tracking_uri=uri)
        assert (registered.version, registered.digest) == (1, digest(folder))
        found = find(uri)
        assert found is not None
        assert (found.version, found.digest, found.state) == (1, digest(folder), "found")
        assert list((tmp_path / "served").rglob("MLmodel"))

        experiment = client(uri).get_experiment_by_name("people").experiment_id
        working = client(uri).create_run(experiment, tags={"training.digest": FACTS.training_digest})
        client(uri).delete_model_version("people", "1")
        completed = find(uri)
        assert completed is not None
        assert completed.state == "completed"
        assert client(uri).get_run(working.info.run_id).info.lifecycle_stage == "active"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(timeout=PATIENCE)
        log.close()
