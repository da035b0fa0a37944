"""Event logs as the engine writes them, from a few words."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

from delivery.review import events, review
from delivery.review.review import Review
from policy import prices

Properties = dict[str, Any]
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
"""How the engine writes a secret."""
TODAY = date(2026, 11, 27)
"""The day of reviews."""
_LOGS = Path(__file__).parent / "logs"


def recorded(name: str) -> str:
    """A log of the real engine, see record.py."""
    return gzip.decompress((_LOGS / f"{name}.jsonl.gz").read_bytes()).decode()


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:prod::model-delivery::{type_}::{name}"


class Preview:
    """A preview's events, in order."""

    def __init__(self) -> None:
        self._events: list[Properties] = [{"preludeEvent": {"config": {}}}]
        self._counts: dict[str, int] = {}
        self.packs: dict[str, str] = {}
        self.result = "succeeded"

    def step(
        self,
        op: str,
        type_: str,
        name: str,
        old: Properties | None = None,
        new: Properties | None = None,
        detailed: dict[str, str] | None = None,
        custom: bool = True,
        **options: Any,
    ) -> Preview:
        def state(inputs: Properties | None) -> Properties | None:
            if inputs is None:
                return None
            return {"type": type_, "urn": urn(type_, name), "custom": custom, "inputs": inputs, **options}

        metadata = {
            "op": op,
            "urn": urn(type_, name),
            "type": type_,
            "old": state(old),
            "new": state(new),
            "detailedDiff": detailed and {p: {"diffKind": k, "inputDiff": True} for p, k in detailed.items()},
            "keys": [p for p, k in (detailed or {}).items() if k.endswith("-replace")],
        }
        self._events.append({"resourcePreEvent": {"metadata": metadata, "planning": True}})
        self._counts[op] = self._counts.get(op, 0) + 1
        return self

    def rollout(self, model: str, old: Properties | None, new: Properties | None, **more: Any) -> Preview:
        """A model's rollout: steps as ``{"stable": 3, "canary": 4, "weight": 10}``."""

        def inputs(said: Properties | None) -> Properties | None:
            if said is None:
                return None
            found: Properties = {
                "model": model,
                "runtime": "kubernetes",
                "stable": {"version": said["stable"]},
                **more,
            }
            if "canary" in said:
                weight, shadow = said.get("weight", 0), said.get("shadow", False)
                found["canary"] = {"version": said["canary"], "weight": weight, "shadow": shadow}
            return found

        op = "create" if old is None else "delete" if new is None else "same" if old == new else "update"
        return self.step(op, "delivery:registry:Rollout", model, inputs(old), inputs(new))

    def release(self, op: str, model: str, version: int, **facts: Any) -> Preview:
        inputs = {
            "model": model,
            "version": version,
            "digest": f"sha256:{version:064d}",
            "flavor": "sklearn",
            "run": f"run-{version}",
            **facts,
        }
        old, new = (None if op == "create" else inputs), (None if op == "delete" else inputs)
        return self.step(op, "delivery:registry:Release", f"{model}-v{version}", old, new)

    def policy(self, name: str, message: str, level: str = "mandatory", at: str = "") -> Preview:
        body = {
            "resourceUrn": at,
            "message": f"what {name} is for\n{message}\n",
            "policyName": name,
            "policyPackName": "model-delivery",
            "enforcementLevel": level,
        }
        self._events.append({"policyEvent": body})
        self.packs = {"model-delivery|local|/checkout/policy": "0.1.0"}
        if level == "mandatory":
            self.result = "failed"
        return self

    def says(self, severity: str, message: str, at: str = "") -> Preview:
        self._events.append({"diagnosticEvent": {"severity": severity, "message": message, "urn": at}})
        if severity == "error":
            self.result = "failed"
        return self

    def outputs(self, old: Properties, new: Properties) -> Preview:
        stack = {"type": "pulumi:pulumi:Stack", "urn": urn("pulumi:pulumi:Stack", "prod"), "inputs": {}}
        metadata = {
            "op": "same",
            "urn": stack["urn"],
            "type": stack["type"],
            "detailedDiff": None,
            "old": {**stack, "outputs": old},
            "new": {**stack, "outputs": new},
        }
        self._events.append({"resOutputsEvent": {"metadata": metadata}})
        return self

    @property
    def text(self) -> str:
        summary = {
            "maybeCorrupt": False,
            "durationSeconds": 3,
            "resourceChanges": self._counts,
            "PolicyPacks": self.packs,
            "isPreview": True,
            "result": self.result,
        }
        found = [*self._events, {"summaryEvent": summary}, {"cancelEvent": {}}]
        return "".join(json.dumps({"sequence": i, "timestamp": 1, **e}) + "\n" for i, e in enumerate(found))


def reviewed(preview: Preview | str, **options: Any) -> Review:
    """The review of a preview."""
    text = preview if isinstance(preview, str) else preview.text
    return review.build(
        events.read(text, "the log"), **{"stack": "prod", "prices": prices.load(), "today": TODAY, **options}
    )
