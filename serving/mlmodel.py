"""What the MLmodel file of an artifact says: how to load the model and what it takes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import yaml

from serving.artifact import ArtifactError
from serving.signature import Column, Signature

T = TypeVar("T")

FLAVOURS = ("onnx", "sklearn")
SERIALIZATIONS = ("skops", "joblib", "pickle", "cloudpickle")
REFERENCE = "reference.json"
PREDICT_FUNCTIONS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
"""What a scikit-learn model may be asked, as in mlflow.sklearn: ``pyfunc_predict_fn`` when it was logged."""

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

    ``signature`` is None when the model was logged without one. ``examples`` are bodies of requests (see
    ``serving.forms``) with the input example that was logged, the most faithful first; none without one.
    ``quantiles`` has, per feature, the edges of the training data's histogram, from reference.json.
    ``code`` is the folder of the modules that were logged with ``code_paths``.
    """

    folder: Path
    flavour: str
    options: Mapping[str, Any]
    signature: Signature | None
    examples: Sequence[Mapping[str, Any]]
    quantiles: Mapping[str, tuple[float, ...]]
    prediction_quantiles: tuple[float, ...]
    predict_function: str = "predict"
    code: Path | None = None

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
    """Read MLmodel in ``folder``. Raises ``ArtifactError`` with every reason why it can't be served here."""
    package, problems = _examined(folder)
    if package is None or problems:
        raise ArtifactError("; ".join(problems))
    return package


def refusals(folder: Path) -> tuple[str, ...]:
    """Return every reason why this server can't serve the model in ``folder``, each with what to do about it.

    Nothing is loaded: MLmodel and the names of files say it. Empty where nothing speaks against it.
    """
    return _examined(folder)[1]


def _examined(folder: Path) -> tuple[Package | None, tuple[str, ...]]:
    problems: list[str] = []

    def of(step: Callable[[], T], otherwise: T) -> T:
        try:
            return step()
        except ArtifactError as error:
            problems.append(str(error))
            return otherwise

    try:
        document = _document(folder)
        flavours = _mapping(document.get("flavors"), "MLmodel: flavors")
        flavour = _flavour(folder, flavours)
        options = _mapping(flavours[flavour], f"MLmodel: flavors.{flavour}")
        general = _mapping(flavours.get("python_function") or {}, "MLmodel: flavors.python_function")
    except ArtifactError as error:
        return None, (str(error),)
    signature = document.get("signature")
    reference = of(lambda: _reference(folder), {})
    package = Package(
        folder=folder,
        flavour=flavour,
        options=options,
        signature=of(lambda: _signature(_mapping(signature, "MLmodel: signature")), None)
        if signature
        else None,
        examples=_examples(folder, document.get("saved_input_example_info")),
        quantiles=of(lambda: _quantiles(reference), {}),
        prediction_quantiles=of(
            lambda: _edges(reference.get("predictions") or {}, f"{REFERENCE}: predictions"), ()
        ),
        predict_function=of(lambda: _predict_function(flavour, general), "predict"),
        code=of(lambda: _code(folder, general), None),
    )
    of(lambda: _loadable(package), None)
    problems.extend(_unserved(document, flavour, options, general))
    return package, tuple(problems)


def _document(folder: Path) -> Mapping[str, Any]:
    path = folder / "MLmodel"
    try:
        return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")), "MLmodel")
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder} has no MLmodel file; expected the folder of a model saved by MLflow"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ArtifactError(f"cannot read {path}: {' '.join(str(error).split())}") from None


def _flavour(folder: Path, flavours: Mapping[str, Any]) -> str:
    flavour = next((name for name in FLAVOURS if name in flavours), None)
    if flavour is None:
        raise ArtifactError(
            f"the model in {folder} has the flavours {', '.join(sorted(flavours)) or 'none'}; "
            f"this server loads {' and '.join(FLAVOURS)}: log the model with mlflow.onnx or mlflow.sklearn"
        )
    return flavour


def _predict_function(flavour: str, general: Mapping[str, Any]) -> str:
    """Return the function that mlflow.pyfunc would call; what it would do otherwise than here is refused."""
    loader = str(general.get("loader_module") or f"mlflow.{flavour}")
    if loader != f"mlflow.{flavour}":
        raise ArtifactError(
            f"MLmodel: mlflow.pyfunc would load the model by {loader}, and not as {flavour}; "
            f"log it with mlflow.{flavour} alone"
        )
    name = str(general.get("predict_fn") or "predict")
    accepted = PREDICT_FUNCTIONS if flavour == "sklearn" else PREDICT_FUNCTIONS[:1]
    if name not in accepted:
        raise ArtifactError(
            f"MLmodel: predict_fn is {name}, which can't be served; log the model with pyfunc_predict_fn "
            f"{', '.join(accepted)}"
        )
    return name


