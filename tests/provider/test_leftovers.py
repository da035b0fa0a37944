"""What no state knows is ended all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.leftovers import main
from tests.provider.conftest import Run, get

pytestmark = pytest.mark.real


def test_what_a_killed_up_left_running_is_ended(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    server = run.serve("churn-v1-0")
    assert get(server.port, "/")[0]
    assert main([str(run.folder)]) == 0
    with pytest.raises(OSError):
        get(server.port, "/")
    assert capsys.readouterr() == ("", "")


def test_a_folder_where_nothing_runs_is_fine(tmp_path: Path) -> None:
    assert main([str(tmp_path / "absent")]) == 0
