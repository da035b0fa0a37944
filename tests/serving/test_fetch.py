"""An artifact from wherever its registry keeps it: whole and with its digest, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.artifact import ArtifactError, digest
from serving.fetch import FetchError, fetch, main
from tests.serving.store import Store

FILES = {"MLmodel": b"flavors: {}\n", "data/model.onnx": b"\x00\x01" * 5000, "data/a b+c.txt": b"names"}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    files = {f"models/3/{name}": content for name, content in FILES.items()}
    files["models/30/MLmodel"] = b"another version"
    files["models/3/"] = b""  # what consoles make for a folder
    found = Store(files)
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", found.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", found.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    yield found
    found.close()


SOURCES = ["mlflow-artifacts:/models/3", "gs://bucket/models/3", "s3://bucket/models/3"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_artifact_comes_whole(store: Store, artifact: Path, tmp_path: Path, source: str) -> None:
    to = tmp_path / "to" / "model"
    assert fetch(source, digest(artifact), to, store.url, pause=0) is True
    found = {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*") if path.is_file()}
    assert found == FILES
    assert [path.name for path in to.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("source", SOURCES)
def test_other_bytes_than_the_pinned_ones_are_refused(
    store: Store, artifact: Path, tmp_path: Path, source: str
) -> None:
    expected = digest(artifact)
    store.files["models/3/MLmodel"] = b"flavors: {evil: {}}\n"
    with pytest.raises(ArtifactError, match="is not the one that was registered"):
        fetch(source, expected, tmp_path / "to" / "model", store.url, pause=0)
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("source", [source[:-1] + "4" for source in SOURCES])
def test_nothing_there_is_an_error(store: Store, artifact: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises((FetchError, ArtifactError)):
        fetch(source, digest(artifact), tmp_path / "to" / "model", store.url, pause=0)
    assert not (tmp_path / "to" / "model").exists()


@pytest.mark.parametrize("source", SOURCES[:2])
def test_what_fails_for_a_moment_is_tried_again(
    store: Store, artifact: Path, tmp_path: Path, source: str
) -> None:
    store.failures = 3
    assert fetch(source, digest(artifact), tmp_path / "model", store.url, pause=0) is True


@pytest.mark.parametrize("source", SOURCES)
def test_an_answer_that_breaks_off_is_asked_for_again(
    store: Store, artifact: Path, tmp_path: Path, source: str
) -> None:
    store.broken = 2
    assert fetch(source, digest(artifact), tmp_path / "model", store.url, pause=0) is True
    assert store.broken == 0


@pytest.mark.parametrize("source", SOURCES)
def test_answers_that_go_on_breaking_off_are_an_error_of_the_network(
    store: Store, artifact: Path, tmp_path: Path, source: str
) -> None:
    store.broken = 1000
    with pytest.raises(FetchError) as caught:
        fetch(source, digest(artifact), tmp_path / "to" / "model", store.url, pause=0)
    assert "cannot write" not in str(caught.value)
    assert store.broken > 980  # it gives up
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("source", SOURCES[:2])
@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Please log in</html>",
        b"[]",
        b'{"files": 3, "items": 3}',
        b'{"files": ["a"], "items": ["a"]}',
        b'{"files": [{}], "items": [{}]}',
    ],
)
def test_another_server_than_it_should_be_is_an_error(
    store: Store, artifact: Path, tmp_path: Path, source: str, answer: bytes
) -> None:
    store.instead = answer
    with pytest.raises(FetchError, match="gave another answer than such a server gives"):
        fetch(source, digest(artifact), tmp_path / "model", store.url, pause=0)


@pytest.mark.parametrize("tracking", ["file:///etc", "mlflow.example.com", "ftp://host"])
def test_mlflow_is_asked_by_http_alone(artifact: Path, tmp_path: Path, tracking: str) -> None:
    with pytest.raises(FetchError, match=r"is not: http:// or https://"):
        fetch(SOURCES[0], digest(artifact), tmp_path / "model", tracking, pause=0)


def test_a_login_is_not_told_to_whom_one_is_sent_on(
    store: Store, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    other = Store(store.files)
    store.elsewhere = other.url
    try:
        assert fetch(SOURCES[0], digest(artifact), tmp_path / "model", store.url, pause=0) is True
    finally:
        other.close()
    assert store.authorisations == {"Bearer t0ken"} and other.authorisations == {""}


def test_s3_without_credentials_is_an_error(
    store: Store, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(FetchError, match=r"^s3://bucket/models/3: Unable to locate credentials"):
        fetch(SOURCES[2], digest(artifact), tmp_path / "model")


def test_a_server_that_goes_on_failing_is_an_error(store: Store, artifact: Path, tmp_path: Path) -> None:
    store.failures = 100
    with pytest.raises(FetchError, match="503"):
        fetch(SOURCES[0], digest(artifact), tmp_path / "model", store.url, pause=0)
    assert len(store.asked) == 4


def test_what_is_there_already_is_not_fetched_again(store: Store, artifact: Path, tmp_path: Path) -> None:
    to = tmp_path / "model"
    fetch(SOURCES[0], digest(artifact), to, store.url, pause=0)
    store.asked.clear()
    assert fetch(SOURCES[0], digest(artifact), to, store.url, pause=0) is False
    assert store.asked == []


def test_an_older_artifact_in_its_place_is_replaced(store: Store, artifact: Path, tmp_path: Path) -> None:
    to = tmp_path / "model"
    to.mkdir()
    (to / "MLmodel").write_text("old")
    assert fetch(SOURCES[0], digest(artifact), to, store.url, pause=0) is True
    assert (to / "MLmodel").read_bytes() == FILES["MLmodel"]


@pytest.mark.parametrize("name", ["../outside", "data/../../outside", "/etc/outside"])
def test_names_that_lead_out_of_the_artifact_are_refused(store: Store, tmp_path: Path, name: str) -> None:
    store.files[f"models/3/{name}"] = b"x"
    with pytest.raises(FetchError, match="outside of its folder"):
        fetch(SOURCES[1], "sha256:" + "0" * 64, tmp_path / "to" / "model", pause=0)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "to" / "outside").exists()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "t0ken"}, "Bearer t0ken"),
        ({"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "pw"}, "Basic YW5uOnB3"),
        ({}, ""),
    ],
)
def test_mlflow_is_told_who_asks(
    store: Store,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: str,
) -> None:
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    fetch(SOURCES[0], digest(artifact), tmp_path / "model", store.url, pause=0)
    assert store.authorisations == {expected}


def test_cloud_storage_is_asked_as_the_service_account_of_the_metadata_server(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving import fetch as module

    monkeypatch.setenv("GCE_METADATA_HOST", store.url.removeprefix("http://"))
    assert module._google_token(0) == "from-metadata"


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_mounted_folder_is_copied(artifact: Path, tmp_path: Path, form: str) -> None:
    to = tmp_path / "model"
    assert fetch(form.format(artifact), digest(artifact), to) is True
    assert digest(to) == digest(artifact)


def test_an_unknown_kind_of_address_says_which_are_known(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"ftp://; accepted: s3://, gs://, mlflow-artifacts:/ and file://"):
        fetch("ftp://host/models/3", "sha256:" + "0" * 64, tmp_path / "model")


def test_the_command_line(
    store: Store, artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--source", SOURCES[0], "--digest", digest(artifact), "--to", str(tmp_path / "model")]
    assert main([*words, "--tracking", store.url]) == 0
    assert main([*words, "--tracking", store.url]) == 0
    assert main([*words[:4], "--to", str(tmp_path / "other"), "--tracking", f"{store.url}/none"]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path / 'model'} has sha256:" in error and f"{tmp_path / 'model'} had sha256:" in error
    assert "Traceback" not in error
