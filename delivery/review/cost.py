"""What a change does to the bill: a month before and after, by policy/cost.py. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from delivery.review.events import PARTS, Step
from policy.cost import Estimate, Item, charged, monthly
from policy.prices import Prices

_PROVIDER = "pulumi:providers:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A month before and after a change."""

    before: Estimate
    after: Estimate
    prices: Prices
    unpriced: tuple[str, ...]
    """What changes and has no price, or is charged by use: ``type::name``."""
    regions: tuple[str, ...]
    """The regions that the prices are of, of each cloud of which the stack has something."""
    elsewhere: tuple[str, ...]
    """Where the stack is in another region than its prices are of: ``gcp is in europe-west4``."""
    missing: Mapping[str, int]
    """What doesn't change, should have a price and has none: types, and how many of each. No total has it."""

    @property
    def change(self) -> float:
        return self.after.total - self.before.total

    @property
    def lines(self) -> tuple[tuple[str, float, float], ...]:
        """What costs something else than before: name, before, after; the largest change first."""
        names = self.before.lines.keys() | self.after.lines.keys()
        found = [(n, self.before.lines.get(n, 0.0), self.after.lines.get(n, 0.0)) for n in names]
        return tuple(sorted((f for f in found if f[1] != f[2]), key=lambda f: (-abs(f[2] - f[1]), f[0])))


def delta(steps: Iterable[Step], prices: Prices) -> Delta:
    """The estimate of the stack before and after."""
    before: list[Item] = []
    after: list[Item] = []
    touched: set[str] = set()
    places: dict[str, str] = {}
    for step in steps:
        if step.op in PARTS or not step.custom:
            continue
        if step.old:
            before.append(Item(type=step.type, name=step.name, inputs=step.old.inputs))
        if step.new:
            after.append(Item(type=step.type, name=step.name, inputs=step.new.inputs))
        if step.type.startswith(_PROVIDER) and (state := step.new or step.old):
            places |= _place(step.type.removeprefix(_PROVIDER), state.inputs)
        if step.op != "same":
            touched.add(f"{step.type}::{step.name}")
    was, now = monthly(before, prices), monthly(after, prices)
    unpriced = set(was.unpriced) | set(now.unpriced)
    by_use = {name for name in touched if charged(name.partition("::")[0], prices) == "use"}
    clouds = sorted({item.type.partition(":")[0] for item in (*before, *after)})
    of = {cloud: prices.regions[cloud] for cloud in clouds if cloud in prices.regions}
    return Delta(
        before=was,
        after=now,
        prices=prices,
        unpriced=tuple(sorted((touched & unpriced) | by_use)),
        regions=tuple(of.values()) or tuple(prices.regions.values()),
        elsewhere=tuple(
            f"{cloud} is in {places[cloud]}"
            for cloud, region in of.items()
            if places.get(cloud, region) != region
        ),
        missing=Counter(name.partition("::")[0] for name in now.unpriced if name not in touched),
    )


def _place(cloud: str, inputs: Mapping[str, Any]) -> Mapping[str, str]:
    """Where a provider is, if it says so and it is known."""
    found = inputs.get("region") or inputs.get("location")
    return {cloud: found} if isinstance(found, str) else {}
