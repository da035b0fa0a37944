"""Running the engine's preview for its events. The only part that starts a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delivery import login
from delivery.review.errors import ReviewError
from policy.base import VARIABLE as BASE

ROOT = Path(__file__).resolve().parents[2]
_GRACE_SECONDS = 20
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NO_STACK = re.compile(
    r"no stack named|no previously selected stack|passed .* stack .* not found", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which preview."""

    stack: str
    config_file: Path | None = None
    """Another file than Pulumi.<stack>.yaml."""
    policy_pack: Path | None = None
    """A pack that judges it, beside the project's own; None: none does, the project's own included."""
    command: Sequence[str] = (str(ROOT / "pulumiw"),)
    base: str = ""
    """The git commit that the change is to be merged into, see policy/base.py; empty: judged as it is."""
    environment: Mapping[str, str] | None = None
    """None: this process' own."""
    seconds: float = 3600


def run(request: Request) -> str:
    """The event log of a preview, whatever came of it. Raises ReviewError when there is none."""
    with tempfile.TemporaryDirectory(prefix="review-") as folder:
        log = Path(folder) / "events.json"
        words = [*request.command, "preview", "--stack", request.stack, "--event-log", str(log)]
        words += ["--non-interactive", "--color", "never", "--suppress-outputs"]
        if request.config_file is not None:
            words += ["--config-file", str(request.config_file)]
        words += ["--policy-pack", str(request.policy_pack)] if request.policy_pack else ["--no-policy-pack"]
        environment = dict(os.environ if request.environment is None else request.environment)
        if request.base:
            environment[BASE] = request.base
        # The flag is one of those that only this shows.
        environment["PULUMI_DEBUG_COMMANDS"] = "true"
        try:
            code, said = _ended(words, environment, request.seconds)
        except subprocess.TimeoutExpired:
            raise ReviewError(f"The preview of {request.stack} took over {request.seconds:.0f} s.") from None
        except OSError as error:
            raise ReviewError(f"{words[0]} can't be started: {error.strerror}.") from None
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        if not text.strip():
            raise ReviewError(_why(request, _COLOURS.sub("", said), code))
        return text


def _ended(words: Sequence[str], environment: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """The exit code of a command and what it said. One that is given up, for its time or by Ctrl-C, is asked
    to end, so that it takes its plugins along: a killed engine leaves them behind."""
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        # A terminal's Ctrl-C would come to it as well, and the second one ends the engine at once.
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _why(request: Request, said: str, code: int) -> str:
    """Return why the engine didn't even begin: what to do where that is known, else its own words."""
    without_account = f"Without an account: `make review ENV={request.stack} SINCE=main`."
    if _NO_STACK.search(said):
        return (
            f"There is no stack {request.stack} in this state. `./pulumiw stack ls` names those that there "
            f"are; a new one is made by `./pulumiw stack init {request.stack}`. {without_account}"
        )
    if how := login.advice(said, request.stack):
        return f"{how}. {without_account}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines[-5:]
    words = "\n".join(errors[-5:])[:2000]
    return f"The preview of {request.stack} did not begin (exit code {code}):\n{words or 'it said nothing'}"
