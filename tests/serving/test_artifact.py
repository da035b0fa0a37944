"""The digest rule: what changes it, what does not, and what is refused."""

import hashlib
import os
from pathlib import Path

import pytest

from serving.artifact import ArtifactError, digest, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "MLmodel").write_text("flavors: {}\n")
    (root / "sub" / "model.bin").write_bytes(b"\x00\x01" * 5000)
    return root


def test_digest_is_the_documented_framing(folder: Path) -> None:
    expected = hashlib.sha256()
    for name in ("MLmodel", "sub/model.bin"):
        content = (folder / name).read_bytes()
        expected.update(
            len(name).to_bytes(8, "big") + name.encode() + len(content).to_bytes(8, "big") + content
        )
    assert digest(folder) == f"sha256:{expected.hexdigest()}"


def test_files_are_taken_in_the_order_of_their_paths(folder: Path) -> None:
    for index in (7, 3, 9, 1, 8, 2, 6, 4, 5, 0):
        (folder / f"part-{index}").write_text(str(index))
    (folder / "sub.bin").touch()
    names = ["MLmodel", *(f"part-{index}" for index in range(10)), "sub.bin", "sub/model.bin"]
    expected = hashlib.sha256()
    for name in names:
        content = (folder / name).read_bytes()
        expected.update(
            len(name).to_bytes(8, "big") + name.encode() + len(content).to_bytes(8, "big") + content
        )
    assert digest(folder) == f"sha256:{expected.hexdigest()}"


def test_digest_does_not_depend_on_place_time_or_mode(folder: Path, tmp_path: Path) -> None:
    before = digest(folder)
    os.utime(folder / "MLmodel", (1, 1))
    (folder / "MLmodel").chmod(0o600)
    (folder / "empty").mkdir()
    moved = folder.rename(tmp_path / "elsewhere")
    assert digest(moved) == before


def test_files_that_mlflow_adds_on_download_do_not_count(folder: Path) -> None:
    before = digest(folder)
    (folder / "registered_model_meta").write_text("model_name: churn\n")
    assert digest(folder) == before
    (folder / "sub" / "registered_model_meta").write_text("model_name: churn\n")
    assert digest(folder) != before


def test_every_byte_and_every_name_counts(folder: Path) -> None:
    seen = {digest(folder)}
    (folder / "sub" / "model.bin").write_bytes(b"\x00\x01" * 4999 + b"\x00\x02")
    seen.add(digest(folder))
    (folder / "sub" / "model.bin").rename(folder / "sub" / "model.bim")
    seen.add(digest(folder))
    (folder / "extra").touch()
    seen.add(digest(folder))
    (folder / "extra").unlink()
    (folder / "sub" / "extra").touch()
    seen.add(digest(folder))
    assert len(seen) == 5


def test_content_cannot_move_between_files(tmp_path: Path) -> None:
    digests: set[str] = set()
    for index, files in enumerate(
        ({"a": "xb", "b": "y"}, {"a": "x", "b": "by"}, {"ax": "b", "b": "y"}, {"a": "xbby"})
    ):
        root = tmp_path / str(index)
        root.mkdir()
        for name, content in files.items():
            (root / name).write_text(content)
        digests.add(digest(root))
    assert len(digests) == 4


@pytest.mark.parametrize("target", ["/etc/hostname", "MLmodel", "nowhere"])
def test_links_are_refused(folder: Path, target: str) -> None:
    (folder / "sub" / "link").symlink_to(target)
    with pytest.raises(ArtifactError, match=r"symbolic link at sub/link"):
        digest(folder)


def test_a_linked_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "outside").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ArtifactError, match="symbolic link at outside"):
        digest(folder)


def test_special_files_are_refused_without_being_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArtifactError, match="special file at pipe"):
        digest(folder)


def test_missing_empty_and_non_folders_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="does not exist"):
        digest(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="is not a folder"):
        digest(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="has no files"):
        digest(tmp_path / "empty")


def test_verify_names_both_digests(folder: Path) -> None:
    good = digest(folder)
    verify(folder, good)
    other = "sha256:" + "0" * 64
    with pytest.raises(ArtifactError) as caught:
        verify(folder, other)
    assert good in str(caught.value) and other in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "sha256:", "abc", "md5:" + "0" * 64, "sha256:" + "0" * 63, "sha256:" + "G" * 64]
)
def test_verify_refuses_what_is_no_digest(folder: Path, value: str) -> None:
    with pytest.raises(ArtifactError, match="not a digest"):
        verify(folder, value)
