"""Hypothesis strategies: environments, and the configurations that say them."""

import dataclasses
from functools import cache
from typing import Any, Literal

from hypothesis import strategies as st

from components.environment import (
    CAPABILITIES,
    FLAVORS,
    Access,
    ApiKeys,
    Architecture,
    Authentication,
    Autoscaling,
    BorrowedPlatform,
    Build,
    Canary,
    Cluster,
    Environment,
    Gateway,
    ImageBuild,
    Jwt,
    KubernetesPlatform,
    LocalPlatform,
    Model,
    Platform,
    Ports,
    Prices,
    ReleaseRef,
    Resources,
    Runtime,
    Tracking,
)

# A strategy that is made anew for a draw is validated anew, which costs more than the draw.
_MOST = 2**31 - 1
versions = st.integers(1, _MOST)
weights = st.integers(0, 100)
yes_or_no = st.booleans()
installs = st.sampled_from(["install", "existing", "none"])
three_ports = st.lists(st.integers(1024, 65535), min_size=3, max_size=3, unique=True)
names = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
# What PyYAML writes bare, 08 or 1e5, is a number to Pulumi.
owners = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=100).filter(
    lambda text: text[0] not in "0123456789"
)

registered_names = st.from_regex(r"[A-Za-z][A-Za-z_.]{0,30}", fullmatch=True)


@st.composite
def ports(draw: st.DrawFn) -> Ports:
    gateway, tracking, prometheus = draw(three_ports)
    return Ports(gateway=gateway, tracking=tracking, prometheus=prometheus)


labels = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
images = st.from_regex(r"[a-z]{1,9}\.example/[a-z]{1,9}@sha256:[0-9a-f]{64}", fullmatch=True)
architectures: list[tuple[Architecture, ...]] = [
    *(("linux/amd64",), ("linux/arm64",), ("linux/amd64", "linux/arm64")),
]
builds = st.builds(
    ImageBuild,
    base=images,
    flavors=st.sampled_from([("onnx",), ("sklearn",), FLAVORS]),
    sagemaker=st.booleans(),
    adapter=st.none() | images,
    platforms=st.sampled_from(architectures),
    source=st.just("") | st.from_regex(r"https://[a-z]{1,9}\.example/[a-z]{1,9}", fullmatch=True),
    repository=st.from_regex(r"[a-z]{1,9}\.example(:[0-9]{2,5})?/[a-z]{1,9}", fullmatch=True),
)


amounts = st.integers(0, 10_000_000).map(lambda thousandths: thousandths / 1000)
costs = st.builds(
    Prices, cpu=amounts, memory=amounts, gpu=amounts, currency=st.from_regex("[A-Z]{3}", fullmatch=True)
)


def jwts(claims: int) -> st.SearchStrategy[Jwt]:
    """Tokens that must have at least as many claims."""
    return st.builds(
        Jwt,
        issuer=st.from_regex(r"https://[a-z]{1,9}\.example(/[a-z]{0,9})?", fullmatch=True),
        jwks=st.from_regex(r"https://[a-z]{1,9}\.example/keys", fullmatch=True),
        audience=owners,
        claims=st.dictionaries(
            st.from_regex("[a-z_]{1,20}", fullmatch=True), owners, min_size=claims, max_size=3
        ),
    )


accesses = st.builds(
    Access,
    host=st.from_regex(r"mlflow\.[a-z]{1,9}\.example", fullmatch=True),
    tls_secret=labels,
    jwt=jwts(1),
)
authentications: st.SearchStrategy[Authentication] = jwts(0) | st.builds(ApiKeys, secret=labels)
maybe_authentications = st.none() | authentications
some_authentications = st.sampled_from([None, "none"]) | authentications


repositories = st.from_regex(r"[a-z]{1,9}\.example(:[0-9]{2,5})?/[a-z]{1,9}", fullmatch=True)
mlflows = st.builds(Build, base=images, repository=repositories)


def trackings(access: st.SearchStrategy[Access | None]) -> st.SearchStrategy[Tracking]:
    return st.builds(Tracking, image=images | mlflows, storage=st.sampled_from(["1Gi", "5Ti"]), access=access)