def _unserved(
    document: Mapping[str, Any], flavour: str, options: Mapping[str, Any], general: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what MLmodel asks for that would make mlflow.pyfunc answer otherwise than this server."""
    where = "MLmodel: flavors.python_function"
    if general.get("config"):
        yield f"{where}.config: a {flavour} model has no use for it; log the model without model_config"
    if general.get("model_code_path"):
        yield f"{where}.model_code_path: a model that is code isn't served; log the fitted model itself"
    if general.get("streamable"):
        yield f"{where}.streamable: answers in parts aren't served; log the model without predict_stream"
    ours, theirs = options.get("pickled_model"), general.get("model_path")
    if flavour == "sklearn" and ours and theirs and ours != theirs:
        yield f"{where}.model_path is {theirs!r}, and sklearn's pickled_model {ours!r}; save the model again"
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and cast(dict[str, Any], metadata).get("mlflow.model.isExternal"):
        yield "MLmodel: metadata: mlflow.model.isExternal: the files are elsewhere; log the model itself"
    if variables := document.get("env_vars"):
        names = ", ".join(
            map(str, cast(list[Any], variables) if isinstance(variables, list) else [variables])
        )
        yield (
            f"MLmodel: env_vars: the model reads {names} from its environment when it predicts, which a "
            "release doesn't have; log it with what it needs inside"
        )


def _code(folder: Path, general: Mapping[str, Any]) -> Path | None:
    if not (name := general.get("code")):
        return None
    path = (folder / str(name)).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_dir():
        raise ArtifactError(f"MLmodel: code is {name!r}, which is no folder in the artifact {folder}")
    return path


def _loadable(package: Package) -> None:
    """Raise ``ArtifactError`` where the model's file is missing or of a form that is not loaded here."""
    if package.flavour == "onnx":
        package.file("data", "model.onnx")
        return
    package.file("pickled_model", "model.pkl")
    if (form := serialization(package)) not in SERIALIZATIONS:
        raise ArtifactError(
            f"MLmodel: serialization_format is {form!r}; accepted: {', '.join(SERIALIZATIONS)}"
        )


def serialization(package: Package) -> str:
    """Return how a scikit-learn model was written."""
    return str(package.options.get("serialization_format") or "cloudpickle")


def _quantiles(reference: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    features = _mapping(reference.get("features") or {}, f"{REFERENCE}: features")
    return {name: _edges(feature, f"{REFERENCE}: features.{name}") for name, feature in features.items()}


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
    unnamed = all(spec.get("name") is None for spec in specs)
    named = [
        (str(index if spec.get("name") is None else spec["name"]), spec) for index, spec in enumerate(specs)
    ]
    if wrong := [f"{name} ({spec.get('type')})" for name, spec in named if spec.get("type") not in _TYPES]:
        raise ArtifactError(
            f"MLmodel: signature.inputs has columns of types that are not served: {', '.join(wrong[:10])}"
            f"{', …' if len(wrong) > 10 else ''}; this server takes {', '.join(_TYPES)}: "
            "turn them into those before the model"
        )
    if twice := sorted({name for name, _ in named if [other for other, _ in named].count(name) > 1}):
        raise ArtifactError(
            f"MLmodel: signature.inputs has the column {twice[0]!r} twice; give each a name of its own"
        )
    return columns([_column(name, spec) for name, spec in named], unnamed=unnamed)


def columns(named: list[Column], *, unnamed: bool = False) -> Signature:
    """Return the signature of a model that takes these columns in this order."""
    kinds = [column.dtype for column in named]
    if any(kind.kind == "O" for kind in kinds):
        dtype = np.dtype(np.object_)
    elif any(column.optional for column in named):
        dtype = np.result_type(np.float32, *kinds)
    else:
        dtype = np.result_type(*kinds)
    names = tuple(column.name for column in named)
    shape = (-1, len(named))
    return Signature("input", dtype, shape, tuple(named), names, exact=True, unnamed=unnamed)


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


def _column(name: str, spec: Mapping[str, Any]) -> Column:
    kind = str(spec["type"])
    return Column(name=name, dtype=_TYPES[kind], type=kind, optional=not spec.get("required", True))


def _examples(folder: Path, info: object) -> list[Mapping[str, Any]]:
    """Return the input example that was logged, in each form in which MLflow has kept it."""
    if not isinstance(info, dict):
        return []
    said = cast(dict[str, object], info)
    found: list[Mapping[str, Any]] = []
    # As a request to MLflow's own server would have it, with the input's parameters beside it.
    served = _json(folder, said.get("serving_input_path"))
    if isinstance(served, dict):
        found.append({key: value for key, value in cast(dict[str, Any], served).items() if key != "params"})
    raw = _json(folder, said.get("artifact_path") or "input_example.json")
    if isinstance(raw, list):
        found.append({"instances": raw})
    elif isinstance(raw, dict):
        example = cast(dict[str, Any], raw)
        if "data" in example and set(example) <= {"columns", "data", "index"}:
            found.append({"dataframe_split": example})
        else:
            found.append(example if set(example) == {"inputs"} else {"inputs": example})
    return found


def _json(folder: Path, name: object) -> object:
    path = (folder / str(name)).resolve()
    if name is None or not path.is_relative_to(folder.resolve()):
        return None
    try:
        return cast(object, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
