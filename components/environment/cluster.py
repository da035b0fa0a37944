"""What every platform with a Kubernetes cluster says about what runs in it: the same keys for each kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from components.environment.authentication import Authentication, parse_authentication
from components.environment.image import (
    Flavor,
    ImageBuild,
    parse_flavors,
    parse_image,
    parse_uses_gpu,
)
from components.environment.patterns import LABEL, LABEL_RULE
from components.environment.registered import tracking_uri
from components.environment.section import Section
from components.environment.tracking import Access, Tracking, parse_tracking

CLUSTER_KEYS: Final = (
    "alerts",
    "definitions",
    "gateway",
    "image",
    "imageFlavors",
    "imageUsesGpu",
    "keda",
    "monitoring",
    "namespace",
    "prices",
    "prometheus",
    "protectData",
    "registry",
    "tracking",
    "url",
)
UNENCRYPTED: Final = "only over https: tokens and keys would be sent in the clear"
ENCRYPT: Final = "Make platform.url https, with platform.gateway.tlsSecret."
EXISTING: Final = "needs Envoy Gateway as it is installed here: another gateway may not know its policies"
Source = Literal["install", "existing", "none"]
"""Where an add-on comes from: this stack installs it, the cluster has it already, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The Gateway that models are reached through.

    With a `name` it is one that the cluster already has; without, Envoy Gateway is installed.
    """

    name: str | None = None
    namespace: str | None = None
    """Where the Gateway of that name is."""
    tls_secret: str | None = None
    """The TLS Secret of an installed Gateway, in the namespace of the gateway; None: plain HTTP."""
    authentication: Authentication | None = None
    """What an installed Gateway asks of callers, for every model that says nothing itself; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the nodes cost: by it the dashboards tell what a model's pods reserve."""

    cpu: float
    """A core a month of 730 hours."""
    memory: float
    """A GiB a month."""
    gpu: float = 0.0
    """A GPU a month."""
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Who is told of the alerts of an installed Prometheus."""

    webhook_secret: str
    """The Secret, in the namespace `monitoring`, whose key `url` is the address of a webhook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What runs in a cluster around the models."""

    image: str | ImageBuild
    """The model server's image, pinned by its digest, or how the program builds it."""
    registry: str
    """The MLflow tracking URI at which releases are looked up, as the machine that plans reaches it."""
    url: str
    """What callers use, without a path; a model is at `URL/MODEL`."""
    image_uses_gpu: bool = False
    """Whether the image runs models on a GPU: it has onnxruntime-gpu and CUDA, as no image built here has."""
    image_flavors: tuple[Flavor, ...] | None = None
    """What the image serves, and the plan lets through; None: all that the model server serves."""
    namespace: str = "models"
    gateway: Gateway = Gateway()
    tracking: Tracking | None = None
    """None: `registry` is an MLflow that is there already."""
    monitoring: Source = "install"
    """`existing`: the cluster has the Prometheus operator: only what models need of it is declared."""
    keda: Source = "none"
    """KEDA with its HTTP add-on. With it every release is scaled by KEDA, and may go down to no server."""
    prometheus: str | None = None
    """The Prometheus that KEDA asks, as pods reach it; None: the one that is installed."""
    alerts: Alerts | None = None
    """None: the topic of AWS' alarms, if there is one; else alerts show in Alertmanager and Grafana alone."""
    definitions: Literal["install", "existing"] = "install"
    """Who brings the definitions that installed charts need, and upgrades them: `existing` is the cluster's
    admins."""
    prices: Prices | None = None
    """None: the dashboards show no costs."""
    protect_data: bool = False
    """Whether data outlives a mistake: it is protected, and kept when its declaration goes."""

    @property
    def has_prometheus(self) -> bool:
        """Whether there is a Prometheus that KEDA can ask."""
        return self.monitoring == "install" or self.prometheus is not None


def parse_cluster(section: Section, *, has_registry: bool = True) -> Cluster | None:
    """Understand the keys `CLUSTER_KEYS` of a platform; None if a required one is missing or wrong.

    `has_registry`: whether the platform has an image registry of its own, into which an image is built.
    """
    section.require("image", "the model server's image, pinned by its digest, or {build: {base: …}}")
    section.require("registry", "an MLflow tracking URI such as https://mlflow.example.com")
    section.require("url", "what callers use, such as https://models.example.com")
    image = parse_image(section, has_registry=has_registry)
    uses_gpu = parse_uses_gpu(section, image)
    flavors = parse_flavors(section, image)
    registry = tracking_uri(section)
    url = section.matching(
        "url",
        re.compile(r"https?://[a-z0-9]([-.a-z0-9]*[a-z0-9])?"),
        "must be http:// or https:// and a host name, nothing after it",
    )
    namespace = section.matching("namespace", LABEL, LABEL_RULE)
    gateway = _gateway(section, url)
    tracking = parse_tracking(section, has_registry=has_registry)
    monitoring = section.choice("monitoring", ("install", "existing", "none"))
    if tracking and tracking.access:
        _judge_access(section, gateway, url, tracking.access)
    keda = section.choice("keda", ("install", "existing", "none"))
    prometheus = _prometheus(section, monitoring, keda)
    prices = _prices(section, monitoring)
    alerts = _alerts(section, monitoring)
    definitions = section.choice("definitions", ("install", "existing"))
    protect = section.flag("protectData")
    if image is None or registry is None or url is None:
        return None
    return Cluster(
        image=image,
        image_uses_gpu=uses_gpu,
        image_flavors=flavors,
        registry=registry,
        url=url,
        namespace=namespace or "models",
        gateway=gateway,
        tracking=tracking,
        monitoring=monitoring or "install",
        keda=keda or "none",
        prometheus=prometheus,
        alerts=alerts,
        definitions=definitions or "install",
        prices=prices,
        protect_data=protect or False,
    )


