"""MLflow and onnxruntime without their chatter: imported before anything of theirs is."""

import logging
import os

# Nothing leaves this machine, and a server that isn't there is reported within seconds instead of minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")


def hush() -> None:
    """Let only errors through: the tables that are made and the packages that are guessed are no news."""
    for name in ("mlflow", "alembic", "skl2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)


hush()
