"""MLflow's image: it starts, answers, and brings databases to its own schema."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.image.engine import Engine
from tests.image.models import MLFLOW_PORT, Models
from tests.image.models import mlflow as running
from tests.waiting import PATIENCE
from tools.paths import ROOT

pytestmark = pytest.mark.image

# Of MLflow 2.10: before the schema got traces, logged models and workspaces.
_OLDER = "acf3f17fdcc7"
_DATABASE = "sqlite:////data/mlflow.db"


def older_database(file: Path) -> None:
    """A database as an older MLflow has left it, with one experiment in it."""
    import sqlalchemy
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config  # pyright: ignore
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sqlalchemy.create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    engine.dispose()
    command.upgrade(_get_alembic_config(f"sqlite:///{file}"), _OLDER)
    with contextlib.closing(sqlite3.connect(file)) as opened, opened:
        opened.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
            " VALUES (7, 'of an older MLflow', 'mlflow-artifacts:/7', 'active')"
        )


def revision(file: Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as opened:
        (found,) = opened.execute("SELECT version_num FROM alembic_version").fetchall()
    return found[0]


def newest() -> str | None:
    """The schema's version of the MLflow that this checkout has."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config  # pyright: ignore

    return ScriptDirectory.from_config(_get_alembic_config("sqlite://")).get_current_head()


def test_it_is_the_version_that_models_are_registered_with(docker: Engine, mlflow: str) -> None:
    with docker.container(mlflow, "mlflow", "--version") as container:
        code, said = container.ended()
    pinned = next(
        line
        for line in (ROOT / "tracking" / "requirements.txt").read_text().splitlines()
        if line.startswith("mlflow==")
    )
    assert code == 0 and said.split()[-1] == pinned.split("==")[1].split()[0]


def test_it_serves_the_registry_and_its_artifacts(models: Models) -> None:
    # Version and artifact were written through it, and read again by what serves them.
    assert {release.source.split(":")[0] for release in models.released.values()} == {"mlflow-artifacts"}


def test_an_older_database_is_upgraded_and_served(docker: Engine, mlflow: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    older_database(data / "mlflow.db")
    for path in (data, data / "mlflow.db"):
        path.chmod(0o777)
    options = ("--volume", f"{data}:/data", "--tmpfs", "/tmp:mode=1777", "--read-only")
    env = {"MLFLOW_BACKEND_STORE_URI": _DATABASE, "HOME": "/tmp"}
    with docker.container(
        mlflow, "mlflow", "db", "upgrade", _DATABASE, env=env, options=options
    ) as container:
        code, said = container.ended()
    assert code == 0, said
    # A server makes tables that are missing by itself, so it is looked at before there is one.
    assert revision(data / "mlflow.db") == newest()
    with running(docker, mlflow, *options) as (_, uri):
        answer = httpx.get(
            f"{uri}/api/2.0/mlflow/experiments/get?experiment_id=7", trust_env=False, timeout=PATIENCE
        )
    assert answer.json()["experiment"]["name"] == "of an older MLflow"


def test_it_has_the_drivers_of_the_clouds_databases_and_buckets(docker: Engine, mlflow: str) -> None:
    words = "import boto3, psycopg2, google.cloud.storage; boto3.client('s3', region_name='eu-central-1')"
    with docker.container(mlflow, "python", "-c", words) as container:
        assert container.ended() == (0, "")


def test_user_port_and_command(docker: Engine, mlflow: str) -> None:
    config = docker.config(mlflow)
    assert config["User"] == "10001:10001" and config["Cmd"] == ["mlflow", "server"]
    assert set(config["ExposedPorts"]) == {f"{MLFLOW_PORT}/tcp"}
