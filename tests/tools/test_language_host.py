"""Parts of the language host that need no engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import alive
from tests.waiting import eventually
from tools.language_host import install, packages
from tools.language_host.children import LIFELINE, Children
from tools.language_host.packages import Plugin
from tools.language_host.pythons import OptionError, Python, python_of, toolchain, venv_of


@pytest.mark.parametrize(
    ("python", "pulumi"),
    [
        ("3.259.0", "3.259.0"),
        ("4.1", "4.1.0"),
        ("4", "4.0.0"),
        ("4.1.0a2", "4.1.0-alpha.2"),
        ("5.0.0rc1", "5.0.0-rc.1"),
    ],
)
def test_a_python_version_as_pulumi_writes_it(python: str, pulumi: str) -> None:
    assert packages.semantic_version(python) == pulumi


@pytest.mark.parametrize("version", ["1!2.0", "next", ""])
def test_a_version_that_pulumi_has_no_form_for_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="no version that Pulumi can read"):
        packages.semantic_version(version)


def test_the_plugins_of_installed_packages(tmp_path: Path) -> None:
    def package(name: str, described: dict[str, object]) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "pulumi-plugin.json").write_text(json.dumps(described))

    package("pulumi_aws", {"resource": True, "name": "aws", "version": "v7.1.0"})
    package("pulumi_docker_build", {"resource": True, "server": "https://x"})
    package("pulumi_tool", {"resource": False, "name": "tool"})
    metadata = tmp_path / "pulumi_docker_build-0.0.12.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pulumi-docker-build\nVersion: 0.0.12\n")
    assert list(packages.plugins([tmp_path])) == [
        Plugin("aws", "7.1.0", ""),
        Plugin("docker-build", "0.0.12", "https://x"),
    ]
    assert packages.installed([tmp_path]) == [("pulumi-docker-build", "0.0.12")]


def test_the_environment_of_a_uv_project_is_beside_its_lock(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").touch()
    assert venv_of(tmp_path / "policy", {"toolchain": "uv"}) == tmp_path / ".venv"
    assert venv_of(tmp_path / "policy", {"toolchain": "uv", "virtualenv": "../other"}) == tmp_path / "other"


def test_a_missing_environment_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no virtual environment in .*/\.venv\. Run `pulumi install`"):
        python_of(tmp_path, {"toolchain": "uv"})


@pytest.mark.parametrize(
    "options", [{"toolchain": "poetry"}, {"toolchain": 3}, {"toolchain": "pip", "virtualenv": 3}]
)
def test_an_option_that_cannot_be_used_is_named(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=r"runtime\.options\."):
        python_of(tmp_path, options)


def test_without_options_the_active_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert toolchain({}) == "pip"
    assert venv_of(tmp_path, {}) == tmp_path
    monkeypatch.delenv("VIRTUAL_ENV")
    assert venv_of(tmp_path, {}) is None


def test_a_program_runs_with_its_environment_active(tmp_path: Path) -> None:
    env = Python(tmp_path / "bin/python", tmp_path).environment({"PATH": "/usr/bin", "PYTHONHOME": "/x"})
    assert env == {"PATH": f"{tmp_path}/bin:/usr/bin", "VIRTUAL_ENV": str(tmp_path)}


def test_dependencies_come_from_the_lock_or_from_the_requirements(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    commands = install.commands(tmp_path, tmp_path, {"toolchain": "pip", "virtualenv": "venv"})
    assert commands[0][1:] == ["-m", "venv", str(tmp_path / "venv")]
    assert commands[1] == [
        str(tmp_path / "venv/bin/python"),
        "-m",
        "pip",
        "install",
        "--requirement",
        str(tmp_path / "requirements.txt"),
    ]


def test_a_child_that_ignores_the_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.language_host.children.GRACE_SECONDS", 0.3)
    children = Children()
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
    deaf += "time.sleep(600)"
    process = children.start([sys.executable, "-c", deaf], cwd="/", env=os.environ, capture=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    children.stop_all(told=False)
    assert children.wait(process) == -9
    with pytest.raises(RuntimeError, match="stopping"):
        children.start(["true"], cwd="/", env=os.environ)
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_a_child_sees_the_death_of_its_host_alone() -> None:
    # A host that starts a child, says its number, and is killed: the child's lifeline must end.
    watcher = f"import os; end = int(os.environ['{LIFELINE}']); os.fstat(end); print(0, flush=True);"
    watcher += "os.read(end, 1)"
    host = (
        "import os, sys, time; from tools.language_host.children import Children; children = Children();"
        f"p = children.start([sys.executable, '-c', {watcher!r}], cwd='/', env=os.environ);"
        "print(p.pid, flush=True);"
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # Both write to one pipe: the child that it watches, its number the host.
    child = max(int(process.stdout.readline()), int(process.stdout.readline()))
    assert child > 0
    os.kill(child, 0)
    process.kill()
    process.wait()
    process.stdout.close()

    eventually("the child to end", lambda: not alive({child}))
