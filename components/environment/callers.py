"""What a model asks of its callers, checked against its runtime and its platform."""

from __future__ import annotations

from components.environment.aws import AwsPlatform
from components.environment.capabilities import CAPABILITIES
from components.environment.cluster import ENCRYPT, EXISTING, UNENCRYPTED
from components.environment.gcp import GcpPlatform
from components.environment.kubernetes import KubernetesPlatform
from components.environment.platforms import Platform
from components.environment.section import Section
from components.environment.values import Runtime


def parse_rate_limit(model: Section) -> int | None:
    """Understand the key `rateLimit`; None if it is absent or wrong."""
    section = model.section("rateLimit", accepted=("requestsPerSecond",), example="{requestsPerSecond: 100}")
    if section is None:
        return None
    section.require("requestsPerSecond", "how many requests a second are answered at most")
    return section.whole("requestsPerSecond", 1, 100_000)


def judge_callers(runtime: Runtime, platform: Platform | None, model: Section) -> None:
    """Note what the runtime or the platform's gateway can't ask of callers. A borrowed platform's gateway is
    known to its own stack alone: the plan asks that."""
    able = CAPABILITIES[runtime]
    asked = {"authentication": able.authentication, "rateLimit": able.rate_limit}
    for key, reason in asked.items():
        if model.has(key) and reason:
            model.problem(key, f"not on the runtime {runtime}: {reason}")
    if runtime != "kubernetes" or not isinstance(platform, KubernetesPlatform | AwsPlatform | GcpPlatform):
        return
    cluster = platform.cluster
    for key in asked:
        if model.has(key) and cluster.gateway.name:
            model.problem(
                key, EXISTING, "Leave platform.gateway.name out, or let that Gateway check by its own."
            )
    shown = model.values.get("authentication")
    if shown not in (None, "none") and cluster.url.startswith("http://"):
        model.problem("authentication", UNENCRYPTED, ENCRYPT)
