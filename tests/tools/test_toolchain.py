"""Where a tool comes from: installed, kept, downloaded, built, in this order; and how that fails."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import alive
from tests.waiting import PATIENCE, eventually
from tools import download, errors, gobuild, toolchain
from tools.alone import alone
from tools.download import Archive
from tools.errors import ToolError
from tools.paths import ROOT
from tools.toolchain import Recipe

FIND = toolchain.find


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toolchain folder of this test, and a PATH with nothing of ours on it."""
    folder = tmp_path / "toolchain"
    monkeypatch.setattr(toolchain, "TOOLCHAIN", folder)
    monkeypatch.setattr(toolchain, "BIN", folder / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'installed'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("DELIVERY_TOOLCHAIN", raising=False)
    return folder


def _script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def _recipe(make: Callable[[Path], None], archive: Archive | None = None) -> Recipe:
    return Recipe("gadget", (3, 10, 0), ["gadget-helper"], archive, make)


def _builds(made: list[Path]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        made.append(folder)
        _script(folder / "gadget", "echo built")
        _script(folder / "gadget-helper", "echo helper")

    return make


def _unwanted(folder: Path) -> None:
    raise AssertionError("nothing is to be built")


def test_a_build_is_kept_and_linked(folders: Path) -> None:
    made: list[Path] = []
    first, second = FIND(_recipe(_builds(made))), FIND(_recipe(_builds(made)))
    assert len(made) == 1
    assert first == second
    assert first.executable == folders / "gadget-3.10.0" / "gadget"
    assert (folders / "bin" / "gadget").resolve() == first.executable.resolve()
    assert sorted(entry.name for entry in folders.iterdir()) == [".lock-gadget", "bin", "gadget-3.10.0"]


@pytest.mark.parametrize("version", ["v3.10.0", "3.10.7", "gadget, version 3.99.1 (branch: HEAD)"])
def test_an_installed_tool_wins(tmp_path: Path, folders: Path, version: str) -> None:
    _script(tmp_path / "installed" / "gadget", f"echo '{version}'")
    _script(tmp_path / "installed" / "gadget-helper", "")
    tool = FIND(_recipe(_unwanted))
    assert not tool.own
    assert tool.executable == tmp_path / "installed" / "gadget"
    assert (folders / "bin" / "gadget").resolve() == tool.executable


@pytest.mark.parametrize(
    "script", ["echo v3.9.9", "echo v4.0.0", "echo no version", "exit 1", "echo v3.10.0 # without %s"]
)
def test_an_installed_tool_that_is_old_broken_or_incomplete_is_passed_over(
    tmp_path: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    helper = tmp_path / "installed" / "gadget-helper"
    _script(tmp_path / "installed" / "gadget", script.replace("%s", str(helper)))
    if "%s" not in script:
        _script(helper, "")
    assert FIND(_recipe(_builds([]))).own
    assert f"The installed gadget isn't used: {tmp_path / 'installed' / 'gadget'} " in capsys.readouterr().err


def test_a_newer_installation_is_noticed(tmp_path: Path) -> None:
    _script(tmp_path / "installed" / "gadget", "echo v3.9.0")
    _script(tmp_path / "installed" / "gadget-helper", "")
    assert FIND(_recipe(_builds([]))).own
    _script(tmp_path / "installed" / "gadget", "echo v3.11.0-now-longer")
    assert not FIND(_recipe(_unwanted)).own


@pytest.mark.parametrize("layout", ["gadget-3.10.0.linux", "gadget", "gadget/bin", "."])
def test_a_download_comes_before_a_build(monkeypatch: pytest.MonkeyPatch, folders: Path, layout: str) -> None:
    def fetch(archive: Archive, folder: Path) -> Path:
        _script(folder / layout / "gadget", "echo downloaded")
        _script(folder / layout / "gadget-helper", "")
        return folder

    monkeypatch.setattr(download, "fetch", fetch)
    tool = FIND(_recipe(_unwanted, Archive("https://x/gadget.tar.gz", "https://x/sums")))
    assert tool.own
    assert sorted(entry.name for entry in tool.folder.iterdir()) == ["gadget", "gadget-helper"]
    assert not list(folders.glob(".new-*"))


def test_a_build_comes_when_nothing_can_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(archive: Archive, folder: Path) -> None:
        return None

    monkeypatch.setattr(download, "fetch", fetch)
    made: list[Path] = []
    FIND(_recipe(_builds(made), Archive("https://x/gadget.tar.gz", "https://x/sums")))
    assert len(made) == 1


def test_an_interrupted_build_leaves_nothing_that_passes_for_a_tool(folders: Path) -> None:
    def interrupted(folder: Path) -> None:
        _script(folder / "gadget", "echo half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FIND(_recipe(interrupted))
    assert not (folders / "gadget-3.10.0").exists()
    (folders / ".new-gadget-99999").mkdir()  # left by a kill -9
    assert FIND(_recipe(_builds([]))).executable.exists()
    assert not list(folders.glob(".new-*"))


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "The disk is full"), (errno.EROFS, "No permission to write")]
)
def test_a_full_or_read_only_disk_is_one_message(number: int, words: str) -> None:
    def fails(folder: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder))

    with pytest.raises(ToolError, match=words):
        FIND(_recipe(fails))


def test_a_place_that_cannot_be_a_folder_is_one_message(folders: Path) -> None:
    folders.parent.mkdir(exist_ok=True)
    folders.write_text("a file")
    with pytest.raises(ToolError, match=r"Getting gadget into .*toolchain"):
        FIND(_recipe(_builds([])))


