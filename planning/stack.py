"""A stack on the real engine and the checkout's own program, with stand-ins for all that is far away."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from delivery.review.values import mapping
from planning.ran import Ran
from planning.registry import SeededRegistry
from planning.stand_ins import ROOT, install
from tools import toolchain
from tools.pulumiw import child_environment

COMMAND_SECONDS = 560
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ACCOUNTS = (
    "AWS_",
    "AZURE_",
    "ARM_",
    "GOOGLE_",
    "GCLOUD_",
    "CLOUDSDK_",
    "KUBE",
    "DOCKER_",
    "MLFLOW_",
    "PULUMI_",
)
"""Variables that could lead to somebody's account."""
_OF_THE_BACKEND = ("secretsprovider", "encryptedkey", "encryptionsalt")


class PlanError(Exception):
    """A command of Pulumi that failed; the text is what it said."""


@dataclass(frozen=True)
class Step:
    """One resource in a plan; ``paths`` are the properties that change."""

    op: str
    type: str
    name: str
    paths: frozenset[str]
    inputs: dict[str, Any]
    old_inputs: dict[str, Any]
    options: frozenset[str]
    """Those that are on, of ``protect`` and ``retainOnDelete``."""


class PlannedStack:
    """A stack with its state, registry and plugins in ``folder``; ``program`` is the project's folder.

    A stack ``beside`` another one shares its state folder and its registry, so that it can refer to it.
    """

    def __init__(
        self, folder: Path, name: str, program: Path = ROOT, beside: PlannedStack | None = None
    ) -> None:
        self.name = name
        self.seconds = COMMAND_SECONDS
        """The longest that one command may take."""
        self._folder = folder
        self._program = program
        self.config = folder / f"Pulumi.{name}.yaml"
        self.state = beside.state if beside else folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        self.registry = beside.registry if beside else SeededRegistry(folder / "home")
        tool = toolchain.pulumi()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_ACCOUNTS)}
        plugins = install(folder / "plugins")
        inherited["PATH"] = f"{plugins}{os.pathsep}{inherited['PATH']}"
        self.env = {
            **child_environment(tool, inherited),
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE": "of a plan",
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
            "PULUMI_HOME": str(folder / "pulumi-home"),
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # One write of the state at the end: what is lost by a crash is only pretended.
            "PULUMI_EXPERIMENTAL": "true",
            "PULUMI_SKIP_CHECKPOINTS": "true",
            "MODEL_DELIVERY_STAND_INS": "true",
            "MODEL_DELIVERY_HOME": str(self.registry.home),
            "MODEL_DELIVERY_REGISTRY": self.registry.uri,
            "HOME": str(folder),
        }
        self._pulumi = str(tool.executable)
        project = folder / "project"
        project.mkdir()
        # `stack init` notes a salt beside Pulumi.yaml, which must not be the checkout's.
        (project / "Pulumi.yaml").write_text(f"name: {self._project_name()}\nruntime: python\n")
        self.command("stack", "init", name, "--no-select", cwd=project)

    def _project_name(self) -> str:
        return str(yaml.safe_load((self._program / "Pulumi.yaml").read_text())["name"])

    def go_on_with(self, program: Path) -> None:
        """Take another program of the same project for what comes, such as a later version of it."""
        self._program = program

    def declare(self, text: str) -> None:
        """Take the text of a Pulumi.<stack>.yaml, and seed the registry with the versions it names."""
        content = cast("dict[str, Any]", yaml.safe_load(text) or {})
        self.config.write_text(
            yaml.safe_dump(_without_secrets({k: v for k, v in content.items() if k not in _OF_THE_BACKEND}))
        )
        config = cast("dict[str, Any]", content.get("config") or {})
        self.registry.seed(versions(config), kind(config))

    def preview(self, *flags: str, check: bool = True) -> Ran:
        return self.command("preview", *flags, *self._flags, check=check)

    def up(self, *flags: str, check: bool = True, env: Mapping[str, str] | None = None) -> Ran:
        words = ("up", "--yes", "--skip-preview", *flags, *self._flags)
        return self.command(*words, check=check, env=env)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command on this stack, and go on."""
        command = [self._pulumi, *words, *self._flags, "--non-interactive"]
        return subprocess.Popen(
            command, cwd=self._program, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def refresh(self, *flags: str, check: bool = True) -> Ran:
        return self.command("refresh", "--yes", "--skip-preview", *flags, *self._flags, check=check)

    def steps(self) -> list[Step]:
        """What a preview shows, resource by resource, those included that stay the same."""
        ran = self.command("preview", "--json", "--show-sames", *self._flags)
        return [_step(step) for step in json.loads(ran.text)["steps"]]

    @property
    def _flags(self) -> tuple[str, ...]:
        return ("--stack", self.name, "--config-file", str(self.config))

    def command(
        self,
        *words: str,
        cwd: Path | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run Pulumi; its standard error is in the text unless JSON is asked for."""
        apart = "--json" in words
        done = subprocess.run(
            [self._pulumi, *words, "--non-interactive", "--color", "never"],
            cwd=cwd or self._program,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            timeout=self.seconds,
            text=True,
        )
        text = _COLOURS.sub("", done.stdout)
        if check and done.returncode != 0:
            raise PlanError(f"{readable(text)}\n{readable(done.stderr or '')}".strip())
        return Ran(done.returncode, text)


