"""An application in this process, and a client of it that tests can call without a loop of their own."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from serving import model
from serving.app import App
from serving.artifact import digest
from serving.request_log import RequestLog
from serving.service import Service
from serving.settings import Settings

T = TypeVar("T")


class Client:
    """Sends requests to an application; ``service`` and ``model`` are what is behind it."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, log: RequestLog | None) -> None:
        self._loop = loop
        self.settings = settings
        self.service = Service(settings, log)
        self.app = App(self.service)
        # Exceptions of the application are not raised here: a caller sees a response, never a traceback.
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://test")

    def run(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(work)

    def load(self) -> None:
        async def install() -> None:
            self.service.install(model.load(self.settings))

        self.run(install())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.run(self._http.get(path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.run(self._http.post(path, **options))

    def predict(self, rows: Any, **options: Any) -> httpx.Response:
        return self.post("/predict", json={"features": rows}, **options)

    def predict_together(self, all_rows: list[Any]) -> list[httpx.Response]:
        """Send several requests in the same turn of the loop."""

        async def send() -> list[httpx.Response]:
            posts = [self._http.post("/predict", json={"features": rows}) for rows in all_rows]
            return list(await asyncio.gather(*posts))

        return self.run(send())

    def metric(self, line: str) -> float:
        """Return the value of one line of /metrics, given as name{labels} without model and version."""
        name, _, labels = line.partition("{")
        wanted = {label for label in labels.rstrip("}").split(",") if label}
        for text in self.get("/metrics").text.splitlines():
            if text.startswith((f"{name}{{", f"{name} ")):
                found, _, value = text.rpartition(" ")
                given = set(found.partition("{")[2].rstrip("}").split(","))
                if wanted <= given and len(given - wanted) == 2:
                    assert 'model="churn"' in given
                    assert 'version="3"' in given
                    return float(value)
        raise AssertionError(f"no metric {line}")


@contextmanager
def serve(
    folder: Path, *, load: bool = True, log: RequestLog | None = None, **options: Any
) -> Iterator[Client]:
    """Serve the model in ``folder`` as churn, version 3."""
    settings = Settings(model="churn", version="3", artifact=folder, digest=digest(folder), port=0, **options)
    loop = asyncio.new_event_loop()
    try:
        client = Client(settings, loop, log)
        if load:
            client.load()
        yield client
        client.service.close()
        client.run(client._http.aclose())
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
