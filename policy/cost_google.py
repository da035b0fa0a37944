"""What resources of Google Cloud cost a month, where that depends on what they are made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from policy.prices import Prices, as_map


def _pool(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    """The machines and disks that a pool of GKE has at least. Spot machines count as others."""
    nodes = as_map(inputs.get("nodeConfig"))
    count = as_map(inputs.get("autoscaling")).get("totalMinNodeCount")
    if count is None:
        # These two are for each zone.
        zones: object = inputs.get("nodeLocations")
        each = as_map(inputs.get("autoscaling")).get("minNodeCount", inputs.get("nodeCount"))
        if not isinstance(each, int | float) or not isinstance(zones, list):
            return None
        count = each * len(cast("list[object]", zones))
    if not isinstance(count, int | float):
        return None
    if count == 0:
        return 0.0
    machine = prices.instances.get(str(nodes.get("machineType")))
    # What GKE takes where nothing is said.
    disk = prices.storage.get(str(nodes.get("diskType") or "pd-balanced"))
    size = nodes.get("diskSizeGb", 100)
    if machine is None or disk is None or not isinstance(size, int | float):
        return None
    return count * (machine * prices.hours + size * disk)


def _database(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    settings = as_map(inputs.get("settings"))
    tier, size = str(settings.get("tier")), settings.get("diskSize", 10)
    storage = prices.storage.get(
        {"PD_SSD": "cloud-sql-ssd"}.get(str(settings.get("diskType") or "PD_SSD"), "")
    )
    machine = prices.instances.get(tier)
    if (custom := re.fullmatch(r"db-custom-([0-9]+)-([0-9]+)", tier)) and settings.get(
        "edition"
    ) != "ENTERPRISE_PLUS":
        cpu, memory = prices.hourly.get("cloudSqlCpu"), prices.hourly.get("cloudSqlGib")
        if cpu is not None and memory is not None:
            machine = int(custom[1]) * cpu + int(custom[2]) / 1024 * memory
    if machine is None or storage is None or not isinstance(size, int | float):
        return None
    copies = 2 if settings.get("availabilityType") == "REGIONAL" else 1
    return copies * (machine * prices.hours + size * storage)


def _service(inputs: Mapping[str, Any], prices: Prices) -> float | None:
    """The instances that a service of Cloud Run keeps warm, as if nobody asked them anything."""
    template = as_map(inputs.get("template"))
    scalings = (as_map(inputs.get("scaling")), as_map(template.get("scaling")))
    counts = [scaling.get("minInstanceCount") or 0 for scaling in scalings]
    if not any(counts):
        return 0.0
    containers: object = template.get("containers")
    if not isinstance(containers, list) or not all(isinstance(count, int | float) for count in counts):
        return None
    hourly = 0.0
    for container in cast("Sequence[object]", containers):
        amount = _container(as_map(as_map(container).get("resources")), prices)
        if amount is None:
            return None
        hourly += amount
    return max(counts) * hourly * prices.hours


def _container(resources: Mapping[str, Any], prices: Prices) -> float | None:
    """What a warm container costs an hour."""
    limits = as_map(resources.get("limits"))
    cpu = _cores(str(limits.get("cpu", "1")))
    memory = _gibibytes(str(limits.get("memory", "512Mi")))
    gpus = str(limits.get("nvidia.com/gpu", "0"))
    # Without `cpuIdle` its cores are there, and paid for, between requests too.
    kind = "Always" if resources.get("cpuIdle") is False else "Idle"
    names = (f"cloudRun{kind}Cpu", f"cloudRun{kind}Gib", "cloudRunGpu")
    per_cpu, per_gib, per_gpu = (prices.hourly.get(name) for name in names)
    if None in (cpu, memory, per_cpu, per_gib, per_gpu) or not gpus.isdigit():
        return None
    numbers = cast("tuple[float, ...]", (cpu, memory, per_cpu, per_gib, per_gpu))
    return numbers[0] * numbers[2] + numbers[1] * numbers[3] + int(gpus) * numbers[4]


def _cores(text: str) -> float | None:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m?)", text)
    return float(found[1]) / (1000 if found[2] else 1) if found else None


def _gibibytes(text: str) -> float | None:
    found = re.fullmatch(r"([0-9]+)(Mi|Gi)", text)
    return int(found[1]) / (1024 if found[2] == "Mi" else 1) if found else None


COUNTED: Final[Mapping[str, Callable[[Mapping[str, Any], Prices], float | None]]] = {
    "gcp:cloudrunv2/service:Service": _service,
    "gcp:container/nodePool:NodePool": _pool,
    "gcp:sql/databaseInstance:DatabaseInstance": _database,
}
