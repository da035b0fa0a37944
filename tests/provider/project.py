"""A small Pulumi project on the real engine: the provider alone, as a user meets it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from planning.ran import Ran
from tests.waiting import PATIENCE
from tools import toolchain
from tools.pulumiw import child_environment

ROOT = Path(__file__).resolve().parents[2]
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PROGRAM = """\
import json
from pathlib import Path

import pulumi

made = {}
for type, name, inputs, after in json.loads(Path("resources.json").read_text()):
    opts = pulumi.ResourceOptions(depends_on=[made[n] for n in after])
    made[name] = pulumi.CustomResource(type, name, inputs, opts)
"""


class Project:
    """A project with its own state. A resource is declared as (type, name, inputs, names it waits for)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        plugins = f"plugins:\n  providers:\n    - name: delivery\n      path: {ROOT / 'provider'}\n"
        runtime = f"runtime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
        (folder / "Pulumi.yaml").write_text(f"name: small\n{runtime}{plugins}")
        (folder / "__main__.py").write_text(_PROGRAM)
        (folder / "state").mkdir()
        self.declare([])
        tool = toolchain.pulumi()
        self.pulumi = str(tool.executable)
        self.env = {
            **child_environment(tool, dict(os.environ)),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "for tests",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_STACK": "test",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.env.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        assert self.command("stack", "init", "test").code == 0

    def declare(self, resources: list[tuple[str, str, dict[str, Any], list[str]]]) -> None:
        (self.folder / "resources.json").write_text(json.dumps(resources))

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.pulumi, *words, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *words: str) -> Ran:
        process = self.start(*words)
        text, _ = process.communicate(timeout=5 * PATIENCE)
        return Ran(process.returncode, _COLOURS.sub("", text))

    def up(self) -> Ran:
        return self.command("up", "--yes", "--skip-preview")

    def preview(self) -> Ran:
        return self.command("preview", "--diff")

    def refresh(self) -> Ran:
        return self.command("refresh", "--yes", "--skip-preview", "--diff")

    def state(self) -> dict[str, Any]:
        """Outputs by resource name."""
        exported = json.loads(self.command("stack", "export").text)
        found = exported["deployment"].get("resources", [])
        return {r["urn"].split("::")[-1]: r.get("outputs", {}) for r in found}
