"""What a stack costs a month while it stands, by an embedded table of list prices. Pure, but for `load`.

An estimate counts what is charged by time: clusters, machines at the number that a pool starts with,
databases, gateways, load balancers. What is charged by use (requests, traffic, stored bytes) a plan doesn't
know: such types, and those that the table doesn't have, are named as not priced. The numbers are good for
seeing what a change does to the bill, not for paying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

EMBEDDED = Path(__file__).with_name("prices.yaml")
_NUMBERS = ("hourly", "monthly", "instances", "storage")
_LISTS = ("usage", "free", "sources")
_KEYS = {*_NUMBERS, *_LISTS, "date", "region", "currency", "hoursPerMonth"}


class PriceError(Exception):
    """A price table that can't be used. The text says where and what is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A price table."""

    date: str
    region: str
    currency: str
    hours: float
    """Hours that a month is counted as."""
    hourly: Mapping[str, float]
    monthly: Mapping[str, float]
    instances: Mapping[str, float]
    storage: Mapping[str, float]
    usage: tuple[str, ...]
    free: tuple[str, ...]
    sources: tuple[str, ...]

    def charged(self, type_: str) -> str:
        """How a type is charged: ``time``, ``use``, ``free``, or ``unknown``."""
        if type_ in self.hourly or type_ in self.monthly or type_ in _COUNTED:
            return "time"
        if type_ in self.usage:
            return "use"
        names = (name.removesuffix("*") if name.endswith("*") else f"{name}\0" for name in self.free)
        return "free" if any(f"{type_}\0".startswith(name) for name in names) else "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A resource to be priced."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What resources cost a month."""

    lines: Mapping[str, float] = field(default_factory=dict[str, float])
    """``type::name`` to dollars a month, for each that has a price."""
    unpriced: tuple[str, ...] = ()
    """``type::name`` of what should have a price and has none: its type, instance or size isn't known."""
    by_use: tuple[str, ...] = ()
    """Types that are charged by use."""

    @property
    def total(self) -> float:
        return sum(self.lines.values())


def monthly(resources: Iterable[Item], prices: Prices) -> Estimate:
    """The estimate for all of a stack's resources."""
    lines: dict[str, float] = {}
    unpriced: list[str] = []
    by_use: set[str] = set()
    for item in resources:
        name = f"{item.type}::{item.name}"
        match prices.charged(item.type):
            case "time":
                amount = _amount(item, prices)
                if amount is None:
                    unpriced.append(name)
                else:
                    lines[name] = lines.get(name, 0) + amount
            case "use":
                by_use.add(item.type)
            case "unknown":
                unpriced.append(name)
            case _:
                pass
    return Estimate(lines=lines, unpriced=tuple(sorted(set(unpriced))), by_use=tuple(sorted(by_use)))


def _amount(item: Item, prices: Prices) -> float | None:
    if count := _COUNTED.get(item.type):
        return count(item.inputs, prices)
    if item.type in prices.monthly:
        return prices.monthly[item.type]
    return prices.hourly[item.type] * prices.hours


def _nodes(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    scaling = _map(inputs.get("scalingConfig"))
    types = inputs.get("instanceTypes")
    count = scaling.get("desiredSize", scaling.get("minSize"))
    if not isinstance(count, int | float):
        return None
    if count == 0:
        return 0.0
    first = cast("list[object]", types)[0] if isinstance(types, list) and types else None
    price = prices.instances.get(str(first))
    return None if price is None else count * price * prices.hours


def _database(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    price = prices.instances.get(str(inputs.get("instanceClass")))
    size, kind = inputs.get("allocatedStorage"), str(inputs.get("storageType") or "gp2")
    if price is None or not isinstance(size, int | float) or kind not in prices.storage:
        return None
    copies = 2 if inputs.get("multiAz") is True else 1
    return copies * (price * prices.hours + size * prices.storage[kind])


def _variants(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    total = 0.0
    for key in ("productionVariants", "shadowProductionVariants"):
        variants: object = inputs.get(key)
        if variants is not None and not isinstance(variants, list):
            return None
        for variant in cast("list[object]", variants or []):
            said = _map(variant)
            if "serverlessConfig" in said:
                continue
            price = prices.instances.get(str(said.get("instanceType")))
            count = said.get("initialInstanceCount", 1)
            if price is None or not isinstance(count, int | float):
                return None
            total += count * price * prices.hours
    return total


def _endpoint(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    if inputs.get("vpcEndpointType") != "Interface":
        return 0.0
    subnets, price = inputs.get("subnetIds"), prices.hourly.get("vpcEndpointZone")
    if not isinstance(subnets, list) or price is None:
        return None
    return len(cast("list[object]", subnets)) * price * prices.hours


def _instance(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    price = prices.instances.get(str(inputs.get("instanceType")))
    return None if price is None else price * prices.hours


def _concurrency(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    # The function's memory is another resource's property.
    return 0.0 if inputs.get("provisionedConcurrentExecutions") == 0 else None


_COUNTED: dict[str, Callable[[Mapping[str, Any], Prices], float | None]] = {
    "aws:eks/nodeGroup:NodeGroup": _nodes,
    "aws:rds/instance:Instance": _database,
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": _variants,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:ec2/instance:Instance": _instance,
    "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig": _concurrency,
}


@cache
def load(file: Path = EMBEDDED) -> Prices:
    """Read a price table. Raises PriceError, which names the file and the key."""
    try:
        content: object = yaml.safe_load(file.read_text())
    except OSError as error:
        raise PriceError(f"{file} can't be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PriceError(f"{file} is no YAML: {str(error).splitlines()[0]}") from None
    return parse(content, str(file))


def parse(content: object, where: str) -> Prices:
    """A price table from what a file says. Raises PriceError."""
    said = _map(content)
    if unknown := sorted(set(said) - _KEYS):
        raise PriceError(f"{where}: {', '.join(unknown)}: unknown; accepted: {', '.join(sorted(_KEYS))}.")
    if missing := sorted(_KEYS - set(said)):
        raise PriceError(f"{where}: {', '.join(missing)}: missing. Start from a copy of {EMBEDDED.name}.")
    for key in _NUMBERS:
        for name, price in _map(said[key]).items():
            if not _is_price(price):
                raise PriceError(f"{where}: {key}.{name}: {price!r} is no price: a number, 0 or more.")
    if not _is_price(said["hoursPerMonth"]):
        raise PriceError(f"{where}: hoursPerMonth: {said['hoursPerMonth']!r} is no number, 0 or more.")
    for key in _LISTS:
        if not isinstance(said[key], list):
            raise PriceError(f"{where}: {key}: a list of texts is needed.")
    return Prices(
        date=str(said["date"]),
        region=str(said["region"]),
        currency=str(said["currency"]),
        hours=float(said["hoursPerMonth"]),
        hourly=_map(said["hourly"]),
        monthly=_map(said["monthly"]),
        instances=_map(said["instances"]),
        storage=_map(said["storage"]),
        usage=tuple(map(str, said["usage"])),
        free=tuple(map(str, said["free"])),
        sources=tuple(map(str, said["sources"])),
    )


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _map(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
