"""What no state knows is ended all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.leftovers import main
from tests.provider.conftest import Run, get

pytestmark = pytest.mark.real


def test_what_a_killed_up_left_running_is_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = run.serve("churn-v1-0")
    assert get(server.port, "/")[0]
    monkeypatch.setenv("MODEL_DELIVERY_HOME", str(run.folder.parent))
    assert main() == 0
    with pytest.raises(OSError):
        get(server.port, "/")
    assert capsys.readouterr() == ("", "")


def test_a_folder_where_nothing_runs_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_DELIVERY_HOME", str(tmp_path / "absent"))
    assert main() == 0