def as_of(commit: str, file: Path) -> str:
    """The text of one of the checkout's files as of a git commit. Raises PlanError where it can't be read."""
    command = ["git", "show", f"{commit}:{file.name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise PlanError(f"{file.name} as of {commit} can't be read: {done.stderr.strip()}")
    return done.stdout


def program_as_of(commit: str, folder: Path) -> Path:
    """The checkout as of a git commit, in a folder, with this checkout's environment and toolchain.

    Raises PlanError where it can't be read.
    """
    archive = folder / "program.tar"
    command = ["git", "archive", "--output", str(archive), commit]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise PlanError(f"the program as of {commit} can't be read: {done.stderr.strip()}")
    program = folder / "program"
    with tarfile.open(archive) as packed:
        packed.extractall(program, filter="data")
    for name in (".venv", ".delivery"):
        (program / name).symlink_to(ROOT / name)
    return program


def readable(text: str) -> str:
    """What Pulumi said, without the lines that only say that a stand-in is found on PATH."""
    return "\n".join(
        line for line in text.splitlines() if not re.search(r"using pulumi-resource-\S+ from \$PATH", line)
    )


def _step(step: dict[str, Any]) -> Step:
    old: dict[str, Any] = step.get("oldState") or {}
    new: dict[str, Any] = step.get("newState") or {}
    return Step(
        op=step["op"],
        type=step["urn"].split("::")[-2],
        name=step["urn"].split("::")[-1],
        paths=frozenset(step.get("detailedDiff") or {}),
        inputs=(new or old).get("inputs") or {},
        old_inputs=old.get("inputs") or {},
        options=frozenset(word for word in ("protect", "retainOnDelete") if (new or old).get(word)),
    )


def versions(config: dict[str, Any]) -> dict[str, int]:
    """The highest version of each registered model that a configuration names, as far as it can be read."""
    found: dict[str, int] = {}
    for key, models in config.items():
        if key.rpartition(":")[2] != "models":
            continue
        for name, written in mapping(models).items():
            model = mapping(written)
            named = [mapping(model.get(role)).get("version") for role in ("stable", "canary")]
            registered = str(model.get("registeredModel") or name)
            last = max((v for v in named if isinstance(v, int)), default=0)
            found[registered] = max(last, found.get(registered, 0))
    return found


def kind(config: dict[str, Any]) -> str:
    """The kind of the platform that a configuration names, empty where it can't be read."""
    found = [value for key, value in config.items() if key.rpartition(":")[2] == "platform"]
    return str(mapping(found[0]).get("kind", "")) if found else ""


def _without_secrets(value: Any) -> Any:
    """The same with a word in the place of what only the real secrets provider can decrypt."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if set(entries) == {"secure"}:
            return "a-secret-the-plan-cannot-read"
        return {key: _without_secrets(inner) for key, inner in entries.items()}
    return (
        [_without_secrets(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value
    )
