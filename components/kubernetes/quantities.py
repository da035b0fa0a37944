"""Quantities as Kubernetes itself writes them.

A cluster keeps ``1000m`` as ``1`` and ``2048Mi`` as ``2Gi``. An object that is declared in another form than
the cluster's is the same, but a refresh shows a difference, and so does each preview after it. Rule: the
canonical form of ``k8s.io/apimachinery/pkg/api/resource.Quantity``. Pure.
"""

from __future__ import annotations

from typing import Final

_DECIMAL: Final = ("m", "", "k", "M", "G")
_BINARY: Final = ("Mi", "Gi", "Ti", "Pi")


def decimal(value: float) -> str:
    """A number, such as cores or requests a second, to a thousandth: ``1.5`` is ``1500m``, 1000 is ``1k``."""
    return _shortest(round(value * 1000), 1000, _DECIMAL)


def binary(text: str) -> str:
    """A size in Mi, Gi or Ti: ``1536Mi`` stays, ``2048Mi`` is ``2Gi``."""
    amount, unit = int(text[:-2]), text[-2:]
    return _shortest(amount, 1024, _BINARY[_BINARY.index(unit) :])


def _shortest(amount: int, base: int, units: tuple[str, ...]) -> str:
    """With the greatest unit of which it is a whole number."""
    if amount == 0:
        return "0"
    largest = len(units) - 1
    at = 0
    while at < largest and amount % base == 0:
        amount, at = amount // base, at + 1
    return f"{amount}{units[at]}"
