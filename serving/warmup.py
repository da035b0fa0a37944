"""What a model shows before it is ready: that it answers, how fast, and whether its rows may share a call."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving import rows as trial
from serving.artifact import ArtifactError
from serving.mlmodel import Package
from serving.runtime import Predict, Runtime, first_line
from serving.signature import Array

# A batch may take this long, or twice as long as one row alone, whichever is more: what batching may add.
_BATCH_SECONDS = 0.005
# A measurement: so many calls at most; fewer once they took enough time, and a single one of a slow model.
_MOST_CALLS, _FEWEST_CALLS = 20, 4
_ENOUGH_SECONDS, _MOST_SECONDS = 0.05, 0.5
# Rows that are tried one by one: a slow model has fewer of them tried.
_TRIAL_SECONDS = 5.0
# How much the answer to a row may depend on the rows beside it, by the size of the answer's numbers: sums are
# taken in another order in a batch, and no more than that may show.
_TOLERANCE = {2: 5e-3, 4: 1e-5, 8: 1e-9}

Outputs = Sequence[Array]

logger = logging.getLogger("serving")


@dataclass(frozen=True)
class WarmUp:
    """What the warm-up found.

    ``sample`` has the outputs for one row: their types and shapes are the model's. It is empty where the
    model takes none of the made-up rows: their values may be none that it knows. ``row_seconds`` is the
    time that one row takes, ``batch_rows`` how many rows of different requests may share a call.
    """

    sample: Outputs
    row_seconds: float
    batch_rows: int
    predict: Predict
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Tried:
    """Rows that the model takes, each with its answer and with what stands behind that."""

    rows: Array
    answers: Sequence[Outputs]
    behind: Sequence[Outputs]


def warm_up(package: Package, runtime: Runtime, limit: int, batching: str) -> WarmUp:
    """Try a model on its input example and on made-up rows.

    ``batching``: ``auto`` lets requests share a call where the rows are found not to depend on each other;
    ``on`` and ``off`` decide without a trial. ``limit``: the most rows in a call. Raises ``ArtifactError``
    where the model fails on its own example, or answers what can't be sent.
    """
    signature = runtime.signature
    notes: list[str] = []
    example, unread = trial.of_example(package.examples, signature)
    if unread:
        notes.append(f"the input example does not fit the signature and is not used: {unread}")
    if example is not None:
        try:
            _checked(runtime.predict(example), len(example))
        except Exception as error:
            raise ArtifactError(
                f"the model in {package.folder} fails on its own input example: {_told(error)}"
            ) from None
    candidates = trial.made_up(signature, example, runtime.categories)
    if example is not None:
        candidates = np.concatenate([example, candidates])[: trial.COUNT]
    tried, reason, broken = _tried(runtime, candidates)
    if tried is None:
        if broken:
            raise ArtifactError(
                f"the model in {package.folder} fails on its warm-up input: {reason}; "
                "check its signature, or log it with an input example"
            )
        notes.append(f"not tried: it takes no made-up row ({reason}); log it with an input example")
        return WarmUp((), float("inf"), limit if batching == "on" else 1, runtime.predict, tuple(notes))
    predict = _quickest(runtime, tried)
    _check_many(package, predict, tried.rows)
    alone = _seconds(predict, tried.rows[:1])
    most, doubt = 1, ""
    if batching != "off" and runtime.batches and limit > 1:
        doubt = "" if batching == "on" else _telling(tried)
        if not doubt:
            most, doubt = _batch(predict, runtime.probe, tried, alone, limit, trusted=batching == "on")
    if doubt:
        notes.append(f"requests don't share calls: {doubt}")
    return WarmUp(tried.answers[0], alone, most, predict, tuple(notes))


class _UnsentError(ValueError):
    """An answer that can't be sent."""


def _told(error: Exception) -> str:
    kind = "" if isinstance(error, _UnsentError) else f"{type(error).__name__}: "
    return f"{kind}{first_line(error)}"


# No value of a row is the reason for these: the model lacks something, or what it gets is of the wrong kind.
_BROKEN = (_UnsentError, AttributeError, ImportError, NameError, NotImplementedError, TypeError)


def _check_many(package: Package, predict: Predict, rows: Array) -> None:
    """Raise ``ArtifactError`` unless several rows have an answer each: one may look right by chance."""
    try:
        _checked(predict(rows), len(rows))
    except _UnsentError as error:
        raise ArtifactError(
            f"the model in {package.folder} fails on its warm-up input: {error}; "
            "a row needs an answer of its own"
        ) from None
    except Exception as error:
        # Rows that it takes alone. They don't share calls; a request of several rows gets this error.
        logger.warning("several rows at once fail: %s: %s", type(error).__name__, first_line(error))


