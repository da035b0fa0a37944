"""What a change does to the bill: a month before and after, by policy/cost.py. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from delivery.review.events import PARTS, Step
from policy.cost import Estimate, Item, Prices, monthly


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A month before and after a change."""

    before: Estimate
    after: Estimate
    prices: Prices
    unpriced: tuple[str, ...]
    """What changes and has no price, or is charged by use: ``type::name``."""

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
    for step in steps:
        if step.op in PARTS or not step.custom:
            continue
        if step.old:
            before.append(Item(type=step.type, name=step.name, inputs=step.old.inputs))
        if step.new:
            after.append(Item(type=step.type, name=step.name, inputs=step.new.inputs))
        if step.op != "same":
            touched.add(f"{step.type}::{step.name}")
    was, now = monthly(before, prices), monthly(after, prices)
    unpriced = set(was.unpriced) | set(now.unpriced)
    by_use = {name for name in touched if prices.charged(name.partition("::")[0]) == "use"}
    return Delta(before=was, after=now, prices=prices, unpriced=tuple(sorted((touched & unpriced) | by_use)))
