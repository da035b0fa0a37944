"""Ranges of IPv4 addresses, as the platforms that make networks take them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from components.environment.section import Section

_PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918."""
_SHARED: Final = "100.64.0.0/10"
"""RFC 6598: carriers' addresses, which many networks use as private ones."""


def private_range(
    section: Section, key: str, shortest: int, longest: int, *, shared: bool = True
) -> str | None:
    """Take a private IPv4 range in CIDR notation, its prefix from /`shortest` to /`longest`.

    `shared`: whether one in 100.64.0.0/10 is accepted too.
    """
    if key not in section.values:
        return None
    value = section.values[key]
    within = "" if shared else f" in {', '.join(_PRIVATE[:-1])} or {_PRIVATE[-1]}"
    accepted = f"must be a private IPv4 range such as 10.20.0.0/16, from /{shortest} to /{longest}{within}"
    if not isinstance(value, str) or "/" not in value:
        section.problem(key, accepted)
        return None
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        section.problem(key, accepted, _hint(value, shortest, longest))
        return None
    if not shortest <= network.prefixlen <= longest or not _is_private(network, shared=shared):
        section.problem(key, accepted)
        return None
    return value


def public_ranges(section: Section, key: str) -> tuple[str, ...]:
    """Take a list of the ranges from which something is reached over the internet, none wider than /16."""
    ranges = section.texts(
        key,
        re.compile(r"[0-9.]{7,15}/[0-9]{1,2}"),
        "must be a list of different IPv4 ranges such as 203.0.113.7/32",
    )
    for value in ranges or ():
        try:
            network = ipaddress.IPv4Network(value)
        except ValueError:
            section.problem(key, f"has {value}, which is not an IPv4 range such as 203.0.113.7/32")
            continue
        if network.prefixlen < 16:
            section.problem(key, f"has {value}: /16 is the widest range that is accepted")
    return ranges or ()


def is_private(value: str) -> bool:
    """Say whether a range is one of those that the internet doesn't route."""
    return _is_private(ipaddress.IPv4Network(value))


def overlap(one: str, other: str) -> bool:
    """Say whether two ranges share an address."""
    return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))


def _hint(value: str, shortest: int, longest: int) -> str | None:
    """Offer the range that an address with a prefix is in, where that one is accepted."""
    try:
        network = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        return None
    near = shortest <= network.prefixlen <= longest and _is_private(network)
    return f"Perhaps {network}?" if near else None


def _is_private(network: ipaddress.IPv4Network, *, shared: bool = True) -> bool:
    blocks = (*_PRIVATE, _SHARED) if shared else _PRIVATE
    return any(network.subnet_of(ipaddress.IPv4Network(block)) for block in blocks)
