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
from delivery import past
from delivery.errors import DeliveryError
from delivery.past import NoStateError, found_in, unfinished_in
from delivery.routes import routed
from delivery.stack_file import load, step_of
from policy.steps import Step, step

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
        export = past.exported(arguments.stack)
        found, begun = found_in(export), unfinished_in(export)
    except NoStateError as error:
        print(table(models))
        print(f"error: no state of {arguments.stack}: {error}", file=sys.stderr)
        return 1
    if arguments.model:
        found = {name: rollout for name, rollout in found.items() if name == arguments.model}
        begun = {name: planned for name, planned in begun.items() if name == arguments.model}
    print(table(models, found, begun))
    for name, planned in sorted(begun.items()):
        print(_unfinished(name, planned, found.get(name), routed(export, name)))
    return 0


def _unfinished(
    name: str, planned: Mapping[str, Any], rollout: Mapping[str, Any] | None, route: Step | None
) -> str:
    """What is known of a step that was begun and is not recorded."""
    before = f" or {step(rollout)}" if rollout else ""
    traffic = f"the gateway sends {route}" if route else f"traffic may go by {step(planned)}{before}"
    since = planned.get("since", "an unknown time")
    return (
        f"\n{name}: the step to {step(planned)} was begun at {since} and did not come to its end: {traffic}. "
        f"Run ./pulumiw up again, or go back: python -m delivery rollback {name}"
    )


def table(
    models: Sequence[Model],
    live: Mapping[str, Mapping[str, Any]] | None = None,
    begun: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """A line for each model, with its registered model where one has another name; with ``live``, rollouts
    by model, also what was applied, since when, which policy pack judged it, and whether that is what the
    file says. ``begun``: steps that did not come to their end."""
    renamed = any(model.registered_model for model in models)
    titles = (
        *_TITLES,
        *(("REGISTERED MODEL",) * renamed),
        *(("APPLIED", "SINCE", "JUDGED BY", "") if live is not None else ()),
    )
    rows: list[tuple[str, ...]] = [titles]
    for model in models:
        registered = (model.registered_name,) if renamed else ()
        rows.append(_declared(model) + registered + _applied(model, live, begun or {}))
    for name in sorted((live or {}).keys() - {model.name for model in models}):
        rollout = (live or {})[name]
        shown = (name, str(rollout.get("runtime", "")), *("–",) * (len(_TITLES) - 2 + renamed))
        rows.append((*shown, *_record(rollout), "not in the file any more"))
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


def _applied(
    model: Model,
    live: Mapping[str, Mapping[str, Any]] | None,
    begun: Mapping[str, Mapping[str, Any]],
) -> tuple[str, ...]:
    if live is None:
        return ()
    rollout = live.get(model.name)
    if rollout is None:
        return ("–", "–", "–", "not finished" if model.name in begun else "not applied yet")
    of = str(rollout.get("registeredModel") or model.name)
    words, since, judge = _record(rollout)
    record = (f"{words} of {of}" if of != model.registered_name else words, since, judge)
    if model.name in begun:
        return (*record, "a later step is not finished")
    same = step(rollout) == step_of(model) and of == model.registered_name
    return (*record, "as in the file" if same else "differs from the file")


def _record(rollout: Mapping[str, Any]) -> tuple[str, str, str]:
    """The step that a rollout records, since when, and which policy pack judged it."""
    judge: object = rollout.get("judge")
    words = "–" if judge is None else str(judge) or "no policy pack"
    return str(step(rollout)), str(rollout.get("since", "")), words
