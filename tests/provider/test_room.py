"""Whether a run folder takes what an update writes: space, inodes, permissions."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.resource import ProviderError
from provider.room import TO_CHANGE, TO_START, Room, prove

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder as a user without rights has it; the superuser becomes one for the test."""
    folder = Path(tempfile.mkdtemp(prefix="model-delivery-room-"))
    (folder / "programs").mkdir()
    if os.getuid() == 0:
        for path in (folder, folder / "programs"):
            os.chown(path, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield folder
        finally:
            os.setresuid(0, 0, 0)
    else:
        yield folder
    for path in (folder, folder / "programs"):
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_with_room_is_left_as_it_was(folder: Path) -> None:
    prove(folder, ["programs", "missing"])
    assert [path.name for path in folder.iterdir()] == ["programs"]


@pytest.mark.parametrize("lost", [".", "programs"])
def test_a_permission_that_was_lost_is_named_before_anything_is_done(folder: Path, lost: str) -> None:
    path = folder / lost
    path.chmod(0o500)
    with pytest.raises(ProviderError) as refused:
        prove(folder, ["programs"])
    assert str(refused.value) == (
        f"{path} can't be written: permission denied. Nothing was changed. "
        "Give write permission, then run the same command again"
    )


def test_a_missing_folder_is_judged_by_the_one_above_it(folder: Path) -> None:
    prove(folder / "new" / "run")
    folder.chmod(0o500)
    with pytest.raises(ProviderError, match=f"{folder} can't be written: permission denied"):
        prove(folder / "new" / "run")


def test_who_needs_more_than_there_is_says_so(folder: Path) -> None:
    with pytest.raises(ProviderError, match=r"MB free, and a whale needs \d+ MB\. Nothing was changed"):
        prove(folder, room=Room("a whale", 2**62, 1))
    assert TO_CHANGE.bytes < TO_START.bytes and TO_CHANGE.files < TO_START.files
