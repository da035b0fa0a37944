"""What the MLmodel file of an artifact says: how to load the model and what it takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from serving.artifact import ArtifactError
from serving.signature import Column, Signature

FLAVOURS = ("onnx", "sklearn")
REFERENCE = "reference.json"

_TYPES = {
    "boolean": np.dtype(np.bool_),
    "integer": np.dtype(np.int32),
    "long": np.dtype(np.int64),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "string": np.dtype(np.object_),
}


@dataclass(frozen=True)
class Package:
    """An artifact as its MLmodel describes it.

    ``signature`` is None when the model was logged without one, ``example`` when it has no input example.
    ``quantiles`` has, per feature, the edges of the training data's histogram: from reference.json, which our
    pipeline puts beside MLmodel.
    """

    folder: Path
    flavour: str
    options: Mapping[str, Any]
    signature: Signature | None
    example: list[Any] | None
    quantiles: Mapping[str, tuple[float, ...]]
    prediction_quantiles: tuple[float, ...]

    def file(self, option: str, default: str) -> Path:
        """Return the path of the file that a flavour's option names; it lies inside the artifact."""
        name = self.options.get(option) or default
        path = (self.folder / str(name)).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ArtifactError(
                f"MLmodel: {option} is {name!r}, which is outside of the artifact {self.folder}"
            )
        if not path.is_file():
            raise ArtifactError(
                f"MLmodel: {option} is {name!r}, but the artifact {self.folder} has no such file"
            )
        return path


def read(folder: Path) -> Package:
    """Read MLmodel in ``folder``. Raises ``ArtifactError`` when it is missing, broken or of no flavour served
    here.
    """
    path = folder / "MLmodel"
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder} has no MLmodel file; expected the folder of a model saved by MLflow"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ArtifactError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    document = _mapping(content, "MLmodel")
    flavours = _mapping(document.get("flavors"), "MLmodel: flavors")
    flavour = next((name for name in FLAVOURS if name in flavours), None)
    if flavour is None:
        raise ArtifactError(
            f"the model in {folder} has the flavours {', '.join(sorted(flavours)) or 'none'}; "
            f"this server loads {' and '.join(FLAVOURS)}: log the model with mlflow.onnx or mlflow.sklearn"
        )
    signature = document.get("signature")
    reference = _reference(folder)
    return Package(
        folder=folder,
        flavour=flavour,
        options=_mapping(flavours[flavour], f"MLmodel: flavors.{flavour}"),
        signature=_signature(_mapping(signature, "MLmodel: signature")) if signature else None,
        example=_example(folder, document.get("saved_input_example_info")),
        quantiles={
            name: _edges(feature, f"{REFERENCE}: features.{name}")
            for name, feature in _mapping(reference.get("features") or {}, f"{REFERENCE}: features").items()
        },
        prediction_quantiles=_edges(reference.get("predictions") or {}, f"{REFERENCE}: predictions"),
    )


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ArtifactError(f"{where} is not a mapping")
    return cast(Mapping[str, Any], value)


def _reference(folder: Path) -> Mapping[str, Any]:
    """Return what the pipeline wrote about the training data; nothing when there is no such file."""
    try:
        content: object = json.loads((folder / REFERENCE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {folder / REFERENCE}: {error}") from None
    return _mapping(content, REFERENCE)


def _edges(value: object, where: str) -> tuple[float, ...]:
    """Return the distinct quantiles of a feature in order; none when it has none."""
    quantiles: object = _mapping(value, where).get("quantiles") or []
    if isinstance(quantiles, list):
        edges = cast(list[object], quantiles)
        if all(isinstance(edge, (int, float)) and np.isfinite(edge) for edge in edges):
            return tuple(sorted({float(cast(float, edge)) for edge in edges}))
    raise ArtifactError(f"{where}.quantiles is not a list of finite numbers")


def _signature(signature: Mapping[str, Any]) -> Signature:
    try:
        inputs: Any = json.loads(signature.get("inputs") or "null")
    except (TypeError, ValueError):
        inputs = None
    if not isinstance(inputs, list) or not inputs:
        raise ArtifactError("MLmodel: signature.inputs is not a list of columns or one tensor")
    specs = [_mapping(spec, "MLmodel: signature.inputs") for spec in cast(list[object], inputs)]
    if any(spec.get("type") == "tensor" for spec in specs):
        return _tensor(specs)
    return columns([_column(spec, index) for index, spec in enumerate(specs)])


def columns(named: list[Column]) -> Signature:
    """Return the signature of a model that takes these columns in this order."""
    kinds = [column.dtype for column in named]
    if any(kind.kind == "O" for kind in kinds):
        dtype = np.dtype(np.object_)
    elif any(column.optional for column in named):
        dtype = np.result_type(np.float32, *kinds)
    else:
        dtype = np.result_type(*kinds)
    names = tuple(column.name for column in named)
    return Signature(input="input", dtype=dtype, shape=(-1, len(named)), columns=tuple(named), names=names)


def _tensor(specs: list[Mapping[str, Any]]) -> Signature:
    if len(specs) != 1:
        raise ArtifactError(
            "MLmodel: signature.inputs has several tensors; this server takes one, or columns"
        )
    spec = _mapping(specs[0].get("tensor-spec"), "MLmodel: signature.inputs tensor-spec")
    try:
        dtype = np.dtype(str(spec["dtype"]))
        shape = tuple(int(size) for size in spec["shape"])
    except (KeyError, TypeError, ValueError):
        raise ArtifactError("MLmodel: signature.inputs: a tensor needs a dtype and a shape") from None
    if dtype.kind not in "fiub" or len(shape) < 2:
        raise ArtifactError(
            f"MLmodel: signature.inputs is a tensor of {dtype.name} with shape {list(shape)}; "
            "this server takes numbers with rows first, for instance float64 with shape [-1, 30]"
        )
    return Signature(input=str(specs[0].get("name") or "input"), dtype=dtype, shape=shape)


def _column(spec: Mapping[str, Any], index: int) -> Column:
    kind = str(spec.get("type"))
    if kind not in _TYPES:
        raise ArtifactError(
            f"MLmodel: signature.inputs[{index}] ({spec.get('name')}) has the type {kind}; "
            f"this server takes {', '.join(_TYPES)}"
        )
    return Column(
        name=str(spec.get("name") or index),
        dtype=_TYPES[kind],
        type=kind,
        optional=not spec.get("required", True),
    )


def _example(folder: Path, info: object) -> list[Any] | None:
    """Return the rows of the input example that was logged with the model, for its warm-up."""
    if not isinstance(info, dict):
        return None
    name = str(cast(dict[str, object], info).get("artifact_path") or "input_example.json")
    path = (folder / name).resolve()
    try:
        if path.is_relative_to(folder.resolve()):
            content: object = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                example = cast(dict[str, object], content)
                rows = example.get("data") or example.get("inputs") or example.get("dataframe_split")
                return cast(list[Any], rows) if isinstance(rows, list) else None
    except (OSError, ValueError):
        pass
    return None
