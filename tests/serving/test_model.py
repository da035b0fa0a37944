"""Loading: what is accepted, and what is refused with which message."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

# Here, as it looks through every module that is there: once the clouds' SDKs are, whose modules load when
# they are looked at, that takes half a minute.
import skops.io
import yaml

from serving import model
from serving.artifact import ArtifactError, digest
from serving.model import Model
from serving.settings import Settings
from tests.serving import folders


def load(folder: Path, **options: Any) -> Model:
    return model.load(
        Settings(model="churn", version="3", artifact=folder, digest=digest(folder), port=0, **options)
    )


def test_the_digest_is_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", Explosive())
    settings = Settings(model="churn", version="3", artifact=folder, digest="sha256:" + "0" * 64, port=0)
    with pytest.raises(ArtifactError, match="is not the one that was registered"):
        model.load(settings)
    assert EXPLODED == []
    with pytest.raises(ArtifactError, match=r"cannot load .*model.joblib \(joblib\): ValueError: boom"):
        load(folder)
    assert EXPLODED == [True]


EXPLODED: list[bool] = []


class Explosive:
    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    EXPLODED.append(True)
    raise ValueError("boom")


def test_every_form_of_scikit_learn_model(tmp_path: Path, classifier: Any) -> None:
    import pickle

    import cloudpickle

    rows = np.random.default_rng(5).normal(size=(20, 3))
    writers: dict[str, Callable[[Any, Path], object]] = {
        "joblib": joblib.dump,
        "pickle": lambda fitted, path: path.write_bytes(pickle.dumps(fitted)),
        "cloudpickle": lambda fitted, path: path.write_bytes(cloudpickle.dumps(fitted)),
        "skops": skops.io.dump,
    }
    for form, write in writers.items():
        options = {"pickled_model": f"model.{form}", "serialization_format": form}
        folder = folders.mlmodel(tmp_path / form, {"sklearn": options}, folders.TENSOR)
        write(classifier, folder / f"model.{form}")
        loaded = load(folder)
        assert loaded.package.flavour == "sklearn"
        assert np.array_equal(loaded.runtime.predict(rows)[0], classifier.predict(rows))


def test_skops_types_that_are_not_trusted_are_refused(tmp_path: Path) -> None:
    options = {"pickled_model": "model.skops", "serialization_format": "skops"}
    folder = folders.mlmodel(tmp_path / "m", {"sklearn": options}, folders.TENSOR)
    skops.io.dump(folders.Sum(), folder / "model.skops")
    with pytest.raises(
        ArtifactError, match=r"holds the types tests\.serving\.folders\.Sum, which its MLmodel"
    ):
        load(folder)
    options["skops_trusted_types"] = ["tests.serving.folders.Sum"]  # type: ignore[assignment]
    folders.mlmodel(folder, {"sklearn": options}, folders.TENSOR)
    assert load(folder).runtime.predict(np.ones((1, 3)))[0].tolist() == [3.0]


def test_without_a_signature_the_model_itself_says_what_it_takes(
    tmp_path: Path, classifier: Any, graph: bytes
) -> None:
    from_sklearn = load(folders.sklearn(tmp_path / "a", classifier, inputs=None)).runtime.signature
    assert (from_sklearn.shape, from_sklearn.dtype.name) == ((-1, 3), "float64")
    from_onnx = load(folders.onnx(tmp_path / "b", graph, inputs=None)).runtime.signature
    assert (from_onnx.shape, from_onnx.dtype.name) == ((-1, 3), "float32")
    with pytest.raises(ArtifactError, match="has no signature; log it with one"):
        load(folders.sklearn(tmp_path / "c", folders.Sum(), inputs=None))


def test_an_onnx_graph_with_an_input_each_column(tmp_path: Path) -> None:
    folder = folders.onnx(tmp_path / "m", columns_graph(), folders.columns("double", "long"))
    loaded = load(folder)
    assert loaded.runtime.signature.names == ("a", "b")
    outputs = loaded.runtime.predict(np.array([[1.5, 2.0], [0.5, -1.0]]))
    assert outputs[0].tolist() == [[3.5], [-0.5]]
    with pytest.raises(ArtifactError, match="the ONNX input 'b' is not among the columns of the signature"):
        load(folders.onnx(tmp_path / "n", columns_graph(), folders.columns("double")))


def columns_graph() -> bytes:
    """Return a graph of two inputs, a as double and b as int64, that adds them."""
    import onnx

    def value(name: str, kind: int) -> Any:
        return onnx.helper.make_tensor_value_info(name, kind, ["n", 1])

    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Cast", ["b"], ["c"], to=onnx.TensorProto.DOUBLE),
            onnx.helper.make_node("Add", ["a", "c"], ["sum"]),
        ],
        "add",
        [value("a", onnx.TensorProto.DOUBLE), value("b", onnx.TensorProto.INT64)],
        [value("sum", onnx.TensorProto.DOUBLE)],
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])
    proto.ir_version = 8
    return proto.SerializeToString()


def test_the_input_example_warms_up_a_model_that_does_not_take_zeros(tmp_path: Path) -> None:
    folder = folders.sklearn(tmp_path / "m", Picky())
    (folder / "input_example.json").write_text(json.dumps({"columns": [0, 1, 2], "data": [[1, 0, 3]]}))
    folders.mlmodel(
        folder,
        {"sklearn": {"pickled_model": "model.joblib", "serialization_format": "joblib"}},
        folders.TENSOR,
        saved_input_example_info={"artifact_path": "input_example.json", "type": "dataframe"},
    )
    with pytest.raises(ArtifactError, match="fails on its own input example: ValueError: no zeros"):
        load(folder)
    (folder / "input_example.json").write_text(json.dumps({"columns": [0, 1, 2], "data": [[1, 2, 3]]}))
    assert load(folder).sample[0].tolist() == [6.0]


class Picky(folders.Sum):
    def predict(self, rows: Any) -> Any:
        if not np.asarray(rows).all():
            raise ValueError("no zeros")
        return super().predict(rows)


def test_an_onnx_model_whose_signature_lies_is_refused(tmp_path: Path, graph: bytes) -> None:
    wide = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]
    with pytest.raises(
        ArtifactError, match=r"signature says shape \[-1, 4\], but the ONNX input X has \[-1, 3\]"
    ):
        load(folders.onnx(tmp_path / "m", graph, wide))


def test_outputs_that_are_no_tensors_are_left_out(tmp_path: Path, classifier: Any) -> None:
    import skl2onnx

    converted = skl2onnx.to_onnx(classifier, np.zeros((1, 3), np.float32), target_opset=15)
    loaded = load(folders.onnx(tmp_path / "m", converted.SerializeToString()))
    assert loaded.runtime.outputs == ("output_label",)
    assert loaded.runtime.notes == (
        "output output_probability is no tensor and is left out; convert the model with zipmap=False",
    )


def broken(folder: Path, **change: Any) -> None:
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document.update(change)
    (folder / "MLmodel").write_text(yaml.safe_dump(document))


SKLEARN = {"pickled_model": "model.joblib", "serialization_format": "joblib"}
BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (
        lambda folder: (folder / "MLmodel").unlink(),
        "has no MLmodel file; expected the folder of a model saved",
    ),
    (lambda folder: (folder / "MLmodel").write_text("{a: [}"), "cannot read .*MLmodel"),
    (lambda folder: (folder / "MLmodel").write_bytes(b"\xff\xfe\x00"), "cannot read .*MLmodel"),
    (lambda folder: (folder / "MLmodel").write_text("- 1"), "MLmodel is not a mapping"),
    (lambda folder: broken(folder, flavors=None), "MLmodel: flavors is not a mapping"),
    (
        lambda folder: broken(folder, flavors={"xgboost": {}, "python_function": {}}),
        "has the flavours python_function, xgboost; this server loads onnx and sklearn",
    ),
    (lambda folder: broken(folder, flavors={"sklearn": 1}), "MLmodel: flavors.sklearn is not a mapping"),
    (lambda folder: (folder / "model.joblib").write_bytes(b"nonsense"), "cannot load .*model.joblib"),
    (lambda folder: (folder / "model.joblib").write_bytes(b""), "cannot load .*model.joblib"),
    (
        lambda folder: (folder / "model.joblib").unlink(),
        "'model.joblib', but the artifact .* has no such file",
    ),
    (
        lambda folder: broken(folder, flavors={"sklearn": {**SKLEARN, "pickled_model": "../x"}}),
        "pickled_model is '../x', which is outside of the artifact",
    ),
    (
        lambda folder: broken(folder, flavors={"sklearn": {**SKLEARN, "serialization_format": "marshal"}}),
        "serialization_format is 'marshal'; accepted: skops, joblib, pickle, cloudpickle",
    ),
    (lambda folder: joblib.dump({"a": 1}, folder / "model.joblib"), "holds a dict, which has no predict"),
    (lambda folder: broken(folder, signature={"inputs": "{"}), "signature.inputs is not a list of columns"),
    (lambda folder: broken(folder, signature=3), "MLmodel: signature is not a mapping"),
    (
        lambda folder: broken(folder, signature={"inputs": json.dumps(folders.columns("datetime"))}),
        r"columns of types that are not served: a \(datetime\); this server takes boolean, integer",
    ),
    (
        lambda folder: broken(folder, signature={"inputs": json.dumps([*folders.TENSOR, *folders.TENSOR])}),
        "signature.inputs has several tensors",
    ),
    (
        lambda folder: broken(
            folder, signature={"inputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "x"}}])}
        ),
        "a tensor needs a dtype and a shape",
    ),
    (lambda folder: (folder / "reference.json").write_text("{"), "cannot read .*reference.json"),
    (
        lambda folder: (folder / "reference.json").write_text('{"features": {"0": {"quantiles": ["x"]}}}'),
        "reference.json: features.0.quantiles is not a list of finite numbers",
    ),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN, ids=range(len(BROKEN)))
def test_broken_artifacts_are_clear_errors(
    summing: Path, damage: Callable[[Path], object], message: str
) -> None:
    load(summing)
    damage(summing)
    with pytest.raises(ArtifactError, match=message):
        load(summing)


def test_a_corrupt_graph_is_a_clear_error(onnx_folder: Path) -> None:
    content = (onnx_folder / "model.onnx").read_bytes()
    (onnx_folder / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=r"cannot load .*model\.onnx"):
        load(onnx_folder)
