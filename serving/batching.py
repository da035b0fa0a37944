"""Adaptive micro-batching: requests that are there at the same moment share one call of the model.

Nothing ever waits for company. A request that finds the model idle is predicted in the same turn of the event
loop, together with those that became readable in that turn; what arrives while a batch runs is the next
batch. A fast model runs on the loop itself, a slow one in a worker thread, so that health and metrics keep
answering.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serving.model import Model
from serving.signature import Array, InputError, Rows

# A model that needs longer for one row must not hold the event loop.
_INLINE_SECONDS = 0.002

Outputs = Sequence[Array]
Observe = Callable[[Array, Outputs], None]

logger = logging.getLogger("serving")


class Job:
    """The rows of one request, and then its outputs or its error."""

    __slots__ = ("count", "error", "future", "literals", "outputs", "rows", "where")

    def __init__(self, rows: Rows, where: str, literals: bool) -> None:
        self.rows = rows
        self.count = len(rows)
        self.where = where
        # JSON true or false is somewhere in the request, so its rows need a closer look.
        self.literals = literals
        self.outputs: Outputs = ()
        self.error: Exception | None = None
        self.future: asyncio.Future[None] | None = None


class ModelError(Exception):
    """The model failed on input that fits its signature."""


class Batcher:
    """Runs jobs on one model. ``observe`` gets every array that was predicted, with its outputs, on the
    loop.
    """

    def __init__(self, model: Model, observe: Observe) -> None:
        self._signature = model.runtime.signature
        self._predict = model.runtime.predict
        # Where the signature leaves a further size open, two requests may have no common array.
        self._limit = 1 if -1 in self._signature.shape[1:] else model.batch_rows
        self._observe = observe
        self._inline = model.row_seconds < _INLINE_SECONDS
        self._pending: deque[Job] = deque()
        self._scheduled = False
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._loop = asyncio.get_running_loop()

    async def run(self, job: Job) -> Outputs:
        """Return the outputs for the rows of ``job``, or raise its ``InputError`` or ``ModelError``."""
        future = job.future = self._loop.create_future()
        self._pending.append(job)
        if not self._scheduled:
            self._scheduled = True
            # After everything that is ready in this turn of the loop: those requests come along.
            self._loop.call_soon(self._flush)
        await future
        if job.error is not None:
            raise job.error
        return job.outputs

    def close(self) -> None:
        """Let go of the worker thread; a call that is under way is not waited for."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _flush(self) -> None:
        jobs = self._take()
        if self._inline and jobs[0].count <= max(self._limit, 64):
            self._finish(jobs, self._attempt(jobs))
            return
        task = self._loop.run_in_executor(self._worker, self._attempt, jobs)
        task.add_done_callback(lambda done: None if done.cancelled() else self._finish(jobs, done.result()))

    def _take(self) -> list[Job]:
        pending = self._pending
        jobs = [pending.popleft()]
        rows = jobs[0].count
        while pending and rows + pending[0].count <= self._limit:
            rows += pending[0].count
            jobs.append(pending.popleft())
        return jobs

    def _finish(self, jobs: list[Job], results: list[tuple[Array, Outputs]]) -> None:
        if self._pending:
            self._loop.call_soon(self._flush)
        else:
            self._scheduled = False
        for job in jobs:
            if job.future is not None and not job.future.done():
                job.future.set_result(None)
        for array, outputs in results:
            self._observe(array, outputs)

    def _attempt(self, jobs: list[Job]) -> list[tuple[Array, Outputs]]:
        """Execute the jobs; whatever goes wrong ends in them, never in a request that waits for ever."""
        try:
            return self._execute(jobs)
        except Exception as error:
            logger.exception("a batch failed")
            for job in jobs:
                job.error = ModelError(f"the model failed on this input: {type(error).__name__}")
            return []

    def _execute(self, jobs: list[Job]) -> list[tuple[Array, Outputs]]:
        """Predict the rows of all jobs in one call and return what was predicted; errors are left in their
        jobs.
        """
        array: Array | None = None
        if not any(job.literals for job in jobs):
            rows = jobs[0].rows if len(jobs) == 1 else [row for job in jobs for row in job.rows]
            array = self._signature.fast(rows)
        if array is None:
            jobs, array = self._one_by_one(jobs)
            if array is None:
                return []
        try:
            outputs = self._predict(array)
            if any(output.shape[:1] != (len(array),) for output in outputs):
                shapes = ", ".join(str(list(output.shape)) for output in outputs)
                raise ModelError(f"{len(array)} rows gave outputs of shape {shapes}")
        except Exception as error:
            if len(jobs) == 1 and isinstance(error, InputError):
                # A number that the model's own types don't hold.
                jobs[0].error = error
                return []
            if len(jobs) == 1:
                logger.exception("the model failed on a request")
                jobs[0].error = ModelError(f"the model failed on this input: {type(error).__name__}")
                return []
            # One bad request must not fail those that it shares a batch with.
            return [result for job in jobs for result in self._execute([job])]
        if len(jobs) == 1:
            jobs[0].outputs = outputs
        else:
            start = 0
            for job in jobs:
                end = start + job.count
                job.outputs = [output[start:end] for output in outputs]
                start = end
        return [(array, outputs)]

    def _one_by_one(self, jobs: list[Job]) -> tuple[list[Job], Array | None]:
        good: list[Job] = []
        arrays: list[Array] = []
        for job in jobs:
            try:
                arrays.append(self._signature.convert(job.rows, job.where))
                good.append(job)
            except InputError as error:
                job.error = error
        return good, np.concatenate(arrays) if arrays else None