maybe_amounts = st.none() | costs
maybe_addresses = st.none() | st.from_regex(r"http://[a-z]{1,9}\.[a-z]{1,9}\.svc(:9090)?", fullmatch=True)
hosts = st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True)
registries = st.from_regex(r"https?://[a-z]{1,9}\.example(/[a-z]{0,9})?", fullmatch=True)
images_or_builds = images | builds
served = st.sampled_from([("onnx",), FLAVORS])
tracked = st.none() | trackings(st.none())
tracked_with_access = st.none() | trackings(st.none() | accesses)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    monitoring, keda = draw(installs), draw(installs)
    asked = monitoring != "install" and keda != "none"
    secure, host = draw(yes_or_no), draw(hosts)
    existing = Gateway(name=draw(labels), namespace=draw(labels))
    asked_of_callers = draw(maybe_authentications) if secure else None
    installed = Gateway(tls_secret=draw(labels) if secure else None, authentication=asked_of_callers)
    gateway = existing if draw(yes_or_no) else installed
    image = draw(images_or_builds)
    serves = image.flavors if isinstance(image, ImageBuild) else draw(served)
    return Cluster(
        image=image,
        image_flavors=None if serves == FLAVORS else serves,
        image_uses_gpu=isinstance(image, str) and draw(yes_or_no),
        registry=draw(registries),
        url=f"{'https' if secure else 'http'}://{host}",
        namespace=draw(labels),
        gateway=gateway,
        tracking=draw(tracked if gateway.name else tracked_with_access),
        monitoring=monitoring,
        keda=keda,
        prometheus=draw(maybe_addresses) if asked else None,
        prices=draw(maybe_amounts) if monitoring != "none" else None,
        protect_data=draw(yes_or_no),
    )


kubernetes_platforms = st.builds(
    KubernetesPlatform,
    context=labels,
    cluster=clusters(),
    gpu=st.sampled_from(["install", "existing", "none"]),
    metrics_server=st.sampled_from(["install", "existing"]),
)
borrowed_platforms = st.builds(
    BorrowedPlatform, stack=st.just("org/model-delivery/prod"), keda=st.sampled_from(["existing", "none"])
)
local_platforms = st.builds(LocalPlatform, ports=ports())
platforms = local_platforms | kubernetes_platforms | borrowed_platforms


@st.composite
def canaries(draw: st.DrawFn, stable: int, shadows: bool = True) -> Canary:
    version = draw(versions)
    shadow = shadows and draw(yes_or_no)
    return Canary(
        version=version if version != stable else stable % _MOST + 1,
        shadow=shadow,
        weight=0 if shadow else draw(weights),
    )


maybe_requests = st.none() | st.integers(1, 100_000)
maybe_utilizations = st.none() | st.integers(1, 100)


@st.composite
def scalings(
    draw: st.DrawFn, runtime: Runtime, platform: Platform, has: Resources, canary: Canary | None
) -> Autoscaling:
    able = CAPABILITIES[runtime]
    pods = runtime == "kubernetes"
    asleep = not pods or (platform.has_keda and not (canary and canary.shadow))
    least = draw(st.integers(able.fewest if asleep else max(able.fewest, 1), 16))
    counted = not able.requests_per_second and (
        not pods or not platform.has_keda or platform.has_prometheus or least == 0
    )
    seen = not able.gpu_utilization and has.gpu and platform.has_keda and platform.has_prometheus
    return Autoscaling(
        min=least,
        max=least if able.scaling else draw(st.integers(max(least, 1), able.most)),
        requests_per_second=draw(maybe_requests) if counted else None,
        gpu_utilization=draw(maybe_utilizations) if seen else None,
    )


processors = st.integers(100, 256_000)
memories = st.builds("{}{}".format, st.integers(1, 4096), st.sampled_from(["Mi", "Gi"]))
gpu_counts = st.integers(0, 16)


@st.composite
def resources(draw: st.DrawFn, runtime: Runtime, gpus: bool) -> Resources:
    able = CAPABILITIES[runtime]
    if able.resources:
        return Resources()
    return Resources(
        cpu=draw(processors) / 1000,
        memory=draw(memories),
        gpu=draw(gpu_counts) if gpus and not able.gpu else 0,
    )


maybe_owners = st.none() | owners
batchings = st.sampled_from(["auto", "on", "off"])
risk_classes = st.sampled_from([None, "minimal", "limited", "high"])
maybe_registered = st.none() | registered_names


@st.composite
def models(draw: st.DrawFn, name: str, platform: Platform) -> Model:
    stable = draw(versions)
    runtime = draw(st.sampled_from(platform.runtimes))
    able = CAPABILITIES[runtime]
    canary = draw(canaries(stable, shadows=not able.shadow)) if draw(yes_or_no) else None
    has = draw(resources(runtime, platform.gpus and platform.uses_gpus))
    registered = draw(maybe_registered)
    counts, checks = runtime == "kubernetes", runtime == "kubernetes"
    if isinstance(platform, KubernetesPlatform):
        counts = not platform.cluster.gateway.name
        checks = counts and platform.cluster.url.startswith("https://")
    return Model(
        name=name,
        runtime=runtime,
        stable=ReleaseRef(version=stable),
        canary=canary,
        autoscaling=draw(scalings(runtime, platform, has, canary)),
        resources=has,
        owner=draw(maybe_owners),
        batching=draw(batchings),
        timeout=draw(st.none() | st.integers(able.shortest, able.longest)),
        risk_class=draw(risk_classes),
        authentication=draw(some_authentications) if checks else None,
        rate_limit=draw(maybe_requests) if counts else None,
        registered_model=None if registered == name else registered,
    )


@cache
def several_names(at_least: int) -> st.SearchStrategy[set[str]]:
    return st.sets(names, min_size=at_least, max_size=4)


