"""onnxruntime tells nobody that it runs, and keeps no database for it, whoever imports it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
_SESSION = """
import numpy as np
from onnx import TensorProto, helper

value = helper.make_tensor_value_info
node = helper.make_node("Identity", ["x"], ["y"])
inputs, outputs = [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])]
graph = helper.make_graph([node], "g", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
import onnxruntime

session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
session.run(None, {"x": np.ones(1, np.float32)})
"""


def left_in_home(first: str, home: Path) -> set[str]:
    """What a program leaves in its user's folder that imports something, and then runs a graph."""
    env = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key and key[:4] != "XDG_"}
    env |= {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", f"{first}\n{_SESSION}"]
    subprocess.run(command, env=env, cwd=home, check=True, timeout=PATIENCE)
    return {file.name for file in home.rglob("*") if file.is_file()}


@pytest.mark.parametrize("first", ["import serving.artifact", "from pipeline import quiet"])
def test_no_database_of_telemetry_is_made(first: str, tmp_path: Path) -> None:
    assert left_in_home(first, tmp_path) == set()
