"""What a stack costs a month while it stands, by a table of list prices. Pure.

An estimate counts what is charged by time: clusters, machines at the number that a pool starts with,
databases, gateways, load balancers. What is charged by use (requests, traffic, stored bytes) a plan doesn't
know: such types, and those that the table doesn't have, are named as not priced. The numbers are good for
seeing what a change does to the bill, not for paying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from policy.cost_google import COUNTED as GOOGLE
from policy.prices import Prices, as_map


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


def charged(type_: str, prices: Prices) -> str:
    """How a type is charged: ``time``, ``use``, ``free``, or ``unknown``."""
    if type_ in prices.hourly or type_ in prices.monthly or type_ in _COUNTED:
        return "time"
    if type_ in prices.usage:
        return "use"
    names = (name.removesuffix("*") if name.endswith("*") else f"{name}\0" for name in prices.free)
    return "free" if any(f"{type_}\0".startswith(name) for name in names) else "unknown"


def monthly(resources: Iterable[Item], prices: Prices) -> Estimate:
    """The estimate for all of a stack's resources."""
    lines: dict[str, float] = {}
    unpriced: list[str] = []
    by_use: set[str] = set()
    for item in resources:
        name = f"{item.type}::{item.name}"
        match charged(item.type, prices):
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
    scaling = as_map(inputs.get("scalingConfig"))
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
            said = as_map(variant)
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


def _deployment(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    count = as_map(inputs.get("sku")).get("capacity")
    price = prices.instances.get(str(as_map(inputs.get("properties")).get("instanceType")))
    if price is None or not isinstance(count, int | float):
        return None
    return count * price * prices.hours


def _service(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    # A load balancer's price is its cloud's.
    return None if as_map(inputs.get("spec")).get("type") == "LoadBalancer" else 0.0


_COUNTED: Final[Mapping[str, Callable[[Mapping[str, Any], Prices], float | None]]] = {
    **GOOGLE,
    "azure-native:machinelearningservices:OnlineDeployment": _deployment,
    "kubernetes:core/v1:Service": _service,
    "aws:eks/nodeGroup:NodeGroup": _nodes,
    "aws:rds/instance:Instance": _database,
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": _variants,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:ec2/instance:Instance": _instance,
    "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig": _concurrency,
}
