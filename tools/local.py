"""The stack `local`: its state, its passphrase and its configuration, all inside the checkout.

A random passphrase protects what is secret in its state. Pulumi wants to note the salt that goes with it
(`encryptionsalt`) in Pulumi.local.yaml, a file under git that people edit: each machine would change it for
everybody, and a committed salt fits no random passphrase. So a command that only reads the configuration
gets a copy of the file with the salt at its end. Only `config set --secret` writes the salt into the file
itself,
as it must: from then on the file has a secret that this machine alone can read.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from tools import errors
from tools.errors import ToolError
from tools.paths import make_folder

STACK = "local"
READ_CONFIG = (
    "up",
    "update",
    "preview",
    "pre",
    "refresh",
    "destroy",
    "down",
    "dn",
    "watch",
    "import",
    "logs",
)
"""Commands that read the whole configuration and take `--config-file`."""

_ON_THIS_MACHINE = re.compile(r"^\s*kind:\s*[\"']?local\b", re.MULTILINE)
"""The line of a platform that is this machine; the tools run before a YAML library is installed."""


@dataclass(frozen=True)
class LocalStack:
    """The stack `local` of one checkout."""

    root: Path

    @property
    def delivery(self) -> Path:
        """The run folder."""
        return self.root / ".delivery"

    @property
    def state(self) -> Path:
        """The folder of the file backend."""
        return self.delivery / "state"

    @property
    def passphrase(self) -> Path:
        """The file with the passphrase."""
        return self.delivery / "passphrase"

    @property
    def config(self) -> Path:
        """The file that people edit."""
        return self.root / f"Pulumi.{STACK}.yaml"

    @property
    def checkpoint(self) -> Path:
        """The stack's state."""
        return self.state / ".pulumi" / "stacks" / project_name(self.root) / f"{STACK}.json"

    def environment(self) -> dict[str, str]:
        """The variables with which Pulumi works on this stack, whoever is logged in where."""
        text = self.config.read_text() if self.config.exists() else ""
        # Pulumi would fetch a plugin for every cloud whose SDK is installed, hundreds of megabytes, before it
        # runs the program; without a way out it tries for seconds, at each command. This platform needs none.
        alone = (
            {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"} if _ON_THIS_MACHINE.search(text) else {}
        )
        return alone | {
            # Go reads the path back from the URL: a space or a percent sign must be written as one. Without
            # `skip` each file gets a second one, which a killed Pulumi may leave empty: then no command can
            # read the state any more ("failed to load checkpoint: EOF").
            "PULUMI_BACKEND_URL": f"file://{quote(str(self.state))}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_STACK": STACK,
            # The salt is in the state: it needn't be in the configuration.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        }

    def prepare(self, pulumi: Path, env: Mapping[str, str]) -> None:
        """Makes the state folder, the passphrase and the stack where they are missing. Raises ToolError."""
        try:
            make_folder(self.state)
            if not self.passphrase.exists():
                if self.checkpoint.exists():
                    raise ToolError(
                        f"{self.passphrase} is missing, and the state in {self.state} can't be read "
                        "without it. Put "
                        "the file back; or, if it is lost, stop what runs, delete the state folder and "
                        "start anew."
                    )
                self._write_passphrase()
            if not self.checkpoint.exists():
                self._create(pulumi, env)
        except OSError as error:
            raise errors.explain(error, f"Preparing the stack {STACK} in {self.delivery}") from error

    def config_arguments(self, command: str, arguments: Sequence[str]) -> list[str]:
        """What to add to a command so that it reads the configuration without writing a salt into it."""
        given = any(word == "--config-file" or word.startswith("--config-file=") for word in arguments)
        if command not in READ_CONFIG or given:
            return []
        text = self.config.read_text() if self.config.exists() else ""
        salt = self._salt()
        if salt is None or re.search(r"^encryptionsalt:", text, re.MULTILINE):
            return []
        # At the end, so that a line number in a message is right in the real file too.
        copy = make_folder(self.delivery / "copy-of") / self.config.name
        fresh = copy.with_name(f".{copy.name}-{os.getpid()}")
        fresh.write_text(f"{text.rstrip()}\nencryptionsalt: {salt}\n")
        fresh.replace(copy)
        return ["--config-file", str(copy)]

    def forget_interrupted_creates(self) -> list[str]:
        """Drops the creations from the state that a killed `up` has left open; returns the resources' names.

        Pulumi asks a person to look whether such a resource exists. Ours are processes and files: a creation
        takes over what runs on its fixed port and ends what a killed one left behind, so the next `up` simply
        creates them again.
        """
        if not self.checkpoint.exists():
            return []
        content = cast("dict[str, Any]", json.loads(self.checkpoint.read_text()))
        latest = cast("dict[str, Any]", content.get("checkpoint", {}).get("latest") or {})
        pending = cast("list[dict[str, Any]]", latest.get("pending_operations") or [])
        creating = [operation for operation in pending if operation.get("type") == "creating"]
        if not creating:
            return []
        latest["pending_operations"] = [operation for operation in pending if operation not in creating]
        fresh = self.checkpoint.with_name(f".{self.checkpoint.name}-{os.getpid()}")
        fresh.write_text(json.dumps(content, indent=4))
        fresh.replace(self.checkpoint)
        return [str(operation["resource"]["urn"]).rsplit("::", 1)[-1] for operation in creating]

    def _salt(self) -> str | None:
        if not self.checkpoint.exists():
            return None
        content = cast("dict[str, Any]", json.loads(self.checkpoint.read_text()))
        latest = cast("dict[str, Any]", content.get("checkpoint", {}).get("latest") or {})
        provider = cast("dict[str, Any]", latest.get("secrets_providers") or {})
        return cast("dict[str, str]", provider.get("state") or {}).get("salt")

    def _write_passphrase(self) -> None:
        descriptor = os.open(self.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))

    def _create(self, pulumi: Path, env: Mapping[str, str]) -> None:
        """Creates the stack from a folder of its own: Pulumi would write the salt into the real
        configuration."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "Pulumi.yaml").write_text(f"name: {project_name(self.root)}\nruntime: python\n")
            made = subprocess.run(
                [pulumi, "stack", "init", STACK, "--no-select", "--non-interactive", "--cwd", folder],
                env=dict(env),
                capture_output=True,
                text=True,
                check=False,
            )
        if made.returncode != 0:
            raise ToolError(
                f"The stack {STACK} can't be created in {self.state}:\n{(made.stdout + made.stderr).strip()}"
            )


def project_name(root: Path) -> str:
    """The project's name, as its Pulumi.yaml says. Raises ToolError when there is none."""
    file = root / "Pulumi.yaml"
    if not file.exists():
        raise ToolError(f"{file} is missing: this is no checkout of a Pulumi project.")
    found = re.search(r"""^name:\s*["']?([\w.-]+)["']?\s*(?:#.*)?$""", file.read_text(), re.MULTILINE)
    if found is None:
        raise ToolError(f"{file} has no line `name: ...`.")
    return found.group(1)
