"""The pools of an EKS cluster: which instance types may be in them, and how many."""

from __future__ import annotations

import re
from typing import Final

from components.environment.aws import Nodes, Pool
from components.environment.section import Section

_INSTANCE: Final = re.compile(
    r"[a-z]{1,3}[0-9]{1,2}[a-z]{0,4}(-flex)?\.(nano|micro|small|medium|large|([2-9]|[1-9][0-9])?xlarge|metal)"
)
# Their processors are Arm; the model server's image is for x86-64.
_ARM: Final = re.compile(r"(a1|t4g|g5g|[a-z]{1,3}[0-9]{1,2}g[a-z]{0,3})\..*")
_GPU: Final = re.compile(r"(g[4-9][a-z]{0,3}|gr[6-9][a-z]{0,3}|p[3-9][a-z]{0,3})\..*")
_POOL: Final = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
_MOST_NODES: Final = 450  # EKS' quota for one group


def parse_nodes(platform: Section, zones: int) -> Nodes:
    """Understand the key `nodes`: the pools of the cluster, those with GPUs by their names.

    The CPU pool has a node group in each of the `zones`.
    """
    section = platform.section(
        "nodes", accepted=("cpu", "gpu"), example="{cpu: {instanceTypes: [m7i.large]}}"
    )
    if section is None:
        return Nodes()
    default = Nodes()
    cpu = _pool(section, "cpu", groups=zones) if section.has("cpu") else None
    gpus: dict[str, Pool] = {}
    names = section.names("gpu")
    pools = section.section("gpu", accepted=names, example="{l4: {instanceTypes: [g6.xlarge], max: 2}}")
    for name in names if pools else ():
        if pools and not _POOL.fullmatch(name):
            pools.problem(name, "a pool's name has up to 30 lower-case letters, digits and hyphens")
        elif pools and (pool := _pool(pools, name, groups=1, gpu=True)):
            gpus[name] = pool
    return Nodes(cpu=cpu or default.cpu, gpu=gpus)


def _pool(nodes: Section, key: str, *, groups: int, gpu: bool = False) -> Pool | None:
    """Understand a pool of so many node groups, none of which may be of no node at the most."""
    accepted = ("diskGb", "instanceTypes", "max", "min", "spot")
    section = nodes.section(key, accepted=accepted, example="{instanceTypes: [m7i.large], min: 2, max: 6}")
    if section is None:
        return None
    section.require("instanceTypes", f"a list such as [{'g6.xlarge' if gpu else 'm7i.large'}]")
    types = section.texts(
        "instanceTypes", _INSTANCE, "must be a list of different EC2 instance types such as m7i.large"
    )
    for name in types or ():
        if _ARM.fullmatch(name):
            section.problem("instanceTypes", f"has {name}, an Arm instance; the images are for x86-64")
        elif bool(_GPU.fullmatch(name)) != gpu:
            what = "no GPU that is known here" if gpu else "a GPU; it belongs under nodes.gpu"
            section.problem("instanceTypes", f"has {name}, which has {what}")
    # The add-ons run on the CPU pool, so it is never empty.
    least = section.whole("min", 0 if gpu else 1, _MOST_NODES)
    most = section.whole("max", max(groups, 1), _MOST_NODES)
    low = (0 if gpu else 2) if least is None else least
    high = max(low, groups, 1) if most is None else most
    if most is not None and most < low:
        section.problem("max", f"must be min, {low}, or more")
    spot = section.flag("spot")
    disk = section.whole("diskGb", 20, 2000)
    if types is None:
        return None
    return Pool(
        instance_types=types,
        min=low,
        max=high,
        spot=spot or False,
        disk_gb=disk or (100 if gpu else 50),
    )
