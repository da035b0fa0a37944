"""Records the event logs that the golden comments are made from: `python -m tests.delivery.review.record`.

The real engine previews edits of Pulumi.prod.yaml on stand-ins (see `planning`), most with the policy pack.
Kept is what a review reads: without the engine's debug messages and with paths of the machine replaced. Run
it again where the graph has changed, then write the golden comments anew and read both.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from delivery.review import preview
from planning.stack import PlannedStack
from planning.stand_ins import ROOT
from tests.environments import environment_file

LOGS = Path(__file__).parent / "logs"
Config = dict[str, Any]


def weight(platform: Config, models: Config) -> None:
    models["fraud"]["canary"]["weight"] = 50


def promotion(platform: Config, models: Config) -> None:
    models["fraud"]["stable"] = {"version": models["fraud"].pop("canary")["version"]}


def rollback(platform: Config, models: Config) -> None:
    del models["fraud"]["canary"]


def removed(platform: Config, models: Config) -> None:
    del models["fraud"]


def platform_change(platform: Config, models: Config) -> None:
    platform["nodes"]["cpu"]["instanceTypes"] = ["m7i.2xlarge"]
    platform["database"]["storageGb"] = 200


def forbidden(platform: Config, models: Config) -> None:
    models["fraud"]["canary"]["weight"] = 90


EDITS: dict[str, Callable[[Config, Config], None]] = {
    "weight-change": weight,
    "promotion": promotion,
    "rollback": rollback,
    "removed-model": removed,
    "platform-change": platform_change,
    "policy-violation": forbidden,
}


_WITHOUT_POLICY = ("first-deploy", "promotion")


def main() -> None:
    content = yaml.safe_load(environment_file("prod").read_text())
    LOGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="record-") as folder:
        stack = PlannedStack(Path(folder) / "stack", "prod")
        hide = {folder: "/folder", str(ROOT.resolve()): "/checkout"}
        stack.declare(yaml.safe_dump(content))
        _record(stack, "first-deploy", hide)
        stack.up()
        for name, edit in EDITS.items():
            edited = copy.deepcopy(content)
            edit(edited["config"]["model-delivery:platform"], edited["config"]["model-delivery:models"])
            stack.declare(yaml.safe_dump(edited))
            _record(stack, name, hide)


def _record(stack: PlannedStack, name: str, hide: dict[str, str]) -> None:
    pack = None if name in _WITHOUT_POLICY else ROOT / "policy"
    request = preview.Request(stack="prod", config_file=stack.config, policy_pack=pack, environment=stack.env)
    text = compact(preview.run(request))
    for found, instead in hide.items():
        text = text.replace(found, instead)
    (LOGS / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{name}: {len(text)} characters")


def compact(text: str) -> str:
    """A log without what no review reads, numbered anew."""
    kept: list[str] = []
    for line in text.splitlines():
        event = json.loads(line)
        body = event.get("diagnosticEvent")
        if body is not None and (body["severity"] == "debug" or "from $PATH" in body["message"]):
            continue
        if any(re.fullmatch(r"policy\w+SummaryEvent|preludeEvent", key) for key in event):
            continue
        output = event.get("resOutputsEvent")
        if output is not None and output["metadata"]["type"] != "pulumi:pulumi:Stack":
            continue
        event["sequence"] = len(kept)
        kept.append(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
    return "\n".join([*kept, ""])


if __name__ == "__main__":
    main()
