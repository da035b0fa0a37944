"""The sampled log of requests: what is in it, and that it never gets in the way."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving import request_log
from serving.request_log import RequestLog
from tests.serving.client import serve
from tests.waiting import until


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_has_everything_about_its_request(summing: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with serve(summing, log=RequestLog(path), sample=1.0) as client:
        answer = client.predict([[1, 2, 3]], headers={"x-request-id": "first"})
        assert answer.status_code == 200
        client.predict([[1, 2]])
        digest = client.settings.digest
    first, second = records(path)
    when = datetime.fromisoformat(first.pop("timestamp"))
    assert timedelta(0) <= datetime.now(UTC) - when < timedelta(seconds=60)
    assert first.pop("latency_ms") > 0
    assert first == {
        "request_id": "first",
        "model": "churn",
        "version": "3",
        "digest": digest,
        "route": "predict",
        "status": 200,
        "features": [[1, 2, 3]],
        "predictions": [6.0],
    }
    assert second["status"] == 400
    assert second["features"] == [[1, 2]]
    assert second["predictions"] is None
    assert second["error"].startswith("features[0]: expected 3 values")


def test_the_sample_is_a_sample(summing: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with serve(summing, log=RequestLog(path), sample=0.5) as client:
        for _ in range(200):
            client.predict([[1, 2, 3]])
    # 13 standard deviations either side of 100
    assert 8 < len(records(path)) < 192
    silent = tmp_path / "silent"
    with serve(summing, log=RequestLog(silent), sample=0.0) as client:
        client.predict([[1, 2, 3]])
    assert records(silent) == []


def test_server_errors_are_always_logged(summing: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with serve(summing, log=RequestLog(path), sample=0.0) as client:
        assert client.predict([[666, 0, 0]]).status_code == 500
    assert [(record["status"], record["features"]) for record in records(path)] == [(500, [[666, 0, 0]])]


def test_a_log_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    log = RequestLog(path)
    log.add({"number": 1})
    until(lambda: path.stat().st_size > 0)
    path.rename(moved)
    log.add({"number": 2})
    until(lambda: path.exists() and path.stat().st_size > 0)
    log.close()
    assert records(moved) == [{"number": 1}]
    assert records(path) == [{"number": 2}]


def test_what_was_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"number": 0}\n')
    log = RequestLog(path)
    log.add({"number": 1})
    log.close()
    assert records(path) == [{"number": 0}, {"number": 1}]


def test_a_full_disk_loses_records_and_nothing_else(summing: Path) -> None:
    log = RequestLog(Path("/dev/full"))
    with serve(summing, log=log, sample=1.0) as client:
        assert client.predict([[1, 2, 3]]).status_code == 200
        until(lambda: log.dropped == 1)
        assert client.metric("model_log_records_dropped_total") == 1
        assert client.predict([[1, 2, 3]]).status_code == 200


def test_what_waits_for_the_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_MOST_WAITING", 3)
    path = tmp_path / "log"
    log = RequestLog(path)
    for number in range(1000):
        log.add({"number": number})
    log.close()
    assert log.dropped > 0
    assert len(records(path)) + log.dropped == 1000


def test_a_log_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RequestLog(tmp_path / "nowhere" / "log")
