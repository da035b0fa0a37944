"""KServe's Python server with a model of one's own, as in its documentation; asked by the v1 protocol."""

import os
from typing import Any

import joblib
from kserve import Model, ModelServer


class Tumour(Model):
    def __init__(self) -> None:
        super().__init__("tumour")
        self.model = joblib.load(os.environ["MODEL"])
        self.ready = True

    def predict(
        self, payload: dict[str, Any], headers: Any = None, response_headers: Any = None
    ) -> dict[str, Any]:
        return {"predictions": self.model.predict(payload["instances"]).tolist()}


if __name__ == "__main__":
    ModelServer(http_port=int(os.environ["PORT"]), enable_grpc=False, workers=1).start([Tumour()])
