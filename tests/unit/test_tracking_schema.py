"""When the schema of MLflow's database is brought to the version of MLflow's image, and by which command."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pulumi_kubernetes as k8s
import pytest
from mlflow.store.db import utils

from components.environment import Cluster, Gateway, Tracking
from components.kubernetes.platform import KubernetesPlace
from components.kubernetes.settings import Settings, TrackingStore
from tests.unit.graph import Graph, declare
from tests.unit.kubernetes import DEPLOYMENT, IMAGE, JOB, MLFLOW, SECRET, SERVICE, jobs, kubernetes, registry

DATABASE = "postgresql://user:of-a-database@db/mlflow"


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A platform whose MLflow has a database, as on AWS and GCP."""
    cluster = Cluster(
        image=IMAGE,
        registry="https://mlflow.example.com",
        url="http://models.example.com",
        gateway=Gateway(name="public", namespace="gateways"),
        monitoring="none",
        tracking=Tracking(image=MLFLOW),
    )
    settings = Settings(
        cluster=cluster,
        access={},
        image=IMAGE,
        tracking_image=MLFLOW,
        store=TrackingStore(database=DATABASE, artifacts="s3://bucket"),
    )

    def program() -> None:
        KubernetesPlace("kubernetes", settings, k8s.Provider("cluster", context="prod"))

    return declare(program, registry)


def pod(resource: dict[str, Any]) -> dict[str, Any]:
    return resource["spec"]["template"]["spec"]


def test_a_database_is_upgraded_by_a_job_before_any_server_starts(graph: Graph) -> None:
    job = graph.one(JOB, "tracking-schema")
    (container,) = pod(job.inputs)["containers"]
    assert container["image"] == MLFLOW
    assert container["command"][:3] == ["mlflow", "db", "upgrade"]
    assert job.urn in graph.one(DEPLOYMENT, "tracking").needs
    assert "initContainers" not in pod(graph.one(DEPLOYMENT, "tracking").inputs)


def test_another_image_or_another_database_is_another_job(graph: Graph) -> None:
    job = graph.one(JOB, "tracking-schema")
    # With a name of its own the old Job had to go before the new one could come.
    assert "name" not in job.inputs["metadata"]
    assert job.replaced_with == {graph.one(SECRET, "tracking").urn}


def test_the_password_is_read_from_the_secret_by_kubernetes(graph: Graph) -> None:
    job = graph.one(JOB, "tracking-schema")
    assert "of-a-database" not in str(job.inputs)
    (container,) = pod(job.inputs)["containers"]
    variable = {
        "name": "MLFLOW_BACKEND_STORE_URI",
        "valueFrom": {"secretKeyRef": {"name": "tracking", "key": "database"}},
    }
    assert variable in container["env"]
    assert container["command"][3] == "$(MLFLOW_BACKEND_STORE_URI)"
    assert graph.one(SECRET, "tracking").urn in graph.one(DEPLOYMENT, "tracking").needs


def test_nothing_takes_the_job_for_a_server(graph: Graph) -> None:
    labels = graph.one(JOB, "tracking-schema").inputs["spec"]["template"]["metadata"]["labels"]
    selector = graph.one(SERVICE, "tracking").inputs["spec"]["selector"]
    assert not selector.items() <= labels.items()


def test_a_volume_is_one_pods_which_upgrades_it_before_it_serves() -> None:
    graph, _ = kubernetes({}, tracking={"image": MLFLOW})
    assert jobs(graph) == set()
    server = graph.one(DEPLOYMENT, "tracking").inputs
    (first,) = pod(server)["initContainers"]
    assert first["command"][:3] == ["mlflow", "db", "upgrade"]
    assert server["spec"]["replicas"] == 1 and server["spec"]["strategy"] == {"type": "Recreate"}
    assert {"name": "data", "mountPath": "/data"} in first["volumeMounts"]
    assert {"name": "MLFLOW_BACKEND_STORE_URI", "value": "sqlite:////data/mlflow.db"} in first["env"]


def run(graph: Graph, file: Path) -> subprocess.CompletedProcess[str]:
    """Run what the Job does on a database in a file, by the MLflow of this environment."""
    (container,) = pod(graph.one(JOB, "tracking-schema").inputs)["containers"]
    url = f"sqlite:///{file}"
    words = [word.replace("$(MLFLOW_BACKEND_STORE_URI)", url) for word in container["command"]]
    return subprocess.run(
        [sys.executable, "-m", *words],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


PREPARE = """
import sqlite3, sys
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base

file, revision = sys.argv[1:]
engine = utils.create_sqlalchemy_engine(f"sqlite:///{file}")
Base.metadata.create_all(engine)
command.upgrade(utils._get_alembic_config(f"sqlite:///{file}"), revision)
"""


def prepare(file: Path, revision: str) -> None:
    """Make a database as MLflow's migrations left it at a revision."""
    command = [sys.executable, "-c", PREPARE, str(file), revision]
    subprocess.run(command, check=True, cwd=file.parent, capture_output=True, timeout=120)


def schema(file: Path) -> str:
    """Return the revision that a database is at."""
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("select version_num from alembic_version").fetchone()
    return str(found)


@pytest.fixture(scope="module")
def latest() -> str:
    """The revision that this MLflow's servers ask for."""
    return utils._get_latest_schema_revision()


@pytest.mark.real
@pytest.mark.parametrize("revision", ["", "a8c4a736bde6"], ids=["empty", "of an older MLflow"])
def test_the_command_prepares_an_empty_database_and_upgrades_an_old_one(
    graph: Graph, tmp_path: Path, latest: str, revision: str
) -> None:
    file = tmp_path / "mlflow.db"
    if revision:
        prepare(file, revision)
        assert schema(file) == revision != latest
    for _ in range(2):
        done = run(graph, file)
        assert done.returncode == 0, done.stderr
        assert schema(file) == latest


@pytest.mark.real
def test_an_image_older_than_the_database_fails_and_leaves_it(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    prepare(file, "heads")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    done = run(graph, file)
    assert done.returncode != 0
    assert "Can't locate revision identified by 'ffffffffffff'" in done.stderr
    assert schema(file) == "ffffffffffff"
