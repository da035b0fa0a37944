"""From the two values of a configuration, `platform` and `models`, to an `Environment`. No I/O, no Pulumi."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final, get_args

from components.environment.authentication import parse_authentication
from components.environment.callers import judge_callers, parse_rate_limit
from components.environment.capabilities import CAPABILITIES, UNDECLARABLE, Capability, judge
from components.environment.platforms import Environment, Platform, parse_platform
from components.environment.problems import ConfigError, Problem, dotted, nearest, show
from components.environment.registered import is_registered_name, registered_model
from components.environment.section import Section, open_section
from components.environment.values import (
    Autoscaling,
    Batching,
    Canary,
    Model,
    ReleaseRef,
    Resources,
    RiskClass,
    Runtime,
)
from components.metric_direction import Direction, direction

TOP_KEYS: Final = ("platform", "models")

_RUNTIMES: Final[tuple[Runtime, ...]] = get_args(Runtime)
_LATER_RUNTIMES: Final = ("batch", "edge")
_BATCHING: Final[tuple[Batching, ...]] = get_args(Batching)
_DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
_RISK_CLASSES: Final[tuple[RiskClass, ...]] = get_args(RiskClass)

_AUTOSCALING_KEYS: Final = ("min", "max", "requestsPerSecond", "gpuUtilization")
_MODEL_KEYS: Final = (
    *("authentication", "autoscaling", "batching", "canary", "metrics", "owner", "rateLimit"),
    *("registeredModel", "resources", "riskClass", "runtime", "stable", "timeout"),
)

_LONGEST_NAME = 40
_LAST_VERSION = 2**31 - 1  # the registry keeps versions in 32 bits
_MEMORY: Final = re.compile(r"[1-9][0-9]{0,6}(Mi|Gi)")


def parse(platform: object, models: object, others: Mapping[str, object] | None = None) -> Environment:
    """Understand the two values of a configuration; None stands for one that is absent.

    `others` are further keys, with their values, that stand beside the two in the project's namespace; each
    is a mistake. Raises ConfigError with every mistake.
    """
    problems: list[Problem] = []
    excused: set[str] = set()
    for key, value in (others or {}).items():
        near = nearest(key, TOP_KEYS)
        excused.update([near] if near else [])
        message = f"unknown key; accepted: {', '.join(TOP_KEYS)}"
        suggestion = f"Did you mean {near}?" if near else None
        problems.append(Problem(path=dotted([key]), value=value, message=message, suggestion=suggestion))

    understood: Platform | None = None
    if platform is not None or "platform" not in excused:
        understood = parse_platform(platform, problems)
    found: list[Model] = []
    if models is not None or "models" not in excused:
        found = _models(models, understood, problems)
    if problems or understood is None:
        raise ConfigError(problems)
    return Environment(platform=understood, models=tuple(sorted(found, key=lambda model: model.name)))


def _models(value: object, platform: Platform | None, problems: list[Problem]) -> list[Model]:
    if value is None:
        message = "required, a map of models by name, {} for none"
        problems.append(Problem(path="models", message=message))
        return []
    section = open_section(value, ("models",), problems, "{churn: {stable: {version: 3}}}")
    if section is None:
        return []
    found: list[Model] = []
    for name in section.values:
        if len(name) > _LONGEST_NAME or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
            section.problem(
                name,
                "a model's name has lower-case letters, digits and hyphens, begins with a letter,"
                f" doesn't end in a hyphen, and has at most {_LONGEST_NAME} characters",
                _name_hint(name, section.inner(name)),
            )
        model = section.section(
            name,
            accepted=_MODEL_KEYS,
            later=("analysis", "drift"),
            example="{stable: {version: 3}}",
        )
        if model and (understood := _model(name, model, platform)):
            found.append(understood)
    return found


def _model(name: str, section: Section, platform: Platform | None) -> Model | None:
    runtime = _runtime(section, platform)
    stable = _stable(section)
    canary = _canary(section, stable)
    resources = _resources(section, runtime)
    autoscaling = _autoscaling(section, runtime)
    owner = section.line("owner", 100)
    risk_class = section.choice("riskClass", _RISK_CLASSES)
    batching = section.choice("batching", _BATCHING)
    timeout = _timeout(section, runtime)
    # Not a map: what the gateway asks of others isn't asked here.
    authentication = (
        "none" if section.values.get("authentication") == "none" else parse_authentication(section)
    )
    rate_limit = parse_rate_limit(section)
    metrics = _metrics(section)
    if runtime:
        judge(runtime, platform, canary, resources, autoscaling, section)
        judge_callers(runtime, platform, section)
    if stable is None:
        return None
    return Model(
        name=name,
        runtime=runtime or "local",
        stable=stable,
        canary=canary,
        autoscaling=autoscaling,
        resources=resources,
        owner=owner,
        risk_class=risk_class,
        batching=batching or "auto",
        timeout=timeout,
        authentication=authentication,
        rate_limit=rate_limit,
        registered_model=registered_model(section, name),
        metrics=metrics,
    )


def _metrics(model: Section) -> Mapping[str, Direction]:
    found: dict[str, Direction] = {}
    names = model.names("metrics")
    section = model.section("metrics", accepted=names, example="{cost_per_claim: lower}")
    if section is None:
        return found
    for name in names:
        way, known = section.choice(name, _DIRECTIONS), direction(name)
        if way and known and way != known:
            section.problem(name, f"{known} is better, as the name tells", "Log it by another name.")
        elif way:
            found[name] = way
    return found


def _runtime(model: Section, platform: Platform | None) -> Runtime | None:
    """Take the runtime, by default the platform's own; None where nothing can be judged by it."""
    value = model.values.get("runtime")
    offered = platform.runtimes if platform else _RUNTIMES
    if isinstance(value, str) and value in UNDECLARABLE:
        model.problem("runtime", f"{UNDECLARABLE[value]}; accepted: {', '.join(offered)}")
        return None
    if platform is None:
        return model.choice("runtime", _RUNTIMES, _LATER_RUNTIMES)
    if value in _RUNTIMES and value not in offered:
        names = ", ".join(offered)
        what = "a borrowed platform" if platform.kind == "borrowed" else f"a platform of kind {platform.kind}"
        model.problem("runtime", f"not on {what}; accepted: {names}")
        return None
    return model.choice("runtime", offered, _LATER_RUNTIMES) if model.has("runtime") else offered[0]


