"""``delivery:local:Route``: one model's traffic on the local gateway.

Inputs
    folder    the gateway's folder (absolute), see provider.gateway
    model     the first segment of the path
    backends  a list of ``{version, weight, shadow, addresses}``; weights without shadows sum to 100

Outputs: the inputs, and ``inForce``.

Creation and update return when Envoy answers by the new table. Clusters come before the routes that name
them and go after.
"""

from __future__ import annotations

from pathlib import Path

from provider.gateway import Gateway
from provider.resource import Checked, Context, Diff, Failure, Properties, changed_paths

_INPUTS = ("backends", "folder", "model")


class Route:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
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
        return Checked({key: new[key] for key in _INPUTS}, tuple(failures))

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        paths = [p for key in _INPUTS for p in changed_paths(state.get(key), new[key], key)]
        if paths:
            replaced: bool = state["model"] != new["model"] or state["folder"] != new["folder"]
            return Diff(dict.fromkeys(paths, replaced), replaced, _remark(state, new))
        if trouble := _gateway(new).trouble(new):
            return Diff(
                {"inForce": False}, remark=f"{new['model']}: {trouble}; its traffic will be set again"
            )
        return Diff() if state.get("inForce", True) else Diff({"inForce": False})

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if not context.preview:
            _gateway(inputs).put(inputs)
        return inputs["model"], {**inputs, "inForce": True}

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        gateway = _gateway(state)
        found = gateway.recorded(state["model"])
        return None if found is None else {**state, **found, "inForce": not gateway.trouble(state)}

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        if not context.preview:
            _gateway(new).put(new)
        return {**new, "inForce": True}

    def delete(self, context: Context, id: str, state: Properties) -> None:
        _gateway(state).drop(state["model"])


def _remark(old: Properties, new: Properties) -> str:
    """That a change moves no traffic; of what does, the model's Rollout tells."""
    split = [(b["version"], b["weight"], b["shadow"]) for b in new["backends"]]
    if split != [(b["version"], b["weight"], b["shadow"]) for b in old["backends"]]:
        return ""
    return f"{new['model']}: traffic as before, by servers at other addresses"


def _gateway(route: Properties) -> Gateway:
    return Gateway(Path(route["folder"]))
