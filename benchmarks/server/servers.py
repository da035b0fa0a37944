"""The servers that are measured: how each is installed, started and asked."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.artifact import digest

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".delivery" / "bench"
HERE = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Peer:
    """A server under test.

    ``package`` names the folder with its requirements (None: our own environment). ``command`` returns the
    words that start it on a port; ``prepare`` writes what it needs first. ``body`` makes a request of one
    row, and ``answer`` takes the predicted class out of a response.
    """

    name: str
    title: str
    package: str | None
    command: Callable[["Peer", int], Sequence[str]]
    path: str = "/predict"
    body: Callable[[list[float]], Any] = lambda row: {"features": [row]}
    answer: Callable[[Any], Any] = lambda content: content["predictions"][0]
    prepare: Callable[["Peer", int], None] = lambda peer, port: None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def folder(self) -> Path:
        return WORK / (self.package or "ours")

    @property
    def python(self) -> str:
        return str(self.folder / "venv" / "bin" / "python") if self.package else sys.executable

    @property
    def model(self) -> Path:
        return self.folder / "model.joblib"

    def variables(self, port: int) -> dict[str, str]:
        """Return the environment of its process."""
        own = {"MODEL": str(self.model), "PORT": str(port), "BENTOML_DO_NOT_TRACK": "True"}
        path = f"{self.folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **own, **self.environment}


def install(peer: Peer) -> None:
    """Make the peer's environment and model, unless they are there for the same pinned versions."""
    if peer.package is not None:
        requirements = HERE / peer.package / "requirements.txt"
        stamp = peer.folder / "installed"
        wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            environment = peer.folder / "venv"
            shutil.rmtree(environment, ignore_errors=True)
            peer.folder.mkdir(parents=True, exist_ok=True)
            if uv := os.environ.get("UV") or shutil.which("uv"):
                _run([uv, "venv", "-q", "--python", "3.11", str(environment)])
                _run([uv, "pip", "install", "-q", "-p", peer.python, "-r", str(requirements)])
            else:
                _run([sys.executable, "-m", "venv", str(environment)])
                _run([peer.python, "-m", "pip", "install", "-q", "-r", str(requirements)])
            stamp.write_text(wanted)
    peer.folder.mkdir(parents=True, exist_ok=True)
    _run([peer.python, str(HERE / "model.py"), str(peer.model)])


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, cwd=WORK if WORK.exists() else ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()[-600:]}")


def versions(peer: Peer) -> str:
    """Return the versions that matter, as installed."""
    names = {"bentoml", "kserve", "litserve", "mlflow", "mlserver", "fastapi", "uvicorn", "scikit-learn"}
    code = (
        "import importlib.metadata as m, sys\n"
        "for n in sys.argv[1:]:\n"
        "  try: print(n, m.version(n), sep=' ')\n"
        "  except m.PackageNotFoundError: pass\n"
    )
    done = subprocess.run(
        [peer.python, "-c", code, *sorted(names)], capture_output=True, text=True, check=True
    )
    return ", ".join(done.stdout.split("\n")[:-1])


def _uvicorn(application: str) -> Callable[[Peer, int], Sequence[str]]:
    def command(peer: Peer, port: int) -> Sequence[str]:
        options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
        folder = str(HERE / "fastapi")
        return [peer.python, "-m", "uvicorn", "--app-dir", folder, application, "--port", str(port), *options]

    return command


def _script(name: str) -> Callable[[Peer, int], Sequence[str]]:
    return lambda peer, port: [peer.python, str(HERE / str(peer.package) / name)]


def _our_models(peer: Peer, port: int) -> None:
    folder = peer.folder / "models"
    shutil.rmtree(folder, ignore_errors=True)
    _run([peer.python, str(Path(__file__).parent / "models.py"), str(peer.model), str(folder)])


def _ours(flavour: str) -> Callable[[Peer, int], Sequence[str]]:
    def command(peer: Peer, port: int) -> Sequence[str]:
        folder = peer.folder / "models" / flavour
        return [
            *(peer.python, "-m", "serving", "--model", "tumour", "--version", "1", "--port", str(port)),
            *("--artifact", str(folder), "--digest", digest(folder)),
            *("--access-log", str(peer.folder / f"{flavour}.requests"), "--sample", "0.01"),
        ]

    return command


