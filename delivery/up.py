"""``make up``: bring the local stack up with an example model in it, and say what to try next."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from components.environment import ConfigError, Environment, read

ROOT = Path(__file__).resolve().parents[1]
_EXAMPLE = "tumour"
_REQUESTS = 200


def main() -> int:
    """Train and register what is missing, apply ``local``, send some requests. Returns an exit code.

    Every step finds what is there already, so a second run, or one after an interruption, does only the rest.
    """
    try:
        return _up(read(ROOT / "Pulumi.local.yaml"))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _up(environment: Environment) -> int:
    _step(1, "train and register the example model (MLflow registry in .delivery/registry)")
    if code := _run([sys.executable, "-m", "pipeline", "train", *_claims(environment)]):
        return code
    _step(2, "apply Pulumi.local.yaml: MLflow, model servers, Envoy, Prometheus")
    if code := _run(
        ["./pulumiw", "up", "--stack", "local", "--yes", "--suppress-outputs", "--suppress-progress"]
    ):
        return code
    outputs = _outputs()
    if outputs is None:
        return 1
    _step(3, f"send {_REQUESTS} requests and count which version answered")
    if _EXAMPLE in outputs["endpoints"] and not _try_out(outputs["endpoints"][_EXAMPLE]):
        return 1
    print(farewell(environment, outputs))
    return 0


def _claims(environment: Environment) -> list[str]:
    """What the file says of the example, for the registry to say too: who answers for it, and its risk."""
    example = next((model for model in environment.models if model.name == _EXAMPLE), None)
    words: list[str] = []
    if example and example.owner:
        words += ["--owner", example.owner]
    if example and example.risk_class:
        words += ["--risk-class", example.risk_class]
    return words


def farewell(environment: Environment, outputs: dict[str, Any]) -> str:
    """Where everything is and what to try next, from the stack's outputs."""
    lines = ["", "Up. Everything listens on 127.0.0.1 only.", ""]
    lines += [f"  {name:<12} {_page(name, outputs[key])}" for name, key in _PAGES]
    for name, endpoint in outputs["endpoints"].items():
        traffic = ", ".join(
            f"v{r['version']} {'shadow' if r['shadow'] else str(r['weight']) + ' %'}"
            for r in endpoint["releases"]
        )
        lines.append(f"  {name:<12} {endpoint['url']}   {traffic}")
    lines += ["", "Try next:"]
    if _EXAMPLE in outputs["endpoints"]:
        url = outputs["endpoints"][_EXAMPLE]["url"]
        lines.append(
            f"  curl -i {url}/predict -d @examples/{_EXAMPLE}.json     # x-model-version says who answered"
        )
    promoted = next((m for m in environment.models if m.canary and not m.canary.shadow), None)
    if promoted and promoted.canary:
        command = f"promote {promoted.name} {promoted.canary.version} --weight 50"
        lines.append(f"  .venv/bin/python -m delivery {command}    # or edit Pulumi.local.yaml")
    for model in (m for m in environment.models if m.name == _EXAMPLE and m.risk_class == "high"):
        lines.append(
            f'  .venv/bin/python -m pipeline approve {_EXAMPLE} {model.stable.version} --by "YOUR NAME"'
            "    # of high risk: nobody has approved it yet"
        )
    lines += [
        "  make review ENV=local                                   # what that changes: one route",
        "  ./pulumiw up                                            # traffic shifts, nothing restarts",
        "  git checkout Pulumi.local.yaml && ./pulumiw up          # and back",
        "  make down                                               # stop all of it",
    ]
    return "\n".join(lines)


_PAGES = (("gateway", "gatewayUrl"), ("MLflow", "trackingUrl"), ("Prometheus", "prometheusUrl"))


def _page(name: str, url: str) -> str:
    """What to open: a Prometheus that was built here has no pages, but answers queries."""
    if name != "Prometheus":
        return url
    try:
        pages = httpx.get(f"{url}/query", trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        pages = True
    return url if pages else f"{url}/api/v1/query?query=model_requests_total"


def _step(number: int, what: str) -> None:
    print(f"\n[{number}/3] {what}", flush=True)


def _run(command: list[str]) -> int:
    """A command's exit code, also when it was interrupted: it is let end by itself. Pulumi would leave a lock
    and half of a resource if it were killed."""
    process: subprocess.Popen[bytes] | None = None
    told = False

    def pass_on(number: int, frame: object) -> None:
        nonlocal told
        if process is None:
            told = True
        else:
            process.send_signal(signal.SIGINT)

    # A terminal tells the command of Ctrl-C as it tells us. Of SIGTERM nobody else does.
    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        process = subprocess.Popen(command, cwd=ROOT)
        if told:
            process.send_signal(signal.SIGINT)
        return process.wait()
    except KeyboardInterrupt:
        if process is not None:
            process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _outputs() -> dict[str, Any] | None:
    command = ["./pulumiw", "stack", "output", "--stack", "local", "--json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        print(result.stderr, file=sys.stderr)
        return None
    return json.loads(result.stdout)


def _try_out(endpoint: dict[str, Any]) -> bool:
    body = (ROOT / "examples" / f"{_EXAMPLE}.json").read_bytes()
    answered: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    started = time.monotonic()
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(_REQUESTS):
            try:
                response = client.post(f"{endpoint['url']}/predict", content=body)
            except httpx.HTTPError as error:
                failed[str(error)] += 1
                continue
            if response.status_code == 200:
                answered[response.headers["x-model-version"]] += 1
            else:
                failed[f"status {response.status_code}: {response.text[:200]}"] += 1
    seconds = time.monotonic() - started
    for version, count in sorted(answered.items()):
        print(f"      version {version} answered {count} ({100 * count / _REQUESTS:.0f} %)")
    for reason, count in failed.most_common(3):
        print(f"      {count} failed: {reason}", file=sys.stderr)
    print(f"      {_REQUESTS} requests in {seconds:.1f} s, {sum(failed.values())} failed")
    return not failed


if __name__ == "__main__":
    sys.exit(main())
