"""All rules of the pack, by the group they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy.rule import Rule
from policy.rules import steps

GROUPS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "Release safety": (*steps.RULES,),
}
"""The rules by group, in the order in which documents have them."""

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for rules in GROUPS.values() for rule in rules}
"""Every rule by its id."""

IDS: Final = frozenset(RULES)