def test_sources_can_be_narrowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "installed" / "gadget", "echo v3.10.0")
    _script(tmp_path / "installed" / "gadget-helper", "")
    monkeypatch.setenv("DELIVERY_TOOLCHAIN", "build")
    assert FIND(_recipe(_builds([]))).own
    monkeypatch.setenv("DELIVERY_TOOLCHAIN", "bild")
    with pytest.raises(ToolError, match="'bild' isn't known; installed, download, build are accepted"):
        FIND(_recipe(_unwanted))


def test_without_go_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"Install Go \d+\.\d+(\.\d+)? or newer .* or install pulumi itself"):
        gobuild.build(toolchain.GO_MODULES / "pulumi", ["x/pulumi"], tmp_path, usual="long")


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("write /root/x: no space left on device", "The disk is full: the Go build needs"),
        ("dial tcp: lookup proxy.golang.org: no such host", "check the network and `go env GOPROXY`"),
        ("x.go:1: syntax error", "syntax error"),
    ],
)
def test_a_failed_go_build_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, words: str
) -> None:
    _script(
        tmp_path / "installed" / "go",
        f'[ "$1" = env ] && printf "go9.9.9\\nauto\\n" && exit; echo "{says}"; exit 1',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'installed'}:/usr/bin:/bin")
    with pytest.raises(ToolError, match=words):
        gobuild.build(toolchain.GO_MODULES / "pulumi", ["x/pulumi"], tmp_path, usual="long")


def test_an_old_go_that_may_not_update_itself_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(tmp_path / "installed" / "go", 'printf "go1.19.8\\nlocal\\n"')
    with pytest.raises(ToolError, match=r"go1\.19\.8 and may not fetch a newer one"):
        gobuild.build(toolchain.GO_MODULES / "pulumi", ["x/pulumi"], tmp_path, usual="long")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_go_build_stops_and_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    pid = tmp_path / "pid"
    go = f'[ "$1" = env ] && printf "go9.9.9\\nauto\\n" && exit; echo $$ > {pid}; exec sleep 600'
    _script(tmp_path / "bin" / "go", go)
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.toolchain", "pulumi"],
        cwd=root,
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "DELIVERY_TOOLCHAIN": "build"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "Building pulumi from Go source (usually 5 minutes on 2 cores)\n"
    progress = r"  \d+ s of 5 minutes on 2 cores, 0 packages downloaded or compiled\n"
    assert re.fullmatch(progress, process.stderr.readline())
    eventually("the build to begin", lambda: pid.exists() and pid.read_text().strip())
    process.send_signal(how)
    _, text = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "run the same command again to go on" in text
    assert "Traceback" not in text
    assert not alive({int(pid.read_text())})
    assert [entry.name for entry in (root / ".delivery/toolchain").iterdir()] == [".lock-pulumi"]


def test_two_commands_at_once_build_once(tmp_path: Path) -> None:
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    builds = tmp_path / "builds"
    go = f"""[ "$1" = env ] && printf "go9.9.9\\nauto\\n" && exit
echo built >> {builds}; sleep 0.5
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
printf "#!/bin/sh\\n" > $out/pulumi; chmod +x $out/pulumi
"""
    _script(tmp_path / "bin" / "go", go)
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "tools.toolchain", "pulumi"],
            cwd=root,
            env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "DELIVERY_TOOLCHAIN": "build"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    texts = [command.communicate(timeout=PATIENCE)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], texts
    assert builds.read_text() == "built\n"
    assert os.access(root / ".delivery/toolchain/bin/pulumi", os.X_OK)
    assert (root / ".delivery/toolchain/bin/pulumi-language-python").exists()


def test_a_build_holds_up_nobody_who_makes_something_else(tmp_path: Path) -> None:
    made: list[str] = []

    def other() -> None:
        with alone(tmp_path, "environment"):
            made.append("environment")

    with alone(tmp_path, "pulumi"):
        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert made == ["environment"]


def test_an_error_is_one_message_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise ToolError("the disk is made of cheese")

    assert errors.run(main) == 1
    assert capsys.readouterr().err == "error: the disk is made of cheese\n"


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise KeyboardInterrupt

    assert errors.run(main) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_a_build_of_prometheus_leaves_promtool_to_the_tests(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[list[str]] = []

    def build(module: Path, packages: list[str], into: Path, **_: object) -> None:
        built.append([package.rsplit("/", 1)[-1] for package in packages])
        for name in built[-1]:
            _script(into / name, "")

    monkeypatch.setattr(gobuild, "build", build)
    monkeypatch.setenv("DELIVERY_TOOLCHAIN", "build")
    toolchain.prometheus()
    assert built == [["prometheus"]]
    tool = toolchain.promtool()
    assert built == [["prometheus"], ["promtool"]]
    assert (folders / "bin" / "promtool").resolve() == tool.executable.resolve()


def test_promtool_beside_the_server_is_taken(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = toolchain.versions.show(toolchain.versions.prometheus())
    for name in ("prometheus", "promtool"):
        _script(folders / f"prometheus-{version}" / name, "")
    monkeypatch.setattr(gobuild, "build", lambda *_, **__: pytest.fail("nothing is to be built"))
    tool = toolchain.promtool()
    assert tool.folder == folders / f"prometheus-{version}"
    assert (folders / "bin" / "promtool").resolve() == tool.executable
