"""A loaded model, whatever its flavour."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serving.artifact import ArtifactError
from serving.mlmodel import Package
from serving.signature import Array, Signature

_LIBRARIES = {"onnx": "onnxruntime", "sklearn": "sklearn"}
Predict = Callable[[Array], Sequence[Array]]


@dataclass(frozen=True)
class Runtime:
    """A loaded model. ``predict`` takes an array as ``signature`` describes it and returns one array an
    output.
    """

    signature: Signature
    outputs: tuple[str, ...]
    predict: Predict
    notes: tuple[str, ...] = ()
    batches: bool = True
    """Whether one call may have any number of rows; not so for a graph that was exported with a fixed
    number.
    """
    shortcut: Predict | None = None
    """A quicker way to the same answers, to be taken where the warm-up finds that they are the same."""
    probe: Predict | None = None
    """What stands behind the answers, such as the probabilities of a class: it tells more about the model."""
    categories: Callable[[str], Sequence[Any]] = lambda column: ()
    """The categories that the model knows for a column, as far as it says so."""


def load(package: Package, threads: int = 1, device: str = "cpu") -> Runtime:
    """Load the model for a ``device``, ``cpu`` or ``gpu``.

    Raises ``ArtifactError`` when its file is broken, doesn't fit its signature, or can't run on the device.
    """
    if importlib.util.find_spec(_LIBRARIES[package.flavour]) is None:
        raise ArtifactError(
            f"this server has no {_LIBRARIES[package.flavour]}: its image was built for models of another"
            f" flavour. Add {package.flavour} to the image's flavours (platform.image.build.flavors)"
        )
    # Only what this model needs is imported.
    if package.flavour == "onnx":
        from serving import onnx_model

        return onnx_model.load(package, threads, device)
    from serving import sklearn_model

    return sklearn_model.load(package, threads, device)


def first_line(error: object) -> str:
    """Return the first line of a message."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
