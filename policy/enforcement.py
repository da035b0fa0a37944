"""``enforcement.yaml``: in which environment which rule stops an update, and which figures hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from components.environment import ConfigError, Problem
from components.environment.section import Section, open_section
from components.environment.stack_file import document
from policy import settings
from policy.settings import Settings

Level = Literal["mandatory", "advisory"]
LEVELS: Final[tuple[Level, ...]] = ("mandatory", "advisory")
Act = Literal["as-set", "on-date", "ahead"]
ACTS: Final[tuple[Act, ...]] = ("as-set", "on-date", "ahead")
FILE: Final = Path(__file__).with_name("enforcement.yaml")
_PART: Final = ("euAiAct", "level", "rules", "settings")
_EXAMPLE: Final = "{level: advisory, rules: {canary-step: mandatory}, settings: {bakeHours: 0}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """What holds in one environment."""

    level: Level = "mandatory"
    """Of every rule that ``rules`` doesn't name."""
    rules: Mapping[str, Level] = field(default_factory=dict[str, Level])
    settings: Settings = field(default_factory=Settings)
    act: Act = "as-set"
    """When rules on high-risk systems that are advisory become mandatory: never by a date (``as-set``), on
    the day from which the EU AI Act asks for it (``on-date``), or today (``ahead``)."""
    raised: frozenset[str] = frozenset()
    """The rules that are mandatory by ``act`` alone: see policy/in_force.py."""

    def of(self, rule: str) -> Level:
        """Whether a rule, given its id, stops an update (``mandatory``) or warns (``advisory``)."""
        return self.rules.get(rule, self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """What holds in each environment; one that the file doesn't name has the defaults."""

    default: Enforcement
    named: Mapping[str, Enforcement]

    def of(self, stack: str) -> Enforcement:
        """What holds for a stack, given its name, with or without its organization and project."""
        return self.named.get(stack.rpartition("/")[2], self.default)


def read(rules: Collection[str], path: Path | None = None) -> Environments:
    """Read the file, ``FILE`` by default; ``rules`` are the ids there are.

    Raises ConfigError with every mistake and its line.
    """
    path = path or FILE
    found = document(path)
    problems: list[Problem] = []
    top = open_section(
        {} if found.value is None else found.value, (), problems, "{defaults: {level: mandatory}}"
    )
    default, named = Enforcement(), dict[str, Enforcement]()
    if top:
        top.only(("defaults", "environments"))
        part = top.section("defaults", accepted=_PART, example=_EXAMPLE)
        default = _enforcement(part, default, rules)
        if "environments" in top.values:
            section = open_section(top.values["environments"], ("environments",), problems, "{dev: {…}}")
            if section:
                for name in section.values:
                    part = section.section(name, accepted=_PART, example=_EXAMPLE)
                    named[name] = _enforcement(part, default, rules)
    if problems:
        raise ConfigError([replace(p, line=line_of(p, found.lines)) for p in problems], f"policy/{path.name}")
    return Environments(default=default, named=named)


def line_of(problem: Problem, lines: Mapping[str, int]) -> int | None:
    """The line of a problem: of the value itself or, if it is missing, of the nearest map around it."""
    path = problem.path
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path) or problem.line


def _enforcement(section: Section | None, base: Enforcement, rules: Collection[str]) -> Enforcement:
    if section is None:
        return base
    level = section.choice("level", LEVELS) or base.level
    # A level that an environment sets is for all of its rules: what the defaults say of one goes with it.
    levels: dict[str, Level] = {} if section.has("level") else dict(base.rules)
    if inner := section.section("rules", accepted=rules, example="{canary-step: mandatory}"):
        for rule in inner.values.keys() & set(rules):
            if chosen := inner.choice(rule, LEVELS):
                levels[rule] = chosen
    figures = section.section("settings", accepted=settings.KEYS, example="{bakeHours: 24}")
    return Enforcement(
        level=level,
        rules=levels,
        act=section.choice("euAiAct", ACTS) or base.act,
        settings=settings.parse(figures, base.settings) if figures else base.settings,
    )
