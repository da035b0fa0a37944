"""What holds while a change is under review: what the branch it is to be merged into holds, and no less.

Whoever may change a model may also write an exemption for it, or a lower level, into the same pull request.
So a review of a pull request names its base, and the pack counts only what the base has too; what is new
counts once it is merged, by the people who own these files (`.github/CODEOWNERS`).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

import yaml

from components.environment import ConfigError, Problem
from policy import enforcement, exemptions, in_force
from policy.enforcement import ACTS, Enforcement, Level
from policy.exemptions import Exemptions
from policy.rule import Rule

VARIABLE: Final = "MODEL_DELIVERY_POLICY_BASE"
"""The environment variable with the git commit of the base."""
ROOT = Path(__file__).resolve().parent.parent
_SECONDS: Final = 30


def restricted(
    commit: str, stack: str, rules: Mapping[str, Rule], held: Enforcement, exempt: Exemptions, on: date
) -> tuple[Enforcement, Exemptions, tuple[str, ...]]:
    """Return what holds for a stack on a day where a change under review says ``held`` and ``exempt`` and its
    base is a git commit, and a line for each thing of the change that doesn't count yet.

    Raises ConfigError where the base can't be read: nothing is judged then.
    """
    before = in_force.as_of(_enforcement(commit, rules).of(stack), rules, on)
    levels: dict[str, Level] = {
        rule: "mandatory" if "mandatory" in (before.of(rule), held.of(rule)) else "advisory" for rule in rules
    }
    looser = sorted(rule for rule in rules if held.of(rule) != levels[rule])
    notes = [
        f"policy/enforcement.yaml makes {rule} advisory: that counts once it is merged" for rule in looser
    ]
    if before.settings != held.settings:
        notes.append("policy/enforcement.yaml changes settings: until it is merged those of the base hold")
    known = _exemptions(commit)
    kept = tuple(one for one in exempt.every if _same(known.get(one.name), one))
    notes += [
        f"the exemption {one.name} is new or changed here: it counts once it is merged"
        for one in exempt.in_stack(stack)
        if one not in kept
    ]
    raised = frozenset(rule for rule in before.raised | held.raised if levels[rule] == "mandatory")
    act = max(before.act, held.act, key=ACTS.index)
    return replace(before, rules=levels, act=act, raised=raised), Exemptions(every=kept), tuple(notes)


def _enforcement(commit: str, rules: Collection[str]) -> enforcement.Environments:
    text = _shown(commit, enforcement.FILE.name)
    # A rule that the change takes away is named there still.
    named = {str(rule) for part in _parts(_parsed(text)) for rule in part.get("rules") or ()}
    with tempfile.TemporaryDirectory(prefix="policy-") as folder:
        file = Path(folder) / enforcement.FILE.name
        file.write_text(text, encoding="utf-8")
        return enforcement.read({*rules, *named}, file)


def _parts(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    environments = cast("Mapping[str, object]", content.get("environments") or {})
    every: list[object] = [content.get("defaults"), *environments.values()]
    return [cast("Mapping[str, Any]", part) for part in every if isinstance(part, Mapping)]


def _exemptions(commit: str) -> Mapping[str, Any]:
    return _parsed(_shown(commit, exemptions.FILE.name)).get("exemptions") or {}


def _same(before: object, now: exemptions.Exemption) -> bool:
    if not isinstance(before, Mapping):
        return False
    said = {str(key): str(value) for key, value in cast("Mapping[str, Any]", before).items()}
    said["resource"] = exemptions.current(said.get("resource", ""))
    return said == {
        "rule": now.rule,
        "resource": now.resource,
        "environment": now.environment,
        "reason": now.reason,
        "owner": now.owner,
        "until": str(now.until),
    }


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        found: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([Problem(path="", message=f"is no YAML at the base: {error}")], "policy") from None
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _shown(commit: str, name: str) -> str:
    """A file of the policy as of a commit; empty where that has none."""
    try:
        for words in (
            ["rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"],
            ["show", f"{commit}:policy/{name}"],
        ):
            done = subprocess.run(
                ["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=_SECONDS
            )
            if done.returncode and words[0] == "rev-parse":
                raise ConfigError(
                    [
                        Problem(
                            path="",
                            message=f"the base {commit} ({VARIABLE}) is no commit of this checkout; fetch it "
                            "(actions/checkout: fetch-depth: 0)",
                        )
                    ],
                    "policy",
                )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            [Problem(path="", message=f"git can't be asked for {commit}: {error}")], "policy"
        ) from None
    return done.stdout if done.returncode == 0 else ""
