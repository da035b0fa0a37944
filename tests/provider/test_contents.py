"""What a plan reads of an artifact: by the bytes that its store sends, and by what is found all the same."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provider.contents import SMALL, Content, Pin, UnfetchedError, Wanted, content
from provider.fit import fit
from provider.needs import needs
from provider.resource import ProviderError
from provider.stores import same
from serving.artifact import digest
from tests.provider.buckets import Buckets

SOURCES = ["s3://bucket/models/3", "gs://bucket/models/3"]
LARGE = SMALL + (8 << 20)
PLAN = Wanted(planning=True, here=False)
UPDATE = Wanted(here=False)
FEW = 100_000
"""Bytes that a plan may read of an ONNX model, lists and all."""
ONNX = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {"loader_module": "mlflow.onnx"}}}
PICKLED = {"flavors": {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"}}}


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    found = Buckets()
    for name in ("AWS_PROFILE", "MLFLOW_S3_ENDPOINT_URL", "MLFLOW_S3_IGNORE_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", found.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", found.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    # What boto3 asks first where a region's endpoints are looked up.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield found
    found.close()


class Made:
    """An artifact in a bucket, and on disk as it was registered."""

    def __init__(self, buckets: Buckets, folder: Path, files: dict[str, bytes]) -> None:
        self.buckets, self.folder, self.store = buckets, folder / "registered", folder / "store"
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            buckets.files[f"models/3/{name}"] = text
        buckets.files["models/30/MLmodel"] = b"another version"
        buckets.files["models/3/"] = b""
        self.digest = digest(self.folder)
        self.size = sum(map(len, files.values()))

    def find(self, source: str, wanted: Wanted, recorded: str = "", home: str = "store") -> Content:
        self.buckets.sent = 0
        store = self.store.with_name(home)
        return content("sqlite:///r.db", source, recorded, store, "churn version 3", wanted)


@pytest.fixture
def large(buckets: Buckets, tmp_path: Path) -> Made:
    files = {
        "MLmodel": yaml.safe_dump(ONNX).encode(),
        "requirements.txt": b"onnxruntime==99.0\n",
        "model.onnx": bytes(LARGE),
        "code/a.py": b"",
    }
    return Made(buckets, tmp_path, files)


@pytest.mark.parametrize("source", SOURCES)
def test_of_a_large_artifact_with_a_recorded_digest_no_weights_are_read(large: Made, source: str) -> None:
    for wanted in (PLAN, UPDATE):
        found = large.find(source, wanted, large.digest)
        assert (found.digest, found.size) == (large.digest, large.size)
        assert large.buckets.sent < FEW
        assert fit(found.folder, found.size, 8) == fit(large.folder, large.size, 8)
        assert fit(found.folder, found.size, 8).refusals and fit(found.folder, found.size, 8).mismatches
    # The outline is read once a machine.
    large.find(source, PLAN, large.digest)
    assert large.buckets.sent < 2000


@pytest.mark.parametrize("source", SOURCES)
def test_a_digest_that_only_a_download_tells_is_left_to_the_update(large: Made, source: str) -> None:
    found = large.find(source, PLAN)
    assert (found.digest, found.artifact, found.size) == ("", "", large.size)
    assert large.buckets.sent < FEW
    assert fit(found.folder, found.size, 8) == fit(large.folder, large.size, 8)
    found = large.find(source, UPDATE)
    assert found.digest == large.digest and large.buckets.sent > LARGE
    assert digest(found.folder) == large.digest


def test_an_artifact_that_is_here_already_is_hashed_once(
    large: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = large.find(SOURCES[0], UPDATE)
    hashed: list[Path] = []

    def counted(folder: Path) -> str:
        hashed.append(folder)
        return digest(folder)

    for module in ("artifacts", "contents"):
        monkeypatch.setattr(f"provider.{module}.digest", counted)
    again = large.find(SOURCES[0], Wanted(Pin(first.digest, first.size, first.listing), planning=True))
    assert (again.digest, again.size, again.folder) == (large.digest, large.size, first.folder)
    assert hashed == [first.folder]


@pytest.mark.parametrize("wanted", [PLAN, UPDATE], ids=["plan", "update"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_pinned_artifact_is_not_downloaded_on_any_machine(large: Made, source: str, wanted: Wanted) -> None:
    first = large.find(source, UPDATE)
    pin = Pin(first.digest, first.size, first.listing)
    again = large.find(source, Wanted(pin, wanted.planning, here=False), home="another machine")
    assert again.digest == large.digest and not again.rewritten and again.listing == first.listing
    assert large.buckets.sent < FEW


@pytest.mark.parametrize("source", SOURCES)
def test_a_store_that_was_written_to_is_told_by_a_plan_and_compared_by_an_update(
    large: Made, source: str
) -> None:
    first = large.find(source, PLAN, large.digest)
    pin = Pin(large.digest, first.size, first.listing)
    plan, update = Wanted(pin, planning=True, here=False), Wanted(pin, here=False)
    # The same bytes once more, as a repaired upload: the update has the last word, and the next plan agrees.
    large.buckets.stamps["models/3/model.onnx"] = "again"
    assert large.find(source, plan, home="b").rewritten and large.buckets.sent < FEW
    found = large.find(source, update, home="b")
    assert (found.digest, found.rewritten) == (large.digest, False)
    assert found.listing != first.listing
    settled = Pin(large.digest, found.size, found.listing)
    assert not large.find(source, Wanted(settled, planning=True, here=False), home="c").rewritten
    # Other bytes.
    large.buckets.files["models/3/model.onnx"] = b"x" + bytes(LARGE - 1)
    assert large.find(source, plan, home="d").rewritten and large.buckets.sent < FEW
    assert large.find(source, update, home="d").digest not in ("", large.digest)


def test_a_release_that_was_pinned_before_listings_is_told_by_its_size(large: Made) -> None:
    wanted = Wanted(Pin(large.digest, large.size), planning=True, here=False)
    assert not large.find(SOURCES[0], wanted).rewritten
    large.buckets.files["models/3/model.onnx"] += b"x"
    assert large.find(SOURCES[0], wanted).rewritten


@pytest.mark.parametrize("source", SOURCES)
def test_a_small_artifact_is_hashed_by_a_plan_and_let_alone_once_it_is_pinned(
    buckets: Buckets, tmp_path: Path, source: str
) -> None:
    files = {"MLmodel": yaml.safe_dump(ONNX).encode(), "model.onnx": bytes(500_000), "a b+c.txt": b"names"}
    made = Made(buckets, tmp_path, files)
    found = made.find(source, PLAN)
    assert found.digest == made.digest and buckets.sent > 500_000
    pin = Pin(found.digest, found.size, found.listing)
    assert made.find(source, Wanted(pin, planning=True, here=False), home="b").digest == made.digest
    assert buckets.sent < FEW
    buckets.files["models/3/model.onnx"] = b"x" * 500_000
    changed = made.find(source, Wanted(pin, planning=True, here=False), home="c")
    assert changed.digest != made.digest and not changed.rewritten


def test_where_it_is_served_from_this_machine_an_update_fetches_it(large: Made) -> None:
    planned = large.find(SOURCES[0], Wanted(planning=True), large.digest)
    assert not Path(planned.artifact).exists()
    made = large.find(SOURCES[0], Wanted(), large.digest)
    assert made.artifact == planned.artifact and digest(Path(made.artifact)) == large.digest


class OfNoLibrary:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return yaml.safe_load, ("1",)


def _pickle() -> bytes:
    return pickle.dumps([OfNoLibrary(), bytes(LARGE)])


def _skops() -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("0.npy", bytes(LARGE))
        archive.writestr("schema.json", '{"__module__": "yaml.nodes", "content": []}')
    return kept.getvalue()


@pytest.mark.parametrize("form", ["pickle", "skops"])
@pytest.mark.parametrize("source", SOURCES)
def test_the_modules_that_a_large_model_needs_are_read_from_its_ends(
    buckets: Buckets, tmp_path: Path, source: str, form: str
) -> None:
    options = {"pickled_model": "model.bin", "serialization_format": form}
    files = {
        "MLmodel": yaml.safe_dump({"flavors": {"sklearn": options}}).encode(),
        "model.bin": _pickle() if form == "pickle" else _skops(),
    }
    made = Made(buckets, tmp_path, files)
    found = made.find(source, PLAN, made.digest)
    assert needs(found.folder).modules == needs(made.folder).modules == {"yaml"}
    assert buckets.sent < (2 << 20) + FEW and not found.unread


def test_what_is_too_large_to_read_for_a_finding_is_not_refused_for_it(
    buckets: Buckets, tmp_path: Path
) -> None:
    files = {
        "MLmodel": yaml.safe_dump(
            {**ONNX, "saved_input_example_info": {"artifact_path": "example.json"}}
        ).encode(),
        "model.onnx": bytes(LARGE),
        "reference.json": b"{" + b" " * (2 << 20) + b"}",
        "example.json": b"[" + b" " * (2 << 20) + b"]",
    }
    made = Made(buckets, tmp_path, files)
    found = made.find(SOURCES[0], PLAN, made.digest)
    assert fit(found.folder, found.size, 4096).refusals == ()
    assert buckets.sent < FEW


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_no_artifact_is_named(buckets: Buckets, tmp_path: Path, source: str) -> None:
    made = Made(buckets, tmp_path, {"MLmodel": b"flavors: {}"})
    with pytest.raises(ProviderError, match=f"churn version 3 can't be served: .*nothing at {source}x"):
        made.find(f"{source}x", PLAN)
    buckets.files["models/3/../x"] = b""
    with pytest.raises(ProviderError, match=r"'\.\./x' would lie outside"):
        made.find(source, PLAN)
    with pytest.raises(ProviderError, match=r"its tag artifact\.digest is 'latest', which is no digest"):
        made.find(source, PLAN, "latest")
    buckets.close()
    with pytest.raises(
        UnfetchedError, match=f"the artifact of churn version 3 can't be fetched from {source}"
    ):
        made.find(source, PLAN)


@pytest.mark.parametrize(
    ("before", "now", "may"),
    [
        ("s3-etag:1", "s3-etag:1", True),
        ("s3-etag:1", "s3-etag:2", False),
        ("s3-etag:1", "size:2", True),
        ("", "s3-etag:2", True),
        ("s3-etag:1", "", True),
    ],
)
def test_fingerprints_of_different_evidence_tell_nothing(before: str, now: str, may: bool) -> None:
    assert same(before, now) is may
