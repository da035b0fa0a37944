"""`python -m delivery status`: who serves what, by the stack's file, and with --live by what was applied.

Exit codes: 0 it could be told; 1 --live, and the state can't be had; 2 a mistake.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.environment import ConfigError, Model
from delivery.errors import DeliveryError
from delivery.past import NoStateError, rollouts
from delivery.stack_file import load, step_of
from policy.steps import step

NAME = "status"
HELP = "say who serves what: by the stack's file, and with --live by what was applied"
_TITLES = ("MODEL", "RUNTIME", "STABLE", "CANARY", "WEIGHT", "OWNER", "RISK")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", nargs="?", help="only this one")
    parser.add_argument("--stack", default="local", help="the stack (default: local)")
    parser.add_argument("--config-file", type=Path, help="another file than Pulumi.<stack>.yaml")
    parser.add_argument("--live", action="store_true", help="beside it what the stack has applied")


def run(arguments: argparse.Namespace) -> int:
    """Print the table. Returns the exit code."""
    try:
        file = load(arguments.stack, arguments.config_file)
        models = [file.model(arguments.model)] if arguments.model else list(file.environment.models)
    except (ConfigError, DeliveryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not arguments.live:
        print(table(models))
        return 0
    try:
        found = rollouts(arguments.stack)
    except NoStateError as error:
        print(table(models))
        print(f"error: no state of {arguments.stack}: {error}", file=sys.stderr)
        return 1
    if arguments.model:
        found = {name: rollout for name, rollout in found.items() if name == arguments.model}
    print(table(models, found))
    return 0


def table(models: Sequence[Model], live: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """A line for each model, with its registered model where one has another name; with ``live``, rollouts
    by model, also what was applied, since when, and whether that is what the file says."""
    renamed = any(model.registered_model for model in models)
    titles = (
        *_TITLES,
        *(("REGISTERED MODEL",) * renamed),
        *(("APPLIED", "SINCE", "") if live is not None else ()),
    )
    rows: list[tuple[str, ...]] = [titles]
    for model in models:
        registered = (model.registered_name,) if renamed else ()
        rows.append(_declared(model) + registered + _applied(model, live))
    for name in sorted((live or {}).keys() - {model.name for model in models}):
        rollout = (live or {})[name]
        shown = (name, str(rollout.get("runtime", "")), *("–",) * (len(_TITLES) - 2 + renamed))
        rows.append((*shown, str(step(rollout)), str(rollout.get("since", "")), "not in the file any more"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _declared(model: Model) -> tuple[str, ...]:
    canary = model.canary
    weight = "–" if canary is None else "shadow" if canary.shadow else f"{canary.weight} %"
    return (
        model.name,
        model.runtime,
        f"v{model.stable.version}",
        f"v{canary.version}" if canary else "–",
        weight,
        model.owner or "–",
        model.risk_class or "–",
    )


def _applied(model: Model, live: Mapping[str, Mapping[str, Any]] | None) -> tuple[str, ...]:
    if live is None:
        return ()
    rollout = live.get(model.name)
    if rollout is None:
        return ("–", "–", "not applied yet")
    applied = step(rollout)
    of = str(rollout.get("registeredModel") or model.name)
    same = applied == step_of(model) and of == model.registered_name
    return (
        f"{applied} of {of}" if of != model.registered_name else str(applied),
        str(rollout.get("since", "")),
        "as in the file" if same else "differs from the file",
    )
