"""One version of a model, loaded and warmed up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from serving import artifact, mlmodel, runtime
from serving.mlmodel import Package
from serving.runtime import Runtime
from serving.settings import Settings
from serving.signature import Array
from serving.warmup import warm_up


@dataclass(frozen=True)
class Model:
    """What is needed to answer requests. ``row_seconds`` is the time that one row takes, measured at
    warm-up; ``notes`` what the operator should know.
    """

    name: str
    version: str
    digest: str
    package: Package
    runtime: Runtime
    row_seconds: float
    batch_rows: int
    sample: Sequence[Array]
    """The outputs for one row: their types and shapes are the model's. Empty where none is known yet."""
    notes: tuple[str, ...] = ()


def load(settings: Settings) -> Model:
    """Verify, load and warm up the model of ``settings``. Raises ``ArtifactError`` with a message for the
    user.
    """
    artifact.verify(settings.artifact, settings.digest)
    package = mlmodel.read(settings.artifact)
    loaded = runtime.load(package, settings.threads, settings.device)
    found = warm_up(package, loaded, settings.max_batch, settings.batching)
    return Model(
        name=settings.model,
        version=settings.version,
        digest=settings.digest,
        package=package,
        runtime=replace(loaded, predict=found.predict),
        row_seconds=found.row_seconds,
        batch_rows=found.batch_rows,
        sample=found.sample,
        notes=(*loaded.notes, *found.notes),
    )
