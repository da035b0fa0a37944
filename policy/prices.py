"""The table of list prices: what `policy/prices.yaml`, or a copy of it, says. `load` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

EMBEDDED = Path(__file__).with_name("prices.yaml")
_NUMBERS = ("hourly", "monthly", "instances", "storage")
_LISTS = ("usage", "free", "sources")
_KEYS = {*_NUMBERS, *_LISTS, "date", "regions", "currency", "hoursPerMonth"}


class PriceError(Exception):
    """A price table that can't be used. The text says where and what is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A price table."""

    date: str
    regions: Mapping[str, str]
    """By cloud, as types of resources begin (``aws``, ``gcp``): the region that its prices are of."""
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
    said = as_map(content)
    if unknown := sorted(set(said) - _KEYS):
        raise PriceError(f"{where}: {', '.join(unknown)}: unknown; accepted: {', '.join(sorted(_KEYS))}.")
    if missing := sorted(_KEYS - set(said)):
        raise PriceError(f"{where}: {', '.join(missing)}: missing. Start from a copy of {EMBEDDED.name}.")
    for key in _NUMBERS:
        for name, price in as_map(said[key]).items():
            if not _is_price(price):
                raise PriceError(f"{where}: {key}.{name}: {price!r} is no price: a number, 0 or more.")
    if not as_map(said["regions"]):
        raise PriceError(f"{where}: regions: what the prices are of is needed, such as {{aws: us-east-1}}.")
    if not _is_price(said["hoursPerMonth"]):
        raise PriceError(f"{where}: hoursPerMonth: {said['hoursPerMonth']!r} is no number, 0 or more.")
    for key in _LISTS:
        if not isinstance(said[key], list):
            raise PriceError(f"{where}: {key}: a list of texts is needed.")
    return Prices(
        date=str(said["date"]),
        regions={str(cloud): str(region) for cloud, region in as_map(said["regions"]).items()},
        currency=str(said["currency"]),
        hours=float(said["hoursPerMonth"]),
        hourly=as_map(said["hourly"]),
        monthly=as_map(said["monthly"]),
        instances=as_map(said["instances"]),
        storage=as_map(said["storage"]),
        usage=tuple(map(str, said["usage"])),
        free=tuple(map(str, said["free"])),
        sources=tuple(map(str, said["sources"])),
    )


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def as_map(value: object) -> Mapping[str, Any]:
    """A map as it is, anything else as an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
