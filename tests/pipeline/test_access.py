"""Registries that can't be used are told apart before anything is trained for them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import access
from pipeline.access import RegistryError
from tests.ports import free_port
from tests.waiting import PATIENCE
from tools.paths import ROOT


def test_a_database_gets_its_folder(tmp_path: Path):
    assert access.database(f"sqlite:///{tmp_path}/a/b/mlflow.db") == tmp_path / "a" / "b" / "mlflow.db"
    assert (tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "postgresql://x/y"])
def test_other_registries_have_no_file(uri: str):
    assert access.database(uri) is None


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match=rf"folder {tmp_path}/file can't be written: "):
        access.database(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_file_that_is_no_database(tmp_path: Path):
    (tmp_path / "mlflow.db").write_text("hello")
    with pytest.raises(RegistryError, match=r"mlflow\.db isn't an SQLite database; move it away"):
        access.database(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").read_text() == "hello"


def test_an_empty_file_becomes_a_database(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    assert access.database(f"sqlite:///{tmp_path}/mlflow.db") == tmp_path / "mlflow.db"


def test_a_server_that_is_not_there():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        access.answers(f"http://127.0.0.1:{port}")
    with pytest.raises(RegistryError, match=rf"nothing answers at http://127.0.0.1:{port}: .*refused"):
        access.answers(f"http://127.0.0.1:{port}")


def test_a_port_that_is_none():
    with pytest.raises(RegistryError, match=r"nothing answers at http://127\.0\.0\.1:99999"):
        access.answers("http://127.0.0.1:99999")


def test_databases_are_not_asked_for_an_answer():
    access.answers("sqlite:////nowhere/mlflow.db")


def test_the_lock_keeps_a_second_training_waiting(tmp_path: Path):
    code = (
        "import pathlib, sys; from pipeline import access\n"
        "with access.locked(pathlib.Path(sys.argv[1])): print('got it', flush=True)"
    )
    with access.locked(tmp_path / "mlflow.db"):
        second = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "mlflow.db"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        waiting = second.stderr.readline()
        assert waiting == "another training is using this registry; waiting for it\n"
        assert second.poll() is None
    out, _ = second.communicate(timeout=PATIENCE)
    assert out == "got it\n"
    assert second.returncode == 0


def test_the_environment_chooses_the_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MODEL_DELIVERY_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert access.default_tracking_uri() == f"sqlite:///{ROOT}/.delivery/registry/mlflow.db"
    monkeypatch.setenv("MODEL_DELIVERY_HOME", f"{tmp_path}/home")
    assert access.default_tracking_uri() == f"sqlite:///{tmp_path}/home/registry/mlflow.db"
    monkeypatch.setenv("MODEL_DELIVERY_HOME", "elsewhere")
    assert access.default_tracking_uri() == f"sqlite:///{ROOT}/elsewhere/registry/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert access.default_tracking_uri() == "http://127.0.0.1:5000"


@pytest.mark.parametrize("before", [None, "http://127.0.0.1:5000"])
def test_mlflow_is_left_as_it_was(before: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if before:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    with access.chosen(f"sqlite:///{tmp_path}/mlflow.db"):
        assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    assert os.environ.get("MLFLOW_TRACKING_URI") == before
    assert mlflow.is_tracking_uri_set() == bool(before)
