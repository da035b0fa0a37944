"""What a release decides by what the registry says, and what is never said."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.artifacts import fetched
from provider.contents import Pin, UnfetchedError, UnreachableError, Wanted
from provider.fit import Fit
from provider.masking import masked, reason
from provider.registry import Registered, UnknownModelError
from provider.release import Release
from provider.resource import UNKNOWN, ProviderError
from serving.artifact import ArtifactError, digest
from tests.provider.conftest import Told
from tools.paths import ROOT

FOUND = Registered(
    digest="sha256:aaa",
    artifact="/artifacts/1",
    size=2048,
    source="s3://models/1",
    flavor="onnx",
    signature={"inputs": "[]"},
    metrics={"auc": 0.99},
    run="r1",
    data="sha256:ddd",
    commit="abc",
    code="https://host/o/r#train.py (make train)",
    owner="risk-team",
    risk_class="high",
    card="# A card",
    approved_by="Ann",
    approved_at="2026-11-24T09:30:15Z",
    evaluation="approved",
    registered="2026-11-23T08:00:00Z",
)
FACTS = {
    "digest": "sha256:aaa",
    "size": 2048,
    "source": "s3://models/1",
    "flavor": "onnx",
    "signature": {"inputs": "[]"},
    "metrics": {"auc": 0.99},
    "run": "r1",
    "data": "sha256:ddd",
    "commit": "abc",
    "code": "https://host/o/r#train.py (make train)",
    "owner": "risk-team",
    "riskClass": "high",
    "card": "# A card",
    "approvedBy": "Ann",
    "approvedAt": "2026-11-24T09:30:15Z",
    "evaluation": "approved",
    "registered": "2026-11-23T08:00:00Z",
}
ASKED = {"model": "churn", "version": 3, "registry": "https://ann:pw123@host/api?token=t0ken"}
MASKED = "https://***@host/api?***"


def release(answer: Registered | Exception, fits: Fit | None = None) -> Release:
    def lookup(uri: str, model: str, version: int, store: Path, wanted: Wanted) -> Registered:
        assert (uri, model, version) == (ASKED["registry"], "churn", 3)
        assert store.is_absolute() and store.name == "artifacts"
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Release(lookup, lambda artifact, size, memory, flavors: fits or Fit())


def served(artifact: Path, size: int, memory: int | None, flavors: Sequence[str]) -> Fit:
    return Fit()


def pinned(**more: Any) -> dict[str, Any]:
    return {"model": "churn", "version": 3, "registry": MASKED, **FACTS, **more}


def test_a_plan_knows_everything_of_a_release_but_the_password(told: Told) -> None:
    checked = release(FOUND).check(told.context("churn-v3", preview=True), None, {**ASKED, "digest": None})
    assert checked.failures == ()
    assert checked.inputs == pinned()
    assert told.info == told.warnings == []


def test_only_a_local_release_has_a_folder_of_this_machine(told: Told) -> None:
    """Anywhere else it would be another one on each machine that plans."""
    context, local = told.context("churn-v3"), {**ASKED, "local": True}
    assert release(FOUND).check(context, None, local).inputs == pinned(local=True, artifact="/artifacts/1")
    elsewhere = replace(FOUND, artifact="/home/bob/artifacts/1")
    checked = release(elsewhere).check(context, pinned(artifact="/home/ann/artifacts/1"), ASKED)
    assert checked.inputs == pinned()
    down = release(UnreachableError("refused")).check(context, pinned(artifact="/home/ann/1"), ASKED)
    assert down.inputs == pinned()
    kept = pinned(local=True, artifact="/artifacts/1")
    assert release(UnreachableError("refused")).check(context, kept, local).inputs == kept


def test_an_approval_is_a_change_of_the_release_in_place(told: Told) -> None:
    kind, context = release(FOUND), told.context("churn-v3")
    before = pinned(approvedBy="", approvedAt="")
    changes = kind.diff(context, "churn/3", before, kind.check(context, before, ASKED).inputs).changes
    assert changes == {"approvedBy": False, "approvedAt": False}


def test_another_address_of_the_registry_is_asked_and_the_declared_one_kept(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def lookup(uri: str, model: str, version: int, store: Path, wanted: Wanted) -> Registered:
        asked.append(uri)
        return FOUND

    monkeypatch.setenv("MODEL_DELIVERY_REGISTRY", "http://localhost:5000")
    checked = Release(lookup, served).check(told.context("churn-v3"), None, ASKED)
    assert asked == ["http://localhost:5000"] and checked.inputs == pinned()


def test_the_id_is_the_version_and_nothing_is_made_or_removed(told: Told) -> None:
    kind, context = release(FOUND), told.context("churn-v3")
    assert kind.create(context, pinned()) == ("churn/3", pinned())
    assert kind.read(context, "churn/3", pinned()) == pinned()
    assert kind.update(context, "churn/3", pinned(), pinned(commit="b")) == pinned(commit="b")
    kind.delete(context, "churn/3", pinned())


def test_a_pinned_release_outlives_its_registry(told: Told) -> None:
    checked = release(UnreachableError("connection refused")).check(told.context("churn-v3"), pinned(), ASKED)
    assert checked.failures == () and checked.inputs == pinned()
    (warning,) = told.warnings
    assert MASKED in warning and "connection refused" in warning and "sha256:aaa" in warning


@pytest.mark.parametrize(
    "old",
    [
        None,
        {},
        pinned(version=2),
        pinned(model="fraud"),
        pinned(digest=""),
        pinned(digest=None),
        pinned(digest=UNKNOWN),
    ],
)
def test_a_release_that_was_never_pinned_needs_the_registry(told: Told, old: dict[str, Any] | None) -> None:
    checked = release(UnreachableError("no such host")).check(told.context("churn-v3"), old, ASKED)
    (failure,) = checked.failures
    assert failure.property == ""
    assert failure.reason == (
        f"churn-v3 can't be resolved: the registry {MASKED} does not answer (no such host). "
        "Start it, or register the model first"
    )
    assert not told.warnings


GONE = [
    (ProviderError("churn has no version 3 in the registry; registered are 1, 2"), "churn has no version 3"),
    (UnknownModelError("the registry has no model 'churn'", ""), "the registry has no model 'churn'"),
    (ProviderError("the artifact of churn version 3 has no files"), "has no files"),
    (replace(FOUND, digest="sha256:bbb"), "is pinned to sha256:aaa, the registry now has sha256:bbb"),
]


@pytest.mark.parametrize(("answer", "says"), GONE)
def test_a_pinned_release_goes_on_when_the_registry_no_longer_has_it(
    told: Told, answer: Registered | Exception, says: str
) -> None:
    """One that fails would stand in the way of every other model of the stack, a rollback of it included."""
    checked = release(answer).check(told.context("churn-v3"), pinned(), ASKED)
    assert checked.failures == ()
    lost = checked.inputs["lost"]
    assert checked.inputs == pinned(lost=lost)
    assert says in lost and "one that starts fetches s3://models/1, and only loads it with the pinned" in lost
    (warning,) = told.warnings
    assert "churn-v3 stays as it is pinned, sha256:aaa" in warning and says in warning


@pytest.mark.parametrize(("answer", "says"), GONE[:3])
def test_a_new_release_that_the_registry_does_not_have_fails(
    told: Told, answer: Exception, says: str
) -> None:
    for old in (None, pinned(version=2)):
        (failure,) = release(answer).check(told.context("churn-v3"), old, ASKED).failures
        assert failure.property == "" and says in failure.reason
    assert not told.warnings
    # Another version, or a first declaration, has no digest to compare with.
    for old in (None, pinned(version=2)):
        assert not release(replace(FOUND, digest="sha256:bbb")).check(told.context("v"), old, ASKED).failures


def test_a_local_release_that_is_lost_says_whether_its_servers_can_start_again(
    told: Told, tmp_path: Path
) -> None:
    folder, context = tmp_path / "model", told.context("churn-v3")
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    kept = pinned(local=True, artifact=str(folder), digest=digest(folder))
    gone = release(ProviderError("churn has no version 3 in the registry"))
    lost = gone.check(context, kept, {**ASKED, "local": True}).inputs["lost"]
    assert f"Its files are still in {folder}, so its servers can start again" in lost
    (folder / "MLmodel").write_text("flavors: {onnx: {}}\n")
    lost = gone.check(context, kept, {**ASKED, "local": True}).inputs["lost"]
    assert "Its servers answer until they are restarted, and can't start again" in lost
    assert f"{folder} no longer has the pinned files" in lost


def test_what_is_told_of_a_release_goes_when_it_no_longer_holds(told: Told) -> None:
    kind, context = release(FOUND), told.context("churn-v3")
    before = pinned(lost="deleted", refusals=["no"], mismatches=["old"])
    after = kind.check(context, before, ASKED).inputs
    assert after == pinned()
    assert kind.diff(context, "churn/3", before, after).changes == {
        "lost": False,
        "refusals": False,
        "mismatches": False,
    }


def test_an_unfetched_artifact_is_no_registry_that_does_not_answer(told: Told) -> None:
    kind, context = release(UnfetchedError("the artifact can't be fetched from s3://m/1")), told.context("v3")
    (failure,) = kind.check(context, None, ASKED).failures
    assert failure.reason == "v3 can't be resolved: the artifact can't be fetched from s3://m/1"
    assert kind.check(context, pinned(), ASKED).inputs == pinned()
    assert "does not answer" not in told.warnings[0] and "can't be fetched from s3://m/1" in told.warnings[0]


def test_a_new_release_that_the_server_can_not_serve_fails_and_a_pinned_one_is_told(told: Told) -> None:
    fits = Fit(("it has the flavours lightgbm", "it needs the module acme"), ("scikit-learn 1.7 wrote it",))
    kind, context = release(FOUND, fits), told.context("churn-v3")
    for old in (None, pinned(version=2)):
        (failure,) = kind.check(context, old, ASKED).failures
        assert failure.reason == (
            "churn-v3 can't be served: it has the flavours lightgbm; it needs the module acme"
        )
    checked = kind.check(context, pinned(), ASKED)
    assert checked.failures == ()
    assert checked.inputs == pinned(refusals=list(fits.refusals), mismatches=list(fits.mismatches))


def test_versions_that_do_not_fit_are_told_of_a_new_release_too(told: Told) -> None:
    kind = release(FOUND, Fit(mismatches=("scikit-learn 1.7 wrote it",)))
    checked = kind.check(told.context("churn-v3"), None, ASKED)
    assert checked.failures == () and checked.inputs == pinned(mismatches=["scikit-learn 1.7 wrote it"])


def test_it_is_judged_for_what_a_server_has_and_the_state_keeps_none_of_that(told: Told) -> None:
    seen: list[tuple[Path, int, int | None, Sequence[str]]] = []

    def judge(artifact: Path, size: int, memory: int | None, flavors: Sequence[str]) -> Fit:
        seen.append((artifact, size, memory, flavors))
        return Fit()

    kind = Release(lambda uri, model, version, store, wanted: FOUND, judge)
    asked = {**ASKED, "memory": 512, "flavors": ["onnx"]}
    assert kind.check(told.context("v"), None, asked).inputs == pinned()
    kind.check(told.context("v"), None, {**ASKED, "local": True})
    assert seen == [
        (Path("/artifacts/1"), 2048, 512, ("onnx",)),
        (Path("/artifacts/1"), 2048, None, ("onnx", "sklearn")),
    ]


def test_a_preview_pins_by_what_the_state_has_and_downloads_nothing_large(told: Told) -> None:
    seen: list[Wanted] = []

    def lookup(uri: str, model: str, version: int, store: Path, wanted: Wanted) -> Registered:
        seen.append(wanted)
        return replace(FOUND, listing="size:1")

    kind, context = Release(lookup, served), told.context("churn-v3")
    planned = kind.check(context, None, {**ASKED, "planning": True}).inputs
    assert planned == pinned(listing="size:1")
    kind.check(context, pinned(version=2), {**ASKED, "planning": True})
    kind.check(context, planned, {**ASKED, "planning": True})
    kind.check(context, pinned(), {**ASKED, "local": True})
    pin = Pin("sha256:aaa", 2048, "size:1")
    assert seen == [
        Wanted(None, planning=True, here=False),
        Wanted(None, planning=True, here=False),
        Wanted(pin, planning=True, here=False),
        Wanted(Pin("sha256:aaa", 2048), planning=False, here=True),
    ]


def test_what_a_store_says_of_files_is_no_change_of_a_release(told: Told) -> None:
    kind, context = release(FOUND), told.context("churn-v3")
    assert kind.diff(context, "churn/3", pinned(), pinned(listing="size:1")).changes == {}
    assert kind.diff(context, "churn/3", pinned(listing="size:1"), pinned()).changes == {}


@pytest.mark.parametrize("approval", [(), ("approved_by", "approved_at")], ids=["of any", "of one digest"])
def test_a_digest_that_a_preview_does_not_know_is_known_after_the_update(
    told: Told, approval: tuple[str, ...]
) -> None:
    """Nor is an approval, where that is of one digest."""
    found = replace(FOUND, digest="", artifact="", size=5 << 30, undecided=("digest", "artifact", *approval))
    kind, context = release(found), told.context("churn-v3", preview=True)
    checked = kind.check(context, None, {**ASKED, "planning": True, "local": True})
    unknown = {"digest": UNKNOWN, "artifact": UNKNOWN, "size": 5 << 30}
    if approval:
        unknown |= {"approvedBy": UNKNOWN, "approvedAt": UNKNOWN}
    assert checked.failures == () and checked.inputs == pinned(local=True) | unknown
    assert kind.create(context, checked.inputs)[1]["digest"] is UNKNOWN
    (said,) = told.info
    assert "known after the update, which downloads the artifact (5120 MiB)" in said


def test_a_large_artifact_that_was_written_to_is_told_without_a_download(told: Told) -> None:
    found = replace(FOUND, rewritten=True)
    checked = release(found).check(told.context("churn-v3"), pinned(), {**ASKED, "planning": True})
    assert checked.failures == () and checked.inputs == pinned(lost=checked.inputs["lost"])
    assert "in s3://models/1 were written again after it was deployed" in checked.inputs["lost"]


def test_a_file_that_no_finding_was_read_of_is_told_once(told: Told) -> None:
    kind = release(replace(FOUND, size=3 << 30, unread="model.pkl"))
    context = told.context("churn-v3")
    kind.check(context, None, {**ASKED, "planning": True})
    kind.check(context, None, ASKED)
    kind.check(context, pinned(), {**ASKED, "planning": True})
    (said,) = told.info
    assert "doesn't read model.pkl through MLflow, since the artifact has 3072 MiB" in said


@pytest.mark.parametrize("key", ASKED)
def test_what_is_not_known_yet_is_not_looked_up(told: Told, key: str) -> None:
    def never(*_: object) -> Registered:
        raise AssertionError

    checked = Release(never).check(told.context("v"), None, {**ASKED, key: UNKNOWN})
    assert checked.failures == ()
    assert checked.inputs[key] is UNKNOWN and checked.inputs["digest"] is UNKNOWN
    assert checked.inputs.keys() == pinned(artifact="").keys()


def test_another_version_is_another_release_and_another_address_is_not(told: Told) -> None:
    kind, context = release(FOUND), told.context("churn-v3")
    assert kind.diff(context, "churn/3", pinned(), pinned()).changes == {}
    assert kind.diff(context, "churn/3", pinned(), pinned(version=4)).changes == {"version": True}
    assert kind.diff(context, "churn/3", pinned(), pinned(model="fraud")).changes == {"model": True}
    changed = pinned(registry="sqlite:///r.db", artifact="/a", metrics={"auc": 0.98})
    assert kind.diff(context, "churn/3", pinned(), changed).changes == {
        "registry": False,
        "artifact": False,
        "metrics.auc": False,
    }


def test_artifacts_are_kept_beside_the_run_folder(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stores: list[Path] = []

    def lookup(uri: str, model: str, version: int, store: Path, wanted: Wanted) -> Registered:
        stores.append(store)
        return FOUND

    monkeypatch.setenv("MODEL_DELIVERY_HOME", str(tmp_path))
    Release(lookup, served).check(told.context("v"), None, ASKED)
    monkeypatch.delenv("MODEL_DELIVERY_HOME")
    Release(lookup, served).check(told.context("v"), None, ASKED)
    assert stores == [tmp_path / "artifacts", ROOT / ".delivery" / "artifacts"]


class TestMasking:
    @pytest.mark.parametrize(
        ("uri", "shown"),
        [
            ("https://host/path", "https://host/path"),
            ("https://user:p@ss@host:5000/path", "https://***@host:5000/path"),
            ("https://token@host", "https://***@host"),
            ("postgresql+psycopg2://u:p@db/mlflow?sslmode=off", "postgresql+psycopg2://***@db/mlflow?***"),
            ("sqlite:////run/mlflow.db", "sqlite:////run/mlflow.db"),
            ("https://host/a@b", "https://host/a@b"),
            ("/plain/path?x", "/plain/path?x"),
        ],
    )
    def test_an_address_is_shown_without_secrets(self, uri: str, shown: str) -> None:
        assert masked(uri) == shown
        assert masked(shown) == shown

    def test_an_error_loses_every_part_of_an_address_that_may_be_secret(self) -> None:
        uri = "https://ann:pw123@host/path?token=t0ken"
        text = "user ann, password pw123, both ann:pw123, query token=t0ken, host host, short a"
        assert reason(RuntimeError(text), uri) == (
            "user ***, password ***, both ***, query ***, host host, short a"
        )
        assert (
            reason(RuntimeError("a is b at http://x:y1@h/p?q"), "http://h") == "a is b at http://***@h/p?***"
        )
        # Two letters are no secret, and would blot out half of the text.
        assert reason(RuntimeError("to be or not"), "http://be:or@h") == "to be or not"

    @given(
        st.from_regex(r"[a-zA-Z0-9._~!$&()*+,;=:-]{3,20}", fullmatch=True),
        st.from_regex(r"[a-zA-Z0-9._~!$&()*+,;=-]{3,20}", fullmatch=True),
    )
    def test_no_password_is_ever_shown(self, password: str, query: str) -> None:
        uri = f"https://someone:Q{password}Q@host/path?key=Z{query}Z"
        error = RuntimeError(f"{uri} failed for Q{password}Q with key=Z{query}Z")
        for text in (masked(uri), reason(error, uri)):
            assert f"Q{password}Q" not in text and f"Z{query}Z" not in text

    def test_the_innermost_cause_is_told_in_one_line(self) -> None:
        def nested() -> None:
            try:
                try:
                    raise ConnectionRefusedError(111, "Connection refused")
                except OSError as error:
                    raise RuntimeError("HTTPConnectionPool(host='x'): max retries exceeded") from error
            except RuntimeError:
                raise ValueError("API request to http://u:p@x failed")  # noqa: B904

        with pytest.raises(ValueError) as caught:
            nested()
        assert reason(caught.value, "http://u:p@x") == "Connection refused"

    def test_a_cause_that_is_hidden_stays_hidden(self) -> None:
        try:
            try:
                raise KeyError("inner")
            except KeyError:
                raise ValueError("outer\nmore lines") from None
        except ValueError as error:
            assert reason(error, "sqlite:///x") == "outer"

    def test_what_a_library_carries_as_the_reason_is_the_cause(self) -> None:
        class CarryingError(Exception):
            reason = ssl.SSLError(1, "certificate verify failed")

        assert reason(CarryingError("long"), "https://x") == "certificate verify failed"

    def test_an_error_without_words_is_named_and_a_long_one_cut(self) -> None:
        assert reason(RuntimeError(), "x") == "RuntimeError"
        assert reason(RuntimeError("\n \n"), "x") == "RuntimeError"
        assert reason(RuntimeError("y" * 500), "x") == "y" * 200 + "…"


class TestStore:
    @staticmethod
    def download(folder: Path, text: str = "weights") -> None:
        (folder / "MLmodel").write_text("flavors: {}")
        (folder / "data").write_text(text)

    def test_an_artifact_is_fetched_once(self, tmp_path: Path) -> None:
        first = fetched(tmp_path / "store", "", self.download)
        expected = digest(first)
        assert first.name == expected.replace(":", "-") and (first / "data").read_text() == "weights"

        def never(_: Path) -> None:
            raise AssertionError

        assert fetched(tmp_path / "store", expected, never) == first
        assert fetched(tmp_path / "store", "", self.download) == first
        assert list((tmp_path / "store").iterdir()) == [first]

    def test_a_store_of_several_folders_deep_is_made(self, tmp_path: Path) -> None:
        kept = fetched(tmp_path / "a" / "b", "", self.download)
        assert kept.parent == tmp_path / "a" / "b"
        assert ":" not in kept.name and kept.name.startswith("sha256-")

    def test_a_damaged_copy_is_fetched_again(self, tmp_path: Path) -> None:
        first = fetched(tmp_path, "", self.download)
        expected = digest(first)
        (first / "data").write_text("damaged")
        assert fetched(tmp_path, expected, self.download) == first
        assert digest(first) == expected

    def test_nothing_is_left_of_a_failed_download(self, tmp_path: Path) -> None:
        def fails(folder: Path) -> None:
            self.download(folder)
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            fetched(tmp_path, "", fails)
        with pytest.raises(ArtifactError):
            fetched(tmp_path, "", lambda folder: None)
        assert not list(tmp_path.iterdir())

    def test_another_artifact_than_registered_is_kept_under_its_own_name(self, tmp_path: Path) -> None:
        found = fetched(tmp_path, "sha256:" + "0" * 64, self.download)
        assert found.name == digest(found).replace(":", "-")

    def test_a_store_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("")
        with pytest.raises(ProviderError, match="store can't be written"):
            fetched(tmp_path / "store", "", self.download)


def test_it_says_whose_release_it_is_where_the_registered_model_does_not(told: Told) -> None:
    context, asked = told.context("eu-v3"), {**ASKED, "endpoint": "eu"}
    assert release(FOUND).check(context, None, asked).inputs == pinned(endpoint="eu")
    down = release(UnreachableError("refused")).check(context, pinned(endpoint="eu"), asked)
    assert down.inputs == pinned(endpoint="eu")
    changes = release(FOUND).diff(context, "churn/3", pinned(), {**pinned(), "model": "a", "endpoint": "eu"})
    assert changes.changes == {"model": True, "endpoint": False}


@pytest.mark.parametrize(
    ("more", "near", "says"),
    [
        (
            {},
            "Churn_Model",
            'Did you mean Churn_Model? Then write models.churn.registeredModel: "Churn_Model"',
        ),
        (
            {"endpoint": "eu"},
            "main.ml.churn",
            'Did you mean main.ml.churn? Then write models.eu.registeredModel: "main.ml.churn"',
        ),
        ({}, "", "Register it, or write the name of the one that is meant as models.churn.registeredModel"),
    ],
)
def test_a_model_that_the_registry_does_not_have_is_told_with_the_key_that_names_one(
    told: Told, more: dict[str, Any], near: str, says: str
) -> None:
    kind = release(UnknownModelError("the registry has no model 'churn'", near))
    (failure,) = kind.check(told.context("churn-v3"), None, {**ASKED, **more}).failures
    assert failure.reason == f"the registry has no model 'churn'. {says}"
