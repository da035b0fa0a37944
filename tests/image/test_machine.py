"""What a machine that can't run a Docker engine is told; this starts none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.image import machine
from tools import images
from tools.errors import ToolError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine of root's, with no program on it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return monkeypatch


def test_without_root_nothing_is_tried(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        machine.UnableError, match=r"^a Docker engine of the tests' own needs Linux, and root$"
    ):
        machine.prepare()


def test_without_apt_the_missing_packages_are_named(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        machine.UnableError, match=r"^containerd, debootstrap, docker\.io, .* no apt to install"
    ):
        machine.prepare()


def test_an_apt_that_fails_is_told_with_its_last_words(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho no network\nexit 100\n")
    apt.chmod(0o755)
    with pytest.raises(machine.UnableError, match=r"^apt can't install .*: no network$"):
        machine.prepare()


def test_without_go_it_is_named(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in machine.PROGRAMS:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(machine.UnableError, match=r"^go is missing"):
        machine.prepare()


def test_an_adapter_that_cannot_be_built_costs_one_test_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        raise ToolError("cargo can't build it")

    machine.lambda_adapter.cache_clear()
    monkeypatch.setattr(images, "adapter", failing)
    assert machine.lambda_adapter() is None and "cargo can't build it" in capsys.readouterr().err
    machine.lambda_adapter.cache_clear()
