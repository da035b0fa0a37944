"""``delivery:local:Route``: one model's traffic on the local gateway.

Inputs
    folder    the gateway's folder (absolute), see provider.gateway
    model     the first segment of the path
    backends  a list of ``{version, weight, shadow, addresses}``; weights without shadows sum to 100
    timeout   seconds that a request may take (60)

Outputs: the inputs, and ``inForce``. The id is unique to each creation and noted with the route: when a
route is replaced, the deletion of the former one leaves its successor in force.

Creation and update return when Envoy answers by the new table. Clusters come before the routes that name
them and go after.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from provider.envoy import settings
from provider.gateway import Gateway
from provider.resource import UNKNOWN, Checked, Context, Diff, Failure, Properties, changed_paths


class Route:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        asked = _inputs(new)
        if _split(new) is None:
            return Checked(asked)
        backends: list[Properties] = new["backends"]
        failures: list[Failure] = []
        total = sum(b["weight"] for b in backends if not b["shadow"])
        if total != 100:
            failures.append(Failure("", f"weights must sum to 100, not {total}"))
        failures += [
            Failure("", f"backends[{i}].weight: a weight is 0 to 100, not {b['weight']}")
            for i, b in enumerate(backends)
            if not 0 <= b["weight"] <= 100
        ]
        versions = [b["version"] for b in backends]
        failures += [
            Failure("", f"backends: version {version} is there twice")
            for version in sorted({v for v in versions if versions.count(v) > 1})
        ]
        failures += [
            Failure("", f"backends[{i}].addresses: at least one address is needed")
            for i, b in enumerate(backends)
            if b["addresses"] == []
        ]
        return Checked(asked, tuple(failures))

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        had, asked = _inputs(state), _inputs(new)
        paths = [p for key in asked for p in changed_paths(had[key], asked[key], key)]
        if paths:
            replaced: bool = state["model"] != new["model"] or state["folder"] != new["folder"]
            return Diff(dict.fromkeys(paths, replaced), replaced, _remark(state, new))
        gateway = _gateway(new)
        trouble = gateway.trouble(new)
        if not trouble and gateway.owner(new["model"]) not in (None, id):
            trouble = "an interrupted update has written its route"
        if trouble:
            return Diff(
                {"inForce": False}, remark=f"{new['model']}: {trouble}; its traffic will be set again"
            )
        return Diff() if state.get("inForce", True) else Diff({"inForce": False})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if context.preview:
            return "", {**inputs, "inForce": True}
        id = f"{inputs['model']}.{secrets.token_hex(3)}"
        _gateway(inputs).put(inputs, id)
        return id, {**inputs, "inForce": True}

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        gateway = _gateway(state)
        found = gateway.recorded(state["model"])
        return None if found is None else {**state, **found, "inForce": not gateway.trouble(state)}

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        if not context.preview:
            _gateway(new).put(new, id)
        return {**new, "inForce": True}

    def delete(self, context: Context, id: str, state: Properties) -> None:
        _gateway(state).drop(state["model"], id)


def _inputs(route: Properties) -> Properties:
    return {"folder": route["folder"], **settings(route)}


def _remark(old: Properties, new: Properties) -> str:
    """That a change moves no traffic; of what does, the model's Rollout tells."""
    split = _split(new)
    if split is None or split != _split(old):
        return ""
    return f"{new['model']}: traffic as before, by servers at other addresses"


def _split(route: Properties) -> list[tuple[int, int, bool]] | None:
    """Version, weight and shadow of each backend, or None where a preview doesn't know them all yet."""
    backends: Any = route["backends"]
    if backends is UNKNOWN or UNKNOWN in backends:
        return None
    split = [(b["version"], b["weight"], b["shadow"]) for b in backends]
    return None if any(UNKNOWN in values for values in split) else split


def _gateway(route: Properties) -> Gateway:
    return Gateway(Path(route["folder"]))