def _checked(outputs: Outputs, count: int) -> Outputs:
    """Return outputs that can be sent: arrays of numbers or text with a row for each row."""
    for output in outputs:
        if output.shape[:1] != (count,):
            raise _UnsentError(f"{count} rows gave an output of shape {list(output.shape)}")
        if output.dtype.kind not in "fiubUO":
            raise _UnsentError(f"an output is of the type {output.dtype.name}, which can't be sent")
        if output.dtype.kind == "O" and not all(isinstance(value, _SENT) for value in output.flat):
            odd = next(value for value in output.flat if not isinstance(value, _SENT))
            raise _UnsentError(f"an output holds a {type(odd).__name__}, which can't be sent")
    return outputs


_SENT = (str, int, float, bool, np.generic, type(None))


def _tried(runtime: Runtime, candidates: Array) -> tuple[_Tried | None, str, bool]:
    """Ask the model for each row alone; leave those out that it doesn't take.

    Where it takes none, return the first reason, and whether it lies in the model and not in the rows.
    """
    taken: list[int] = []
    answers: list[Outputs] = []
    behind: list[Outputs] = []
    reason, broken = "", False
    begun = time.perf_counter()
    for index in range(len(candidates)):
        row = candidates[index : index + 1]
        try:
            answer = _checked(runtime.predict(row), 1)
            more = () if runtime.probe is None else runtime.probe(row)
        except Exception as error:
            broken = broken or isinstance(error, _BROKEN)
            reason = reason or _told(error)
            continue
        taken.append(index)
        answers.append(answer)
        behind.append(more)
        if len(taken) > 1 and time.perf_counter() - begun > _TRIAL_SECONDS:
            break
    return (_Tried(candidates[taken], answers, behind), "", False) if taken else (None, reason, broken)


def _quickest(runtime: Runtime, tried: _Tried) -> Predict:
    """Return the shortcut where it has the same answers, else the model's own way."""
    if runtime.shortcut is None:
        return runtime.predict
    try:
        found = [runtime.shortcut(tried.rows[i : i + 1]) for i in range(len(tried.rows))]
    except Exception:
        return runtime.predict
    pairs = zip(tried.answers, found, strict=True)
    same = all(_same(*parts) for wanted, got in pairs for parts in zip(wanted, got, strict=True))
    return runtime.shortcut if same else runtime.predict


def _telling(tried: _Tried) -> str:
    """Return why the rows can't show whether the model mixes them; empty where they can."""
    if len(tried.rows) < 2:
        return "there is only one row to try it with; log an input example with several"
    answers = [[*answer, *more] for answer, more in zip(tried.answers, tried.behind, strict=True)]
    if all(_same(one, first) for other in answers[1:] for one, first in zip(other, answers[0], strict=True)):
        return f"{len(answers)} different rows have the same answer, which shows nothing"
    return ""


def _batch(
    predict: Predict, probe: Predict | None, tried: _Tried, alone: float, limit: int, *, trusted: bool
) -> tuple[int, str]:
    """Return how many rows a call may have, and why it is one where rows depend on each other."""
    random = np.random.default_rng(len(tried.rows))
    rows = 1
    while rows * 2 <= limit:
        # Never only copies of a row, for which what a batch has in common may be as nothing.
        orders = [np.resize(random.permutation(len(tried.rows)), rows * 2) for _ in range(2)]
        for ask, known in () if trusted else ((predict, tried.answers), (probe, tried.behind)):
            for order in orders:
                if ask and not _alike(ask, tried.rows[order], [known[place] for place in order.tolist()]):
                    return 1, "the answer to a row depends on the rows beside it"
        batch = tried.rows[orders[0]]
        if _seconds(predict, batch) > max(_BATCH_SECONDS, 2 * alone):
            break
        rows *= 2
    return rows, ""


def _alike(ask: Predict, batch: Array, alone: Sequence[Outputs]) -> bool:
    """Return whether the rows of a batch are answered as they were alone."""
    try:
        together = ask(batch)
    except Exception:
        return False
    wanted = [np.concatenate(parts) for parts in zip(*alone, strict=True)]
    return all(_same(one, other) for one, other in zip(wanted, together, strict=True))


def _same(wanted: Array, found: Array) -> bool:
    if wanted.shape != found.shape:
        return False
    if wanted.dtype.kind != "f" or found.dtype.kind != "f":
        return bool((wanted == found).all())
    tolerance = _TOLERANCE.get(min(wanted.dtype.itemsize, found.dtype.itemsize), 1e-9)
    finite = np.abs(wanted[np.isfinite(wanted)])
    size = float(finite.max()) if finite.size else 0.0
    return np.allclose(found, wanted, rtol=tolerance, atol=tolerance * size, equal_nan=True)


def _seconds(predict: Predict, rows: Array) -> float:
    """Return the shortest of a few calls: the others were disturbed.

    It stays for the life of the server, so on a busy machine one disturbed call must not pass for the model.
    """
    best = float("inf")
    begun = time.perf_counter()
    for count in range(1, _MOST_CALLS + 1):
        start = time.perf_counter()
        predict(rows)
        now = time.perf_counter()
        best = min(best, now - start)
        if now - begun > (_ENOUGH_SECONDS if count >= _FEWEST_CALLS else _MOST_SECONDS):
            break
    return best
