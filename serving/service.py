"""Answering inference requests on one model: state, batching, metrics and log, with no HTTP in it."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from itertools import count
from typing import Any, cast

import orjson

from serving import binary, forms, protocol
from serving.batching import Batcher, Job, ModelError, Outputs
from serving.metrics import Metrics
from serving.model import Model
from serving.request_log import RequestLog
from serving.settings import Settings
from serving.signature import InputError
from serving.statistics import Statistics

# A body beyond this is read as JSON in a thread: small requests must not wait for it.
_LARGE_BODY = 64 * 1024

logger = logging.getLogger("serving")


class State(Enum):
    """Where a server is in its life. It is ready in one of them only."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"


class Route(Enum):
    """The format of an inference request."""

    PLAIN = "predict"
    V2 = "infer"


class RefusedError(Exception):
    """A request that is answered with an HTTP error without a look at its content."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """An HTTP status and a JSON body."""

    status: int
    body: bytes
    json: int | None = None
    """The length of the JSON in the body, where binary tensors come after it."""


class Service:
    """One model version and everything around it. ``log`` may be None to log nothing."""

    def __init__(self, settings: Settings, log: RequestLog | None = None) -> None:
        self.settings = settings
        self.state = State.LOADING
        self.model: Model | None = None
        self.metrics = Metrics(settings.model, settings.version, settings.digest)
        self.last_request = 0.0
        self.entered: Callable[[State], None] = lambda state: None
        """Called with each state that the service enters."""
        self._progress = 0.0
        """When a request was last answered, or came while no other was being answered."""
        self._log = log
        self._batcher: Batcher | None = None
        self._id_prefix = os.urandom(6).hex()
        self._id_counter = count()

    def install(self, model: Model) -> None:
        """Serve a loaded model: from now on the service is ready. Called on the event loop."""
        package, runtime = model.package, model.runtime
        self.metrics.flavour = package.flavour
        self.metrics.statistics = Statistics(
            runtime.signature, runtime.outputs, package.quantiles, package.prediction_quantiles
        )
        self._batcher = Batcher(model, self.metrics.predicted)
        self.model = model
        if self.state is State.LOADING:
            self._enter(State.READY)

    def drain(self) -> None:
        """Stop being ready, so that traffic goes elsewhere; requests are still answered."""
        self._enter(State.DRAINING)

    def close(self) -> None:
        """Let go of the model's thread and write what is left of the log."""
        if self._batcher is not None:
            self._batcher.close()
        if self._log is not None:
            self._log.close()

    def new_id(self) -> str:
        """Return a request id that no other request has."""
        return f"{self._id_prefix}{next(self._id_counter):08x}"

    def stuck(self) -> bool:
        """Return whether requests wait and none has been answered for ``--stuck`` seconds."""
        waited = time.perf_counter() - self._progress
        return self.metrics.in_flight > 0 and waited > self.settings.stuck

    def count(self, status: int, reason: str = "") -> None:
        """Count a request that was answered outside of ``infer``."""
        self.metrics.requests[status] += 1
        if reason:
            self.metrics.errors[reason] += 1

    def render_metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        if self._log is not None:
            self.metrics.log_dropped = self._log.dropped
        return self.metrics.render()

    async def infer(
        self,
        route: Route,
        body: bytes | RefusedError,
        request_id: str,
        start: float,
        json: int | None = None,
    ) -> Answer:
        """Answer an inference request; ``start`` is when it came, on ``time.perf_counter``.

        ``json`` is the length of the JSON in the body where binary tensors come after it.

        A request that was refused while its body was read is given in place of the body.
        """
        metrics = self.metrics
        if not metrics.in_flight:
            self._progress = start
        metrics.in_flight += 1
        self.last_request = start
        job: Job | None = None
        outputs: Outputs = ()
        status, reason, message = 200, "", ""
        payload = b""
        length: int | None = None
        try:
            if isinstance(body, RefusedError):
                raise body
            model, batcher = self.model, self._batcher
            if model is None or batcher is None:
                raise RefusedError(
                    503, "not_ready", f"{self.settings.model} is still loading; try again soon"
                )
            read = protocol.parse if json is None else partial(binary.read, length=json)
            content = read(body) if len(body) < _LARGE_BODY else await asyncio.to_thread(read, body)
            signature = model.runtime.signature
            literals = json is not None or protocol.literals(body)
            if route is Route.PLAIN:
                job = protocol.plain_job(content, signature, literals)
                outputs = await self._predicted(batcher, job)
                payload = orjson.dumps(protocol.plain_answer(outputs, model))
            else:
                protocol.check_outputs(content, model)
                job = protocol.v2_job(content, signature, literals)
                outputs = await self._predicted(batcher, job)
                request = cast(Mapping[str, Any], content)
                answer, tensors = protocol.v2_answer(outputs, model, request, request_id)
                payload = orjson.dumps(answer)
                if tensors:
                    length, payload = len(payload), payload + tensors
        except InputError as error:
            status, reason, message = 400, "invalid_input", str(error)
        except RefusedError as refused:
            status, reason, message = refused.status, refused.reason, str(refused)
        except ModelError as error:
            status, reason, message = 500, "model_failed", str(error)
        except asyncio.CancelledError:
            # Only the end of the process cancels a request, and after this nothing more is awaited for it.
            status, reason, message = 503, "ending", "the server is ending; try again"
        except Exception:
            logger.exception("request %s failed", request_id)
            status, reason, message = 500, "internal", "internal error; the server's log has the details"
        finally:
            metrics.in_flight -= 1
        self._progress = time.perf_counter()
        seconds = self._progress - start
        metrics.requests[status] += 1
        metrics.latency.add(seconds)
        if reason:
            metrics.errors[reason] += 1
            refusal: dict[str, Any] = {"error": message, "request_id": request_id}
            if reason == "invalid_input" and (example := self._example(route)) is not None:
                refusal["example"] = example
            payload = orjson.dumps(refusal)
        if self._log is not None and (random.random() < self.settings.sample or status >= 500):  # noqa: S311
            self._log.add(self._record(route, request_id, status, seconds, job, outputs, message))
        return Answer(status, payload, length)

    def _example(self, route: Route) -> dict[str, Any] | None:
        """Return a request that fits the signature, for whoever sent another."""
        if self.model is None:
            return None
        make = forms.example if route is Route.PLAIN else protocol.v2_example
        return make(self.model.runtime.signature)

    async def _predicted(self, batcher: Batcher, job: Job) -> Outputs:
        outputs = await batcher.run(job)
        if self.model is not None and not self.model.sample:
            # The first answer of a model that no made-up row was right for.
            self.model = replace(self.model, sample=[output[:1] for output in outputs])
        return outputs

    def _record(
        self,
        route: Route,
        request_id: str,
        status: int,
        seconds: float,
        job: Job | None,
        outputs: Outputs,
        message: str,
    ) -> dict[str, Any]:
        record: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "model": self.settings.model,
            "version": self.settings.version,
            "digest": self.settings.digest,
            "route": route.value,
            "status": status,
            "latency_ms": round(seconds * 1000, 3),
            "features": job.rows if job is not None else None,
            "predictions": outputs[0] if outputs else None,
        }
        if message:
            record["error"] = message
        return record

    def _enter(self, state: State) -> None:
        self.state = state
        self.metrics.ready = state is State.READY
        self.entered(state)
