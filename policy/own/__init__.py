"""Rules of your own: each module in this folder has ``RULES``, as the modules of ``policy/rules`` have.

No later version of this project touches this folder. ``docs/policy.md`` shows a rule; the files
``enforcement.yaml`` and ``exemptions.yaml`` take its id like any other.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection
from pathlib import Path

from components.environment import ConfigError, Problem
from policy.rule import Rule

FOLDER = Path(__file__).resolve().parent


def load(taken: Collection[str], folder: Path = FOLDER) -> dict[str, Rule]:
    """Return the rules of the modules in ``folder`` by their ids, in the order of the modules' names.

    ``taken`` are the ids of the rules that this project ships. Raises ``ConfigError`` with every module that
    can't be imported or has no ``RULES``, and every id that stands twice.
    """
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.py")):
        if file.stem == "__init__":
            continue
        where = f"policy/own/{file.name}"
        try:
            found = _rules(file)
        except Exception as error:
            reason = f"can't be imported: {type(error).__name__}: {error}"
            problems.append(Problem(path=where, message=reason))
            continue
        if found is None:
            problems.append(Problem(path=where, message="must have RULES, a tuple of policy.rule.Rule"))
            continue
        for rule in found:
            if rule.id in taken or rule.id in rules:
                problems.append(Problem(path=where, message=f"the id {rule.id} is taken; choose another"))
            rules[rule.id] = rule
    if problems:
        raise ConfigError(problems, "policy/own")
    return rules


def _rules(file: Path) -> tuple[Rule, ...] | None:
    name = f"{__name__}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: object = getattr(module, "RULES", None)
    if isinstance(found, tuple) and all(isinstance(rule, Rule) for rule in found):  # pyright: ignore[reportUnknownVariableType]
        return found  # pyright: ignore[reportUnknownVariableType]
    return None
