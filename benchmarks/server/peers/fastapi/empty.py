"""FastAPI's own cost: a handler that does nothing; and uvicorn's: a callable that reads and answers."""

from typing import Any

from fastapi import FastAPI

app = FastAPI()


@app.post("/predict")
async def predict() -> dict[str, list[int]]:
    return {"predictions": [0]}


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = b'{"predictions":[0]}'
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
