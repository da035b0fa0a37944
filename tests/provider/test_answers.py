"""The answers of a registry in a SQLite database: kept until the database changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from provider.answers import Answer, Answers

ANSWER = Answer("run", "file:///a", {"owner": "ann"}, "a card", 5, {"auc": 0.5}, {"git": "abc"})


@pytest.fixture(params=["DELETE", "WAL"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode={request.param}")
        connection.execute("CREATE TABLE tags (value TEXT)")
        connection.execute("INSERT INTO tags VALUES ('old')")
        connection.commit()
    return file


def _about(database: Path, version: int = 1) -> Answers:
    return Answers(database.parent / "answers", f"sqlite:///{database}", "m", version)


def test_an_answer_is_kept_for_its_own_version(database: Path) -> None:
    _about(database).keep(ANSWER)
    assert _about(database).kept() == ANSWER
    assert _about(database, 2).kept() is None


def test_any_transaction_ends_it_also_one_that_changes_no_size(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for value in ("new", "two"):
            _about(database).keep(ANSWER)
            connection.execute("UPDATE tags SET value = ?", (value,))
            connection.commit()
            assert _about(database).kept() is None


def test_a_change_while_it_was_asked_is_not_missed(database: Path) -> None:
    asking = _about(database)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE tags SET value = 'new'")
        connection.commit()
    asking.keep(ANSWER)
    assert _about(database).kept() is None


def test_nothing_is_kept_while_a_transaction_is_under_way(database: Path) -> None:
    database.with_name("mlflow.db-journal").touch()
    _about(database).keep(ANSWER)
    database.with_name("mlflow.db-journal").unlink()
    assert _about(database).kept() is None


@pytest.mark.parametrize("text", ["", "[]", '{"stamp": null}', '{"stamp": 1, "answer": {"run": 1}}'])
def test_a_broken_file_is_no_answer(database: Path, text: str) -> None:
    _about(database).keep(ANSWER)
    for file in (database.parent / "answers").iterdir():
        file.write_text(text)
    assert _about(database).kept() is None


def test_a_registry_behind_an_address_is_asked_each_time(tmp_path: Path) -> None:
    answers = Answers(tmp_path, "https://registry", "m", 1)
    answers.keep(ANSWER)
    assert answers.kept() is None
    assert not list(tmp_path.iterdir())


def test_others_cannot_read_it_and_a_full_disk_is_no_failure(database: Path) -> None:
    _about(database).keep(ANSWER)
    (kept,) = (database.parent / "answers").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    blocked = database.parent / "blocked"
    blocked.touch()
    Answers(blocked, f"sqlite:///{database}", "m", 1).keep(ANSWER)
