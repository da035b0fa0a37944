"""From the two values of a configuration, `platform` and `models`, to an `Environment`. No I/O, no Pulumi."""

import re
from collections.abc import Mapping
from typing import Final, get_args

from components.environment.problems import ConfigError, Problem, dotted, nearest
from components.environment.section import Section, open_section
from components.environment.values import (
    Autoscaling,
    Canary,
    Environment,
    LocalPlatform,
    Model,
    Platform,
    Ports,
    ReleaseRef,
    RiskClass,
    Runtime,
)

TOP_KEYS: Final = ("platform", "models")

_KINDS: Final = ("local",)
_LATER_KINDS: Final = ("kubernetes", "aws", "gcp", "azure")
_RUNTIMES: Final[tuple[Runtime, ...]] = get_args(Runtime)
_LATER_RUNTIMES: Final = (
    "kubernetes",
    "lambda",
    "sagemaker",
    "cloud-run",
    "vertex",
    "azure-ml",
    "batch",
    "edge",
)
_RISK_CLASSES: Final[tuple[RiskClass, ...]] = get_args(RiskClass)

_MODEL_KEYS: Final = ("autoscaling", "canary", "owner", "riskClass", "runtime", "stable")
_PORT_KEYS: Final = ("gateway", "tracking", "prometheus")

_LONGEST_NAME = 40
_MOST_REPLICAS = 16
_LAST_VERSION = 2**31 - 1  # the registry keeps versions in 32 bits


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
        understood = _platform(platform, problems)
    found: list[Model] = []
    if models is not None or "models" not in excused:
        found = _models(models, problems)
    if problems or understood is None:
        raise ConfigError(problems)
    return Environment(platform=understood, models=tuple(sorted(found, key=lambda model: model.name)))


def _platform(value: object, problems: list[Problem]) -> Platform | None:
    if value is None:
        message = "required, a map such as {kind: local}"
        problems.append(Problem(path="platform", message=message))
        return None
    section = open_section(value, ("platform",), problems, "{kind: local}")
    if section is None:
        return None
    kind = section.choice("kind", _KINDS, _LATER_KINDS)
    if kind is None and section.values.get("kind") in _LATER_KINDS:
        return None  # its other keys can't be judged
    section.only(("kind", "ports"), later=("stack", "region"))
    if "stack" not in section.values:
        section.require("kind", "one of: " + ", ".join(_KINDS))
    return LocalPlatform(ports=_ports(section))


def _ports(platform: Section) -> Ports:
    section = platform.section("ports", accepted=_PORT_KEYS, example="{gateway: 8080}")
    if section is None:
        return Ports()
    default = Ports()
    chosen = {key: section.whole(key, 1024, 65535) for key in _PORT_KEYS}
    taken: dict[int, str] = {}
    # What is written is compared with the defaults of what isn't: the mistake is in what is written.
    for key in sorted(_PORT_KEYS, key=lambda key: section.has(key)):
        port = chosen[key] if section.has(key) else getattr(default, key)
        if port is None:
            continue
        if port in taken:
            other = taken[port] if section.has(taken[port]) else f"{taken[port]}, by default"
            section.problem(key, f"must differ from the other ports; {port} is the port of {other}")
        taken.setdefault(port, key)
    return Ports(**{key: port for key, port in chosen.items() if port is not None})


def _models(value: object, problems: list[Problem]) -> list[Model]:
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
                _name_hint(name),
            )
        model = section.section(
            name,
            accepted=_MODEL_KEYS,
            later=("resources", "analysis", "drift"),
            example="{stable: {version: 3}}",
        )
        if model and (understood := _model(name, model)):
            found.append(understood)
    return found


def _model(name: str, section: Section) -> Model | None:
    runtime = section.choice("runtime", _RUNTIMES, _LATER_RUNTIMES)
    stable = _stable(section)
    canary = _canary(section, stable)
    autoscaling = _autoscaling(section)
    owner = section.line("owner", 100)
    risk_class = section.choice("riskClass", _RISK_CLASSES)
    if stable is None:
        return None
    return Model(
        name=name,
        runtime=runtime or "local",
        stable=stable,
        canary=canary,
        autoscaling=autoscaling,
        owner=owner,
        risk_class=risk_class,
    )


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


def _autoscaling(model: Section) -> Autoscaling:
    section = model.section(
        "autoscaling", accepted=("min", "max"), later=("requestsPerSecond",), example="{min: 2}"
    )
    if section is None:
        return Autoscaling()
    least = section.whole("min", 1, _MOST_REPLICAS)
    most = section.whole("max", 1, _MOST_REPLICAS)
    if least is None and not section.has("min"):
        least = 1
    if most is not None and least is not None and most != least:
        section.problem(
            "max", f"must equal min, {least}, or be left out: nothing scales on the runtime local"
        )
    return Autoscaling(min=least or 1, max=least or 1)


def _name_hint(name: str) -> str | None:
    """Offer the nearest name that is accepted."""
    near = re.sub(r"[^a-z0-9]+", "-", name.lower()[:_LONGEST_NAME]).strip("-")
    return f"Perhaps {near}?" if re.match(r"[a-z]", near) else None
