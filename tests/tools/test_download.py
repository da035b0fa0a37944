"""Official archives over real HTTP: what is right is unpacked, what isn't is refused, what is absent is no
error."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import download
from tools.download import Archive
from tools.errors import ToolError


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server's address, and the folder that it serves."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def _publish(folder: Path, digest: str | None = None) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        entry = tarfile.TarInfo("tool-1.0/tool")
        entry.size, entry.mode = 4, 0o755
        packed.addfile(entry, io.BytesIO(b"tool"))
    (folder / "tool.tar.gz").write_bytes(content.getvalue())
    listed = digest or hashlib.sha256(content.getvalue()).hexdigest()
    (folder / "sums.txt").write_text(f"{'0' * 64}  other.tar.gz\n{listed}  tool.tar.gz\n")


def test_an_archive_that_matches_its_checksum_is_unpacked(site: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = site
    _publish(folder)
    new = tmp_path / "new"
    new.mkdir()
    assert download.fetch(Archive(f"{address}/tool.tar.gz", f"{address}/sums.txt"), new) == new
    assert (new / "tool-1.0" / "tool").read_bytes() == b"tool"
    assert not (new / "tool.tar.gz").exists()


def test_a_changed_archive_is_refused_and_not_kept(site: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = site
    _publish(folder, digest="f" * 64)
    with pytest.raises(ToolError, match="its publisher lists ffff"):
        download.fetch(Archive(f"{address}/tool.tar.gz", f"{address}/sums.txt"), tmp_path)
    assert not (tmp_path / "tool.tar.gz").exists()
    assert not (tmp_path / "tool-1.0").exists()


def test_a_publisher_out_of_reach_is_no_error(site: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = site
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert download.fetch(Archive(f"{nobody}/tool.tar.gz", f"{nobody}/sums.txt"), tmp_path) is None
    assert download.fetch(Archive(f"{address}/gone.tar.gz", f"{address}/gone.txt"), tmp_path) is None
    _publish(folder)
    (folder / "tool.tar.gz").unlink()
    assert download.fetch(Archive(f"{address}/tool.tar.gz", f"{address}/sums.txt"), tmp_path) is None


def test_a_list_without_the_archive_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"no line for tool\.tar\.gz"):
        download.checksum(f"{'0' * 64}  other.tar.gz\nshort  tool.tar.gz\n", "tool.tar.gz")


def test_a_list_in_either_usual_format_is_read() -> None:
    assert download.checksum(f"{'A' * 64} *tool.tar.gz", "tool.tar.gz") == "a" * 64
