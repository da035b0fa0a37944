"""Whether a model can be served is known from its files: models as MLflow and scikit-learn write them."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import sklearn
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops import io as skops

from provider.fit import fit
from provider.needs import needs, pins

X, Y = np.arange(30.0).reshape(10, 3), np.array([0, 1] * 5)
GIB2 = 2048


def trained() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def foreign(module: str) -> Any:
    """An estimator of a module that this environment had when it was trained, and no longer has."""
    made = types.ModuleType(module)
    exec("class Boost:\n    def predict(self, X): return X\n", made.__dict__)
    made.__dict__["Boost"].__module__ = module
    return made.__dict__["Boost"]()


def write(folder: Path, model: Any, form: str = "skops", **more: Any) -> Path:
    folder.mkdir()
    file = folder / ("model.skops" if form == "skops" else "model.pkl")
    name = getattr(type(model), "__module__", "")
    absent = name and name not in sys.modules
    if absent:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name])[type(model).__name__] = type(model)
    try:
        if form == "skops":
            skops.dump(model, file)
        elif form == "joblib":
            joblib.dump(model, file)
        else:
            file.write_bytes((cloudpickle if form == "cloudpickle" else pickle).dumps(model))
    finally:
        if absent:
            del sys.modules[name]
    options = {
        "pickled_model": file.name,
        "serialization_format": form,
        "sklearn_version": sklearn.__version__,
    }
    describe(folder, {"sklearn": {**options, **more.pop("sklearn", {})}, "python_function": more})
    return folder


def describe(folder: Path, flavours: dict[str, Any]) -> None:
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavours}))


@pytest.mark.parametrize("form", ["skops", "joblib", "pickle", "cloudpickle"])
@pytest.mark.parametrize("memory", [None, GIB2])
def test_a_model_of_the_servers_own_libraries_is_served(
    tmp_path: Path, form: str, memory: int | None
) -> None:
    artifact = write(tmp_path / "m", trained(), form)
    found = fit(artifact, 5000, memory)
    assert (found.refusals, found.mismatches) == ((), ())
    assert needs(artifact).modules >= {"sklearn", "numpy"}


@pytest.mark.parametrize("form", ["skops", "joblib", "pickle", "cloudpickle"])
@pytest.mark.parametrize(
    ("memory", "server"), [(None, "environment (.venv)"), (GIB2, "image (serving/requirements.txt)")]
)
def test_a_module_that_the_server_does_not_have_is_named(
    tmp_path: Path, form: str, memory: int | None, server: str
) -> None:
    (refusal,) = fit(write(tmp_path / "m", foreign("acme_boost"), form), 5000, memory).refusals
    assert f"needs the module acme_boost, which the server's {server} doesn't have" in refusal
    assert "code_paths" in refusal and str(tmp_path) not in refusal


def test_a_package_of_this_machine_is_none_of_the_images(tmp_path: Path) -> None:
    artifact = write(tmp_path / "m", foreign("hypothesis.extra.acme"), "pickle")
    assert fit(artifact, 5000, None).refusals == ()
    (refusal,) = fit(artifact, 5000, GIB2).refusals
    assert "needs the module hypothesis, which the server's image" in refusal


def test_modules_that_were_logged_beside_the_model_are_there(tmp_path: Path) -> None:
    artifact = write(tmp_path / "m", foreign("feat_lib"), "pickle", code="code")
    (artifact / "code" / "feat_lib").mkdir(parents=True)
    assert fit(artifact, 5000, None).refusals == ()


def test_a_class_of_a_notebook_is_told_as_such(tmp_path: Path) -> None:
    artifact = tmp_path / "m"
    write(artifact, trained(), "pickle")
    (artifact / "model.pkl").write_bytes(b"c__main__\nStep\n.")
    (refusal,) = fit(artifact, 5000, None).refusals
    assert "classes of the script or notebook that trained it" in refusal


def test_what_mlmodel_says_against_it_is_told_without_the_folder(tmp_path: Path) -> None:
    (artifact := tmp_path / "m").mkdir()
    describe(artifact, {"lightgbm": {}, "python_function": {"loader_module": "mlflow.lightgbm"}})
    (refusal,) = fit(artifact, 5000, GIB2).refusals
    assert "has the flavours lightgbm, python_function" in refusal and str(tmp_path) not in refusal


def test_an_artifact_needs_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    artifact = write(tmp_path / "m", trained())
    (refusal,) = fit(artifact, 2 << 30, GIB2).refusals
    assert refusal.startswith(
        "its artifact has 2048 MiB, and a server has 2048 MiB of memory: raise resources"
    )
    assert fit(artifact, 2 << 30, GIB2 + 1).refusals == fit(artifact, 2 << 30, None).refusals == ()


@pytest.mark.parametrize("memory", [None, GIB2])
def test_another_scikit_learn_is_told_with_both_versions(tmp_path: Path, memory: int | None) -> None:
    artifact = write(tmp_path / "m", trained(), sklearn={"sklearn_version": "1.2.0"})
    found = fit(artifact, 5000, memory)
    (mismatch,) = found.mismatches
    assert found.refusals == ()
    assert mismatch.startswith("scikit-learn 1.2.0 wrote it, the server's ")
    assert f"has {sklearn.__version__}: " in mismatch and "InconsistentVersionWarning" in mismatch


def test_other_libraries_have_rules_of_their_own(tmp_path: Path) -> None:
    artifact = write(tmp_path / "m", trained(), "cloudpickle", python_version="3.8.2")
    (artifact / "requirements.txt").write_text("numpy==1.26.4\nscipy==1.9.0\nskops==99.0\nfoo>=2\n")
    assert [text.split(" wrote")[0] for text in fit(artifact, 5000, None).mismatches] == [
        "numpy 1.26.4",
        "Python 3.8.2",
    ]
    # What Python the image has is its base's to say, which a plan doesn't look into.
    assert [text.split(" wrote")[0] for text in fit(artifact, 5000, GIB2).mismatches] == ["numpy 1.26.4"]
    artifact = write(tmp_path / "s", trained(), "skops", python_version="3.8.2")
    conda = {"dependencies": ["python=3.8", "pip", {"pip": ["skops==99.0", "numpy==2.0"]}]}
    (artifact / "conda.yaml").write_text(yaml.safe_dump(conda))
    assert [text.split(" wrote")[0] for text in fit(artifact, 5000, None).mismatches] == ["skops 99.0"]


def test_a_graph_is_loaded_by_the_onnxruntime_that_wrote_it_or_a_later_one(tmp_path: Path) -> None:
    (artifact := tmp_path / "m").mkdir()
    (artifact / "model.onnx").write_bytes(b"")
    describe(artifact, {"onnx": {"data": "model.onnx", "onnx_version": "1.0"}})
    for version, told in (("1.2.0", 0), ("99.1.0", 1)):
        (artifact / "requirements.txt").write_text(f"onnxruntime=={version}\nscikit-learn==0.1\ntorch==2.0\n")
        found = fit(artifact, 5000, GIB2)
        assert (len(found.mismatches), found.refusals) == (told, ())


def test_a_list_of_requirements_is_read_as_pip_does() -> None:
    text = (
        "A_b.c==1.2 \\\n    --hash=sha256:00\nd[e]==3 ; python_version < '4'\nf>=1\n# g==1\nh===2+cpu # i\n"
    )
    assert pins(text) == {"a-b-c": "1.2", "d": "3", "h": "2+cpu"}


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x04\x94\x93.", b"PK\x03\x04", b"h\x09."])
@pytest.mark.parametrize("form", ["skops", "pickle", "joblib"])
def test_a_broken_file_is_the_servers_to_refuse(tmp_path: Path, content: bytes, form: str) -> None:
    artifact = write(tmp_path / "m", trained(), form)
    (artifact / ("model.skops" if form == "skops" else "model.pkl")).write_bytes(content)
    assert needs(artifact).modules == frozenset()


@pytest.mark.parametrize("flavour", ["onnx", "sklearn"])
def test_an_image_for_one_flavour_serves_no_other(tmp_path: Path, flavour: str) -> None:
    artifact = tmp_path / "m"
    if flavour == "sklearn":
        write(artifact, trained())
    else:
        artifact.mkdir()
        describe(artifact, {"onnx": {"data": "model.onnx"}, "python_function": {}})
    other = {"onnx": "sklearn", "sklearn": "onnx"}[flavour]
    assert f"its flavour is {flavour}" not in " ".join(fit(artifact, 5000, GIB2, (flavour,)).refusals)
    (refusal,) = fit(artifact, 5000, GIB2, (other,)).refusals
    assert refusal.startswith(f"its flavour is {flavour}, and the server's image serves {other} alone")
    assert f"add {flavour} to platform.image.build.flavors" in refusal and "imageFlavors" in refusal
    # On this machine it is served by the environment, which has both.
    assert fit(artifact, 5000, None, (other,)).refusals == fit(artifact, 5000, None).refusals


def test_a_package_of_the_other_flavour_is_none_of_the_images(tmp_path: Path) -> None:
    artifact = write(tmp_path / "m", trained(), "pickle")
    assert fit(artifact, 5000, GIB2, ("sklearn",)).refusals == ()
    foreign_to_it = write(tmp_path / "n", foreign("onnxruntime.acme"), "pickle")
    (refusal,) = fit(foreign_to_it, 5000, GIB2, ("sklearn",)).refusals
    assert "needs the module onnxruntime" in refusal and "requirements-sklearn.txt" in refusal