def _mlflow_model(peer: Peer, port: int) -> None:
    shutil.rmtree(peer.folder / "saved", ignore_errors=True)
    _run([peer.python, str(HERE / "mlflow" / "save.py"), str(peer.model), str(peer.folder / "saved")])


def _mlflow(peer: Peer, port: int) -> Sequence[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--env-manager", "local", "--workers", "1"]
    return [
        str(Path(peer.python).with_name("mlflow")),
        "models",
        "serve",
        "-m",
        str(peer.folder / "saved"),
        *options,
    ]


def _mlserver_settings(parallel_workers: int) -> Callable[[Peer, int], None]:
    def prepare(peer: Peer, port: int) -> None:
        folder = peer.folder / peer.name
        folder.mkdir(exist_ok=True)
        shutil.copy(peer.model, folder / "model.joblib")
        server = {
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": port + 1,
            "metrics_port": port + 2,
            "parallel_workers": parallel_workers,
        }
        model = {
            "name": "tumour",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib", "version": "1"},
        }
        (folder / "settings.json").write_text(json.dumps(server))
        (folder / "model-settings.json").write_text(json.dumps(model))

    return prepare


def _mlserver(peer: Peer, port: int) -> Sequence[str]:
    return [str(Path(peer.python).with_name("mlserver")), "start", str(peer.folder / peer.name)]


def _v2_body(row: list[float]) -> Any:
    return {"inputs": [{"name": "predict", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}


def _our_v2_body(row: list[float]) -> Any:
    return {"inputs": [{"name": "input", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}


def _v2_answer(content: Any) -> Any:
    return content["outputs"][0]["data"][0]


PEERS: Sequence[Peer] = (
    Peer("ours-onnx", "this server, ONNX, /predict", None, _ours("onnx"), prepare=_our_models),
    Peer(
        "ours-onnx-v2",
        "this server, ONNX, v2",
        None,
        _ours("onnx"),
        path="/v2/models/tumour/infer",
        body=_our_v2_body,
        answer=_v2_answer,
    ),
    Peer("ours-joblib", "this server, joblib, /predict", None, _ours("joblib")),
    Peer("empty", "FastAPI, empty handler", "fastapi", _uvicorn("empty:app")),
    Peer("bare", "uvicorn, bare ASGI callable", "fastapi", _uvicorn("empty:bare")),
    Peer("fastapi", "FastAPI and joblib, naive", "fastapi", _uvicorn("naive:app")),
    Peer(
        "mlserver",
        "MLServer",
        "mlserver",
        _mlserver,
        path="/v2/models/tumour/infer",
        body=_v2_body,
        answer=_v2_answer,
        prepare=_mlserver_settings(1),
    ),
    Peer(
        "mlserver-inline",
        "MLServer, parallel_workers 0",
        "mlserver",
        _mlserver,
        path="/v2/models/tumour/infer",
        body=_v2_body,
        answer=_v2_answer,
        prepare=_mlserver_settings(0),
    ),
    Peer(
        "kserve",
        "KServe's Python server",
        "kserve",
        _script("server.py"),
        path="/v1/models/tumour:predict",
        body=lambda row: {"instances": [row]},
    ),
    Peer("litserve", "LitServe", "litserve", _script("server.py")),
    Peer(
        "mlflow",
        "mlflow models serve",
        "mlflow",
        _mlflow,
        path="/invocations",
        body=lambda row: {"inputs": [row]},
        prepare=_mlflow_model,
    ),
    Peer(
        "bentoml",
        "BentoML",
        "bentoml",
        lambda peer, port: [
            *(str(Path(peer.python).with_name("bentoml")), "serve", "service:Tumour"),
            *("--working-dir", str(HERE / "bentoml"), "--host", "127.0.0.1", "--port", str(port)),
        ],
        answer=lambda content: content[0],
    ),
)