def _version(section: Section) -> int | None:
    section.require("version", "the model version in the registry, such as 3")
    return section.whole("version", 1, _LAST_VERSION)


def _stable(model: Section) -> ReleaseRef | None:
    model.require("stable", "a map such as {version: 3}")
    section = model.section("stable", accepted=("version",), later=("prompt",), example="{version: 3}")
    version = _version(section) if section else None
    return ReleaseRef(version=version) if version else None


def _canary(model: Section, stable: ReleaseRef | None) -> Canary | None:
    section = model.section(
        "canary",
        accepted=("version", "weight", "shadow"),
        later=("prompt",),
        example="{version: 4, weight: 10}",
    )
    if section is None:
        return None
    version = _version(section)
    weight = section.whole("weight", 0, 100, percentage=True)
    shadow = section.flag("shadow")
    if version is not None and stable is not None and version == stable.version:
        section.problem(
            "version",
            f"must be another version than stable.version, {version}",
            "To give it all the traffic, remove the canary.",
        )
    if shadow and section.has("weight"):
        section.problem("shadow", "a shadow answers nobody, so it has no weight", "Remove shadow or weight.")
    elif shadow is False or not section.has("shadow"):
        section.require("weight", "the percentage of requests, 0 to 100, or else shadow: true")
    if version is None:
        return None
    return Canary(version=version, weight=weight or 0, shadow=shadow or False)


def _resources(model: Section, runtime: Runtime | None) -> Resources:
    section = model.section("resources", accepted=("cpu", "memory", "gpu"), example="{cpu: 1, memory: 2Gi}")
    if section is None:
        return Resources()
    cpu = section.number("cpu", 0.1, 256)
    memory = section.matching("memory", _MEMORY, "must be a whole number of Mi or Gi, such as 512Mi or 2Gi")
    gpu = section.whole("gpu", 0, 16)
    refused = CAPABILITIES[runtime].resources if runtime else None
    if refused:
        model.problem("resources", f"not on the runtime {runtime}: {refused}")
        return Resources()
    default = Resources()
    return Resources(cpu=cpu or default.cpu, memory=memory or default.memory, gpu=gpu or 0)


def _autoscaling(model: Section, runtime: Runtime | None) -> Autoscaling:
    able = CAPABILITIES[runtime] if runtime else Capability(fewest=0)
    section = model.section("autoscaling", accepted=_AUTOSCALING_KEYS, example="{min: 2}")
    if section is None:
        return Autoscaling(min=able.first, max=max(able.first, able.usual))
    least = section.whole("min", able.fewest, able.most)
    most = section.whole("max", 1, able.most)
    rate = section.whole("requestsPerSecond", 1, 100_000)
    busy = section.whole("gpuUtilization", 1, 100, percentage=True)
    if section.has("gpuUtilization") and able.gpu_utilization:
        section.problem("gpuUtilization", f"not on the runtime {runtime}: {able.gpu_utilization}")
        busy = None
    if section.has("requestsPerSecond") and able.requests_per_second:
        section.problem("requestsPerSecond", f"not on the runtime {runtime}: {able.requests_per_second}")
    if least is None and not section.has("min"):
        least = able.first
    if most is None and not section.has("max"):
        most = max(least or 0, able.usual)
    if least is not None and most is not None and section.has("max"):
        if able.scaling and most != least:
            section.problem("max", f"must equal min, {least}, or be left out: {able.scaling}")
        elif most < least:
            section.problem("max", f"must be min, {least}, or more")
    floor = able.first if least is None else least
    return Autoscaling(min=floor, max=max(most or 1, floor), requests_per_second=rate, gpu_utilization=busy)


def _timeout(model: Section, runtime: Runtime | None) -> int | None:
    able = CAPABILITIES[runtime] if runtime else Capability()
    least, most = Capability().shortest, Capability().longest
    timeout = model.whole("timeout", least, most)
    if timeout is None or able.shortest <= timeout <= able.longest:
        return timeout
    bounds = f"{able.shortest}" if able.shortest == able.longest else f"{able.shortest} to {able.longest}"
    model.problem("timeout", f"must be {bounds} seconds on the runtime {runtime}: {able.waits}")
    return None


def _name_hint(name: str, model: Section) -> str | None:
    """Offer the nearest name that is accepted, and say where a name that only the registry has is written."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    near = re.sub(r"[^a-z0-9]+", "-", plain[:_LONGEST_NAME]).strip("-")
    hints = [f"Perhaps {near}?"] if re.match(r"[a-z]", near) else []
    if is_registered_name(name) and not model.has("registeredModel"):
        key = near if hints else "NAME"
        hints.append(
            f"If the registry has its versions as {show(name)}, write"
            f" {key}: {{registeredModel: {show(name)}, …}}."
        )
    return " ".join(hints) or None
