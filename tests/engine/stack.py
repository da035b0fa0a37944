"""A local stack of its own for tests: the real program on the real engine, in a folder and on ports that
nobody else uses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from planning.ran import Ran
from tests.ports import free_port
from tests.waiting import PATIENCE
from tools import toolchain
from tools.pulumiw import child_environment

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 5 * PATIENCE
_INTERRUPTED_SECONDS = PATIENCE
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Step:
    op: str
    type: str
    name: str
    paths: frozenset[str]


class Stack:
    """One stack with its state, registry and run folder under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.run = self.home / "run"
        gateway, tracking, prometheus = free_port(), free_port(), free_port()
        self.ports = {"gateway": gateway, "tracking": tracking, "prometheus": prometheus}
        self.gateway = f"http://127.0.0.1:{gateway}"
        self.config = folder / "Pulumi.local.yaml"
        self.config.write_text("config: {}\n")
        state = folder / "state"
        state.mkdir()
        tool = toolchain.pulumi()
        tools = toolchain.prometheus().folder
        self.env = {
            **child_environment(tool, {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}),
            "PULUMI_BACKEND_URL": f"file://{state}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "for tests",
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
            "PULUMI_HOME": str(folder / "pulumi-home"),
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "MODEL_DELIVERY_HOME": str(self.home),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.pulumi = str(tool.executable)
        self.command("stack", "init", "local", "--no-select", cwd=self._empty_project())

    def _empty_project(self) -> Path:
        # `stack init` notes a salt in the stack's file beside Pulumi.yaml, which must not be the checkout's.
        folder = self.folder / "project"
        folder.mkdir(exist_ok=True)
        (folder / "Pulumi.yaml").write_text("name: model-delivery\nruntime: python\n")
        return folder

    def command(self, *words: str, cwd: Path = ROOT, check: bool = True) -> Ran:
        process = subprocess.Popen(
            [self.pulumi, *words, "--non-interactive"],
            cwd=cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A terminal's Ctrl-C is ours to pass on: to Pulumi a second one means "at once".
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=COMMAND_SECONDS)
        except BaseException:
            _interrupt(process)
            raise
        text = _COLOURS.sub("", out)
        assert not check or process.returncode == 0, text
        return Ran(process.returncode, text)

    def declare(self, models: dict[str, Any], platform: dict[str, Any] | None = None) -> None:
        """Write the stack's file."""
        config = {
            "model-delivery:platform": {"kind": "local", "ports": self.ports}
            if platform is None
            else platform,
            "model-delivery:models": models,
        }
        self.config.write_text(yaml.safe_dump({"config": config}))

    def up(self, models: dict[str, Any] | None = None, check: bool = True) -> Ran:
        """Apply what the file says, or write ``models`` into it first."""
        if models is not None:
            self.declare(models)
        return self.command("up", "--yes", "--skip-preview", *self.flags, check=check)

    def preview(self, models: dict[str, Any] | None = None, check: bool = True) -> Ran:
        if models is not None:
            self.declare(models)
        return self.command("preview", "--diff", *self.flags, check=check)

    def plan(self, models: dict[str, Any] | None = None) -> list[Step]:
        """What a preview would change, from its JSON."""
        if models is not None:
            self.declare(models)
        digest = json.loads(self.command("preview", "--json", *self.flags).text)
        return [
            Step(
                op=step["op"],
                type=step["urn"].split("::")[-2].split("$")[-1].removeprefix("delivery:"),
                name=step["urn"].split("::")[-1],
                paths=frozenset(step.get("detailedDiff") or {}),
            )
            for step in digest["steps"]
            if step["op"] != "same"
        ]

    def refresh(self) -> Ran:
        return self.command("refresh", "--yes", "--skip-preview", *self.flags)

    def destroy(self) -> Ran:
        return self.command("destroy", "--yes", "--skip-preview", *self.flags)

    def outputs(self) -> dict[str, Any]:
        text = self.command("stack", "output", "--json", "--stack", "local").text
        return json.loads(text)

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--stack", "local", "--config-file", str(self.config))

    def pids(self) -> dict[str, int]:
        """The process of each supervised program, by its name without the hash of a chosen port's program."""
        from provider.daemon import Daemon

        daemon = Daemon(self.run)
        infos: Any = daemon._call("supervisor.getAllProcessInfo")
        return {info["name"].split(".")[0]: info["pid"] for info in infos if info["pid"]}

    def predict(self, client: httpx.Client, model: str = "churn") -> httpx.Response:
        return client.post(f"{self.gateway}/{model}/predict", json={"features": [ROW]}, timeout=PATIENCE)

    def split(self, requests: int = 400, model: str = "churn") -> Counter[str]:
        """Which versions answered; every answer must be a good one."""
        answered: Counter[str] = Counter()
        with httpx.Client(trust_env=False) as client:
            for _ in range(requests):
                response = self.predict(client, model)
                assert response.status_code == 200, response.text
                answered[response.headers["x-model-version"]] += 1
        return answered


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End Pulumi as Ctrl-C does: it stops what it is at, so nothing is started behind our back any more."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_INTERRUPTED_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


ROW = [0.5] * 4
