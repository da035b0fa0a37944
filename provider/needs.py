"""What a model's files ask of the program that loads it: versions of libraries, and modules."""

from __future__ import annotations

import json
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

_PINNED = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([\w.!+-]+)\s*(?:[;#].*)?$")
_FORM = "cloudpickle"
"""How MLflow wrote a scikit-learn model whose MLmodel doesn't say it."""


@dataclass(frozen=True)
class Needs:
    """What one artifact asks for."""

    flavour: str = ""
    """``onnx`` or ``sklearn``; empty for what the model server doesn't load at all."""
    form: str = ""
    """How a scikit-learn model was written: ``skops``, ``joblib``, ``pickle``, ``cloudpickle``."""
    python: str = ""
    """The version of Python that wrote it, as in ``3.12.3``; empty where it is not recorded."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """The versions of the libraries that wrote it, by the package's name in lower case with hyphens."""
    modules: frozenset[str] = frozenset()
    """Top-level modules that a scikit-learn model's file refers to, without those logged beside it."""


def needs(artifact: Path) -> Needs:
    """Read what ``artifact`` asks for.

    What can't be read is left out: it is for the server's own reading of MLmodel to refuse.
    """
    flavours = _map(_yaml(artifact / "MLmodel").get("flavors"))
    flavour = next((name for name in ("onnx", "sklearn") if name in flavours), "")
    options, general = _map(flavours.get(flavour)), _map(flavours.get("python_function"))
    versions = _required(artifact)
    # MLmodel names the library that wrote the file; a list of requirements may have been written by hand.
    for key, package in (("sklearn_version", "scikit-learn"), ("onnx_version", "onnx")):
        if isinstance(found := options.get(key), str):
            versions[package] = found
    form = str(options.get("serialization_format") or _FORM) if flavour == "sklearn" else ""
    python = general.get("python_version")
    return Needs(
        flavour=flavour,
        form=form,
        python=python if isinstance(python, str) else "",
        versions=versions,
        modules=_modules(artifact, options, general, form) if form else frozenset(),
    )


def package_name(name: str) -> str:
    """A package's name in the one form in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """The exact versions that a list of requirements names."""
    found = (_PINNED.match(line.removesuffix("\\").strip()) for line in text.splitlines())
    return {package_name(match[1]): match[2] for match in found if match}


def _required(artifact: Path) -> dict[str, str]:
    if text := _text(artifact / "requirements.txt"):
        return pins(text)
    lines = [
        line
        for entry in _list(_yaml(artifact / "conda.yaml").get("dependencies"))
        for line in _list(_map(entry).get("pip"))
    ]
    return pins("\n".join(map(str, lines)))


def _yaml(path: Path) -> dict[str, Any]:
    try:
        return _map(yaml.safe_load(_text(path)))
    except yaml.YAMLError:
        return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _modules(
    artifact: Path, options: Mapping[str, Any], general: Mapping[str, Any], form: str
) -> frozenset[str]:
    file = artifact / str(options.get("pickled_model") or "model.pkl")
    if not file.resolve().is_relative_to(artifact.resolve()) or not file.is_file():
        return frozenset()
    named = set(_of_skops(file) if form == "skops" else _of_pickle(file))
    return frozenset(named - _beside(artifact, general))


def _beside(artifact: Path, general: Mapping[str, Any]) -> set[str]:
    """The modules that were logged with ``code_paths``."""
    code = general.get("code")
    folder = artifact / str(code or "")
    if not code or not folder.is_dir():
        return set()
    return {path.stem for path in folder.iterdir()}


def _of_skops(file: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            pending: list[object] = [json.loads(archive.read("schema.json"))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            node = cast("dict[str, object]", one)
            if isinstance(module := node.get("__module__"), str):
                yield module.partition(".")[0]
            pending += node.values()
        elif isinstance(one, list):
            pending += cast("list[object]", one)


def _of_pickle(file: Path) -> Iterator[str]:
    """The modules of a pickle's globals.

    joblib writes arrays between the opcodes: the reading ends at the first one, after what came before it.
    """
    said: list[str] = []
    kept: dict[int, str] = {}
    last = ""
    try:
        with file.open("rb") as stream:
            for opcode, value, _ in pickletools.genops(stream):
                name = opcode.name
                if name == "MEMOIZE":
                    kept[len(kept)] = last
                elif "PUT" in name:
                    kept[int(cast(int, value))] = last
                else:
                    last = ""
                    if name in ("GLOBAL", "INST"):
                        yield str(value).partition(" ")[0].partition(".")[0]
                    elif name == "STACK_GLOBAL" and len(said) == 2:
                        yield said[0].partition(".")[0]
                    elif "UNICODE" in name:
                        last = str(value)
                        said = [*said[-1:], last]
                    elif "GET" in name:
                        last = kept.get(int(cast(int, value)), "")
                        said = [*said[-1:], last]
    except (ValueError, OSError, IndexError):
        return


def _map(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