@st.composite
def environments(
    draw: st.DrawFn, at_least: int = 0, on: st.SearchStrategy[Platform] = platforms
) -> Environment:
    chosen = sorted(draw(several_names(at_least)))
    platform = draw(on)
    return Environment(platform=platform, models=tuple(draw(models(name, platform)) for name in chosen))


def configuration(environment: Environment) -> dict[str, Any]:
    """Write an environment the way a person would, every key of it."""
    return {
        "platform": _platform(environment.platform),
        "models": {model.name: _model(model) for model in environment.models},
    }


def _platform(platform: Platform) -> dict[str, Any]:
    match platform:
        case LocalPlatform():
            written = platform.ports
            ports = {
                "gateway": written.gateway,
                "tracking": written.tracking,
                "prometheus": written.prometheus,
            }
            return {"kind": platform.kind, "ports": ports}
        case BorrowedPlatform():
            return {"stack": platform.stack, "keda": platform.keda}
        case KubernetesPlatform():
            own = {"context": platform.context, "gpu": platform.gpu, "metricsServer": platform.metrics_server}
            return {"kind": platform.kind, **own, **_cluster(platform.cluster)}


def _cluster(cluster: Cluster) -> dict[str, Any]:
    written: dict[str, Any] = {
        "image": _image(cluster.image),
        "imageUsesGpu": cluster.image_uses_gpu,
        "registry": cluster.registry,
        "url": cluster.url,
        "namespace": cluster.namespace,
        "monitoring": cluster.monitoring,
        "keda": cluster.keda,
        "protectData": cluster.protect_data,
    }
    if cluster.image_flavors and isinstance(cluster.image, str):
        written["imageFlavors"] = list(cluster.image_flavors)
    gateway = {
        "name": cluster.gateway.name,
        "namespace": cluster.gateway.namespace,
        "tlsSecret": cluster.gateway.tls_secret,
    }
    if cluster.gateway != Gateway():
        written["gateway"] = {key: value for key, value in gateway.items() if value}
        if cluster.gateway.authentication:
            written["gateway"]["authentication"] = _authentication(cluster.gateway.authentication)
    if cluster.prices:
        written["prices"] = dataclasses.asdict(cluster.prices)
    if cluster.prometheus:
        written["prometheus"] = cluster.prometheus
    if cluster.tracking:
        written["tracking"] = {"image": _image(cluster.tracking.image), "storage": cluster.tracking.storage}
        if access := cluster.tracking.access:
            written["tracking"]["access"] = {
                "host": access.host,
                "tlsSecret": access.tls_secret,
                **_jwt(access.jwt),
            }
    return written


def _jwt(jwt: Jwt) -> dict[str, Any]:
    written = {"issuer": jwt.issuer, "jwks": jwt.jwks, "audience": jwt.audience}
    return {**written, "claims": dict(jwt.claims)} if jwt.claims else written


def _authentication(asked: Authentication | Literal["none"]) -> Any:
    match asked:
        case Jwt():
            return {"jwt": _jwt(asked)}
        case ApiKeys():
            return {"apiKeys": {"secret": asked.secret}}
        case _:
            return asked


def _image(image: str | Build) -> Any:
    if isinstance(image, str):
        return image
    own: dict[str, Any] = {}
    if isinstance(image, ImageBuild):
        own = {"adapter": image.adapter, "flavors": list(image.flavors), "sagemaker": image.sagemaker}
    written: dict[str, Any] = {
        "base": image.base,
        **own,
        "platforms": list(image.platforms),
        "source": image.source,
        "repository": image.repository,
    }
    return {"build": {key: value for key, value in written.items() if value}}


def _model(model: Model) -> dict[str, Any]:
    autoscaling = {"min": model.autoscaling.min, "max": model.autoscaling.max}
    if model.autoscaling.requests_per_second:
        autoscaling["requestsPerSecond"] = model.autoscaling.requests_per_second
    if model.autoscaling.gpu_utilization:
        autoscaling["gpuUtilization"] = model.autoscaling.gpu_utilization
    written: dict[str, Any] = {
        "runtime": model.runtime,
        "stable": {"version": model.stable.version},
        "autoscaling": autoscaling,
    }
    if not CAPABILITIES[model.runtime].resources:
        written["resources"] = {
            "cpu": model.resources.cpu,
            "memory": model.resources.memory,
            "gpu": model.resources.gpu,
        }
    if model.canary:
        share = {"shadow": True} if model.canary.shadow else {"weight": model.canary.weight}
        written["canary"] = {"version": model.canary.version} | share
    if model.owner:
        written["owner"] = model.owner
    if model.risk_class:
        written["riskClass"] = model.risk_class
    if model.batching != "auto":
        written["batching"] = model.batching
    if model.timeout:
        written["timeout"] = model.timeout
    if model.authentication:
        written["authentication"] = _authentication(model.authentication)
    if model.rate_limit:
        written["rateLimit"] = {"requestsPerSecond": model.rate_limit}
    if model.registered_model:
        written["registeredModel"] = model.registered_model
    return written