def _gateway(platform: Section, url: str | None) -> Gateway:
    secure = url is not None and urlsplit(url).scheme == "https"
    section = platform.section(
        "gateway",
        accepted=("authentication", "name", "namespace", "tlsSecret"),
        example="{name: public, namespace: gateways}",
    )
    if section is None:
        if secure and not platform.has("gateway"):
            platform.problem(
                "gateway",
                "required for an https url: {tlsSecret: NAME}, or {name: …, namespace: …}"
                " of a Gateway that has TLS",
            )
        return Gateway()
    name = section.matching("name", LABEL, LABEL_RULE)
    namespace = section.matching("namespace", LABEL, LABEL_RULE)
    secret = section.matching("tlsSecret", LABEL, LABEL_RULE)
    authentication = parse_authentication(section)
    if section.has("authentication") and url is not None and not secure:
        section.problem("authentication", UNENCRYPTED, ENCRYPT)
    if section.has("name") or section.has("namespace"):
        section.require("name", "the name of the Gateway in that namespace")
        section.require("namespace", "the namespace of the Gateway of that name")
        if section.has("tlsSecret"):
            section.problem(
                "tlsSecret", "belongs to a Gateway that is installed; one that is there has its own"
            )
        if section.has("authentication"):
            section.problem(
                "authentication",
                EXISTING,
                "Leave name and namespace out, or let it check by its own policies.",
            )
    elif secure:
        section.require("tlsSecret", "the name of the TLS Secret for an https url")
    return Gateway(name=name, namespace=namespace, tls_secret=secret, authentication=authentication)


def _prometheus(platform: Section, monitoring: Source | None, keda: Source | None) -> str | None:
    found = platform.matching(
        "prometheus",
        re.compile(r"https?://[a-z0-9]([-.a-z0-9]*[a-z0-9])?(:[0-9]{1,5})?(/[^\s?#]*)?"),
        "must be where pods reach a Prometheus, such as http://prometheus.monitoring.svc:9090",
    )
    if platform.has("prometheus"):
        if (monitoring or "install") == "install":
            platform.problem("prometheus", "belongs to monitoring that is there; what is installed is known")
        elif (keda or "none") == "none":
            platform.problem("prometheus", "only KEDA asks it, and this platform has none: see platform.keda")
    return found


def _alerts(platform: Section, monitoring: Source | None) -> Alerts | None:
    section = platform.section("alerts", accepted=("webhookSecret",), example="{webhookSecret: on-call}")
    if section is None:
        return None
    if (monitoring or "install") != "install":
        platform.problem(
            "alerts",
            "belongs to the Alertmanager that is installed with monitoring: install",
            "Set the receivers of the cluster's own Alertmanager where it comes from.",
        )
    section.require("webhookSecret", "the name of a Secret in the namespace monitoring, with the key url")
    secret = section.matching("webhookSecret", LABEL, LABEL_RULE)
    return Alerts(webhook_secret=secret) if secret else None


def _judge_access(platform: Section, gateway: Gateway, url: str | None, access: Access) -> None:
    section = platform.inner("tracking")
    if gateway.name:
        section.problem(
            "access",
            "needs Envoy Gateway as it is installed here; another gateway checks no tokens by these keys",
            "Leave platform.gateway.name out, or publish MLflow yourself and name it as platform.registry.",
        )
    if url and urlsplit(url).hostname == access.host:
        section.inner("access").problem("host", "must be another host than that of platform.url")


def _prices(platform: Section, monitoring: Source | None) -> Prices | None:
    section = platform.section(
        "prices", accepted=("cpu", "memory", "gpu", "currency"), example="{cpu: 25, memory: 3.4, gpu: 600}"
    )
    if section is None:
        return None
    if monitoring == "none":
        platform.problem("prices", "only dashboards show them, and without monitoring there are none")
    section.require("cpu", "the price of a core a month")
    section.require("memory", "the price of a GiB of memory a month")
    cpu = section.number("cpu", 0, 10_000)
    memory = section.number("memory", 0, 10_000)
    gpu = section.number("gpu", 0, 100_000)
    currency = section.matching("currency", re.compile("[A-Z]{3}"), "must be a currency such as EUR")
    if cpu is None or memory is None:
        return None
    return Prices(cpu=cpu, memory=memory, gpu=gpu or 0.0, currency=currency or "USD")
