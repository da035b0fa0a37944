"""One version of a model, loaded and warmed up."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving import artifact, mlmodel, runtime
from serving.artifact import ArtifactError
from serving.mlmodel import Package
from serving.runtime import Runtime
from serving.settings import Settings
from serving.signature import Array, InputError

# A batch may take this long, or twice as long as one row alone, whichever is more: what batching may add.
_BATCH_SECONDS = 0.005
# A measurement: so many calls at most; fewer once they took enough time, and a single one of a slow model.
_MOST_CALLS, _FEWEST_CALLS = 20, 4
_ENOUGH_SECONDS, _MOST_SECONDS = 0.05, 0.5


@dataclass(frozen=True)
class Model:
    """What is needed to answer requests. ``row_seconds`` is the time that one row takes, measured at
    warm-up.
    """

    name: str
    version: str
    digest: str
    package: Package
    runtime: Runtime
    row_seconds: float
    batch_rows: int
    sample: Sequence[Array]
    """The outputs for the warm-up row: their types and shapes are the model's."""


def load(settings: Settings) -> Model:
    """Verify, load and warm up the model of ``settings``. Raises ``ArtifactError`` with a message for the
    user.
    """
    artifact.verify(settings.artifact, settings.digest)
    package = mlmodel.read(settings.artifact)
    loaded = runtime.load(package, settings.threads)
    row = _row(package, loaded)
    try:
        sample = loaded.predict(row)
        row_seconds, batch_rows = _warm_up(loaded, row, settings.max_batch)
    except Exception as error:
        raise ArtifactError(
            f"the model in {settings.artifact} fails on its warm-up input: {type(error).__name__}: {error}; "
            "check its signature, or log it with an input example"
        ) from None
    return Model(
        name=settings.model,
        version=settings.version,
        digest=settings.digest,
        package=package,
        runtime=loaded,
        row_seconds=row_seconds,
        batch_rows=batch_rows,
        sample=sample,
    )


def _row(package: Package, loaded: Runtime) -> Array:
    """Return one row for the warm-up: of the logged example where there is one, else zeros."""
    signature = loaded.signature
    if package.example is not None:
        try:
            return signature.convert(package.example[:1], "input_example")
        except InputError:
            pass  # an example that was logged in another form than rows
    shape = [1, *(1 if size == -1 else size for size in signature.shape[1:])]
    if signature.dtype.kind != "O":
        return np.zeros(shape, signature.dtype)
    return np.array([["" if column.dtype.kind == "O" else 0 for column in signature.columns]], dtype=object)


def _warm_up(loaded: Runtime, row: Array, limit: int) -> tuple[float, int]:
    """Return the time of one row in seconds, and how many rows a call may have."""
    single = loaded.predict(row)
    alone = _seconds(loaded, row)
    if not loaded.batches:
        return alone, 1
    rows = 1
    while rows * 2 <= limit:
        batch = np.repeat(row, rows * 2, axis=0)
        together = loaded.predict(batch)
        # A model that looks at its batch as a whole must not be given the rows of different requests
        # together.
        if not all(_same(one, many, rows * 2) for one, many in zip(single, together, strict=True)):
            return alone, 1
        if _seconds(loaded, batch) > max(_BATCH_SECONDS, 2 * alone):
            break
        rows *= 2
    return alone, rows


def _same(one: Array, many: Array, rows: int) -> bool:
    if many.shape != (rows, *one.shape[1:]) or one.shape[:1] != (1,):
        return False
    if one.dtype.kind == "f":
        return np.allclose(many, one, rtol=1e-4, atol=1e-6, equal_nan=True)
    return bool((many == one).all())


def _seconds(loaded: Runtime, rows: Array) -> float:
    """Return the shortest of a few calls: the others were disturbed.

    It stays for the life of the server, so on a busy machine one disturbed call must not pass for the model.
    """
    best = float("inf")
    begun = time.perf_counter()
    for count in range(1, _MOST_CALLS + 1):
        start = time.perf_counter()
        loaded.predict(rows)
        now = time.perf_counter()
        best = min(best, now - start)
        if now - begun > (_ENOUGH_SECONDS if count >= _FEWEST_CALLS else _MOST_SECONDS):
            break
    return best
