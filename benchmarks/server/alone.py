"""The model without a server: its data, and the calls a second of scikit-learn and onnxruntime."""

import time
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import onnxruntime
from sklearn.datasets import load_breast_cancer

from benchmarks.server.servers import Peer


def data(peer: Peer) -> tuple[np.ndarray, list[int]]:
    """Return the rows that are sent, and what scikit-learn predicts for them."""
    rows: Any = load_breast_cancer().data
    return rows, joblib.load(peer.model).predict(rows).tolist()


def measure(peer: Peer, rows: np.ndarray, seconds: float = 1.0) -> dict[str, float]:
    """Return calls a second, one row at a time, in this process."""
    model = joblib.load(peer.model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = peer.folder / "models" / "onnx" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    singles = rows.astype(np.float32)
    name = session.get_inputs()[0].name
    return {
        "scikit-learn": _rate(lambda index: model.predict(rows[index : index + 1]), len(rows), seconds),
        "onnxruntime": _rate(
            lambda index: session.run(None, {name: singles[index : index + 1]}), len(rows), seconds
        ),
    }


def _rate(call: Callable[[int], object], count: int, seconds: float) -> float:
    calls = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(20):
            call(calls % count)
            calls += 1
    return calls / elapsed
