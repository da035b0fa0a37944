"""Whether the model server can serve a model, judged from the model's files, with nothing loaded."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from provider.needs import Needs, needs, package_name, pins
from tools.paths import ROOT

_SERVING = ROOT / "serving"
FLAVORS = ("onnx", "sklearn")
"""Those of the model server, as an image that has both names them."""
_MODULES = {"sklearn": "scikit-learn"}
"""Modules whose package has another name, of those that nearly every model refers to."""


@dataclass(frozen=True)
class Fit:
    """What speaks against serving a model. Both are empty where nothing does."""

    refusals: tuple[str, ...] = ()
    """Each reason why the server will not become ready with it, with what to do about it."""
    mismatches: tuple[str, ...] = ()
    """Each library of the server whose version its own rules don't let it load the model with."""


@dataclass(frozen=True)
class Server:
    """What the program that loads the model has."""

    name: str
    packages: Mapping[str, str]
    python: str
    """Its version of Python; empty where a plan can't know it, which is the base image's."""
    has: Callable[[str], bool]
    """Whether it can import a top-level module."""


def fit(artifact: Path, size: int, memory: int | None, flavors: Sequence[str] = FLAVORS) -> Fit:
    """Judge the model in ``artifact``, of ``size`` bytes, for the server of this checkout.

    ``memory`` is what a server has, in MiB; None: it runs on this machine, in this Python environment.
    Elsewhere it runs in the image for ``flavors``, whose packages are ``serving/requirements.txt``, or
    ``serving/requirements-FLAVOR.txt`` of an image for one of them.
    """
    # numpy comes with it, which nothing else here needs.
    from serving.mlmodel import refusals

    asked = needs(artifact)
    if memory is not None and asked.flavour and asked.flavour not in flavors:
        return Fit((_no_flavour(asked.flavour, flavors),))
    server = _installed() if memory is None else _image(tuple(flavors))
    missing = sorted(name for name in asked.modules if not server.has(name))
    # A folder of this machine would be another one on each machine that plans.
    refused = (
        text.replace(f"the artifact {artifact}", "the artifact").replace(f"{artifact}", "the artifact")
        for text in refusals(artifact)
    )
    return Fit(
        (*refused, *_missing(missing, server), *_too_large(size, memory)),
        tuple(_mismatches(asked, server)),
    )


def _no_flavour(flavour: str, flavors: Sequence[str]) -> str:
    return (
        f"its flavour is {flavour}, and the server's image serves {', '.join(flavors)} alone: add "
        f"{flavour} to platform.image.build.flavors, or to platform.imageFlavors where the image that is "
        "named serves it"
    )


def _too_large(size: int, memory: int | None) -> Iterator[str]:
    if memory is not None and size >= memory << 20:
        yield (
            f"its artifact has {size >> 20} MiB, and a server has {memory} MiB of memory: "
            "raise resources.memory to several times the artifact's size"
        )


def _missing(modules: list[str], server: Server) -> list[str]:
    notes: list[str] = []
    if "__main__" in modules:
        notes.append(
            "its file refers to classes of the script or notebook that trained it, which no server can "
            "import: move them into a module, and log the model with code_paths"
        )
    others = [name for name in modules if name != "__main__"]
    if others:
        notes.append(
            f"its file needs the module{'' if len(others) == 1 else 's'} {', '.join(others)}, which "
            f"{server.name} doesn't have: log the model with code_paths if that is your own code; "
            "else convert it to ONNX, or add the package to the group `serving` in pyproject.toml"
        )
    return notes


def _mismatches(asked: Needs, server: Server) -> list[str]:
    found: list[str] = []

    def compare(package: str, differs: Callable[[str, str], bool], why: str, fix: str) -> None:
        model, mine = asked.versions.get(package, ""), server.packages.get(package, "")
        if model and mine and differs(model, mine):
            found.append(f"{package} {model} wrote it, {server.name} has {mine}: {why}. {fix}")

    again = "Train and log it again with that version, or convert it to ONNX"
    if asked.flavour == "sklearn":
        compare(
            "scikit-learn",
            lambda model, mine: model != mine,
            "scikit-learn promises nothing between versions, and warns (InconsistentVersionWarning)",
            again,
        )
        compare(
            "numpy",
            lambda model, mine: _numbers(model)[:1] != _numbers(mine)[:1],
            "files of one major version of numpy need not load in another",
            again,
        )
        if asked.form == "skops":
            compare(
                "skops",
                lambda model, mine: _numbers(model)[:2] > _numbers(mine)[:2],
                "an older skops may not know the protocol of the file",
                again,
            )
        if asked.form == "cloudpickle":
            model, mine = _numbers(asked.python)[:2], _numbers(server.python)[:2]
            if len(model) == len(mine) == 2 and model != mine:
                found.append(
                    f"Python {asked.python} wrote it with cloudpickle, {server.name} has {server.python}: "
                    "cloudpickle needs the same minor version. Log it as skops, or with that version"
                )
    elif asked.flavour == "onnx":
        compare(
            "onnxruntime",
            lambda model, mine: _numbers(model)[:2] > _numbers(mine)[:2],
            "an onnxruntime need not know operators that came after it",
            "Export the model for an older opset, or update onnxruntime in pyproject.toml",
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


@cache
def _installed() -> Server:
    packages = {package_name(one.name): one.version for one in metadata.distributions() if one.name}
    python = ".".join(map(str, sys.version_info[:3]))
    return Server("the server's environment (.venv)", packages, python, _importable)


def _importable(module: str) -> bool:
    try:
        return module != "__main__" and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


@cache
def _image(flavors: tuple[str, ...]) -> Server:
    file = _SERVING / ("requirements.txt" if flavors == FLAVORS else f"requirements-{'-'.join(flavors)}.txt")
    packages = pins(file.read_text(encoding="utf-8"))

    def has(module: str) -> bool:
        if module in sys.stdlib_module_names or module == "builtins":
            return True
        if package_name(_MODULES.get(module, module)) in packages:
            return True
        # This environment has every package of the image's, and knows which modules are whose.
        return any(package_name(name) in packages for name in _distributions().get(module, ()))

    return Server(f"the server's image (serving/{file.name})", packages, "", has)


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()
