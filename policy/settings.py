"""The figures that rules hold resources to, which an environment may set."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from components.environment.section import Section
from policy.steps import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every figure with its default. The names in ``enforcement.yaml`` are those of KEYS."""

    first_percent: int = 20
    """What a version that never served may start at, percent of the requests."""
    increase_percent: int = 50
    """How much a version's share may grow in a later step, percentage points."""
    hold_minutes: float = 0
    """How long a version keeps a share before it may have a larger one."""
    warm_minutes: float | None = None
    """How long a version is declared at weight 0, or as a shadow, before it may switch to 100 percent in one
    step; None: it may not."""
    bake_hours: float = 24
    """How long the previous stable version stays declared after a promotion."""
    metric_tolerance: float = 0.02
    """How much worse than the stable version's a candidate's metric may be, as a fraction of it."""
    min_replicas: int = 2
    """Servers that a model has at least."""
    log_days: int = 180
    """How long logs are kept at least: six months, EU AI Act, Articles 19(1) and 26(6)."""
    key_deletion_days: int = 14
    """How long a KMS key waits at least before it is deleted."""
    max_gpus: int = 8
    """GPUs that a stack may ask for at the most its autoscaling allows."""
    monthly_cost: float = 5000
    """What a stack may cost a month, in US dollars, by the embedded price table."""
    required_tags: tuple[str, ...] = ()
    """Keys of tags that every taggable resource of a cloud has."""

    @property
    def limits(self) -> Limits:
        """How much of a model's traffic may move in one step."""
        return Limits(
            first=self.first_percent,
            increase=self.increase_percent,
            hold_minutes=self.hold_minutes,
            warm_minutes=self.warm_minutes,
            bake_hours=self.bake_hours,
        )


KEYS: Final = {
    "firstPercent": "first_percent",
    "increasePercent": "increase_percent",
    "holdMinutes": "hold_minutes",
    "warmMinutes": "warm_minutes",
    "bakeHours": "bake_hours",
    "metricTolerance": "metric_tolerance",
    "minReplicas": "min_replicas",
    "logDays": "log_days",
    "keyDeletionDays": "key_deletion_days",
    "maxGpus": "max_gpus",
    "monthlyCost": "monthly_cost",
    "requiredTags": "required_tags",
}


_TAG: Final = re.compile(r"[\w.:/=+@-]{1,128}")


def parse(section: Section, base: Settings) -> Settings:
    """Take the settings that a section names over those of ``base``; problems are noted in the section."""
    found = {
        "first_percent": section.whole("firstPercent", 0, 100),
        "increase_percent": section.whole("increasePercent", 1, 100),
        "hold_minutes": section.number("holdMinutes", 0, 60 * 24 * 14),
        "warm_minutes": section.number("warmMinutes", 0, 60 * 24 * 14),
        "bake_hours": section.number("bakeHours", 0, 24 * 90),
        "metric_tolerance": section.number("metricTolerance", 0, 1),
        "min_replicas": section.whole("minReplicas", 1, 1000),
        "log_days": section.whole("logDays", 1, 3653),
        "key_deletion_days": section.whole("keyDeletionDays", 7, 30),
        "max_gpus": section.whole("maxGpus", 0, 100_000),
        "monthly_cost": section.number("monthlyCost", 0, 1e9),
        "required_tags": _tags(section),
    }
    return replace(base, **{name: value for name, value in found.items() if value is not None})


def _tags(section: Section) -> tuple[str, ...] | None:
    if section.values.get("requiredTags") == []:
        return ()
    return section.texts("requiredTags", _TAG, "must be a list of different keys of tags")
