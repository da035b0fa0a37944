"""The command line of the server, each option also as an environment variable; a flag wins."""

import argparse
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# Both appear in URLs, headers and metric labels.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """What one server process serves, where, and within which bounds."""

    model: str
    version: str
    artifact: Path
    digest: str
    port: int
    host: str = "127.0.0.1"
    access_log: Path | None = None
    """Where sampled requests are written as JSON lines; standard output when absent."""
    sample: float = 0.01
    """The share of answered requests that is logged, 0 to 1. Server errors are always logged."""
    max_body_bytes: int = 4 * 1024 * 1024
    max_batch: int = 64
    """Rows of different requests that may share one call of the model; 1 turns batching off."""
    batching: str = "auto"
    """``auto``: requests share a call where the warm-up finds that rows don't depend on each other; ``on``,
    ``off``: without a trial."""
    device: str = "cpu"
    """``cpu`` or ``gpu``: the model is ready only where it runs on this device."""
    threads: int = 1
    """Threads that onnxruntime may use for one call."""
    drain: float = 1.0
    """Seconds for which the server goes on answering after SIGTERM, while it is already not ready."""
    grace: float = 20.0
    """Seconds after SIGTERM within which the process ends, whatever is still open."""
    stuck: float = 120.0
    """Seconds without an answer, while requests wait, after which the server is neither live nor ready."""


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; a mistake ends the process with status 2 and a message that names the option."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve one version of one model over HTTP.",
        epilog="Each option can also be given as SERVING_<OPTION>, e.g. SERVING_MAX_BODY_BYTES; a flag wins.",
        allow_abbrev=False,
    )

    def option(flag: str, kind: Callable[[str], object], text: str, default: object = None) -> None:
        variable = "SERVING_" + flag.removeprefix("--").replace("-", "_").upper()
        value: object = environment.get(variable) or default
        if value is not None and default is not None:
            text += f" (default: {default})"
        parser.add_argument(flag, type=kind, default=value, required=value is None, help=text)

    option("--model", _name, "name of the model, as in its URL")
    option("--version", _name, "version of the model in the registry")
    option("--artifact", Path, "folder of the model as MLflow saved it (with MLmodel)")
    option("--digest", _digest, "sha256:<hex> that the artifact must have")
    option("--port", _number(int, 0, 65535), "TCP port; 0 takes a free one and prints it")
    option("--host", str, "address to listen on", Settings.host)
    option("--access-log", str, "file for sampled requests as JSON lines; - is standard output", "-")
    option("--sample", _number(float, 0, 1), "share of requests that is logged", Settings.sample)
    option("--max-body-bytes", _number(int, 1, 2**31), "larger requests get 413", Settings.max_body_bytes)
    option("--max-batch", _number(int, 1, 4096), "rows that may share one call", Settings.max_batch)
    option("--batching", _choice("auto", "on", "off"), "whether requests may share a call", Settings.batching)
    option("--device", _choice("cpu", "gpu"), "what the model must run on: cpu or gpu", Settings.device)
    option("--threads", _number(int, 1, 256), "threads of onnxruntime for one call", Settings.threads)
    option("--drain", _number(float, 0, 3600), "seconds to go on answering after SIGTERM", Settings.drain)
    option("--grace", _number(float, 0, 3600), "seconds after SIGTERM until the end", Settings.grace)
    option(
        "--stuck",
        _number(float, 1, 86400),
        "seconds without an answer, while requests wait, after which it is not live",
        Settings.stuck,
    )
    values = vars(parser.parse_args(arguments))
    log: str = values.pop("access_log")
    return Settings(access_log=None if log == "-" else Path(log), **values)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name; accepted: letters, digits, '.', '_' and '-'"
        )
    return text


def _digest(text: str) -> str:
    if _DIGEST.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a digest; accepted: sha256: and 64 lower-case hex digits"
        )
    return text


def _choice(*accepted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in accepted:
            raise argparse.ArgumentTypeError(f"{text!r}; accepted: {', '.join(accepted)}")
        return text

    return read


def _number(kind: Callable[[str], T], low: float, high: float) -> Callable[[str], T]:
    def read(text: str) -> T:
        wanted = "a whole number" if kind is int else "a number"
        try:
            value = kind(text)
            # A comparison with NaN is false, so NaN is refused here too.
            good = low <= float(value) <= high and math.isfinite(float(value))  # type: ignore[arg-type]
        except ValueError:
            good = False
        if not good:
            raise argparse.ArgumentTypeError(f"{text!r}; accepted: {wanted} from {low:g} to {high:g}")
        return value  # type: ignore[possibly-unbound]

    return read
