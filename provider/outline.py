"""A folder that stands for an artifact: what a plan reads of it in full, and of the weights only their sizes.

``provider.fit`` and ``serving.mlmodel`` judge it as they judge the artifact itself. Files that they read have
their content; files whose names they read are there, of the right length and without content; of a large
scikit-learn model the two ends are there, which hold the names of the modules that it needs: a pickle names
most of them first, skops names all of them last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from provider.files import make_folder, refused
from provider.stores import File, Store

_READ = 1 << 20
"""Bytes: of a larger file that is only read for a finding nothing is read."""
_END = 1 << 20
"""Bytes that are read of each end of a larger scikit-learn model."""
_LISTS = ("requirements.txt", "conda.yaml")
_OPTIONAL = ("reference.json", "input_example.json")


def outline(store: Store, files: list[File], source: str, fingerprint: str, into: Path) -> Path:
    """The outline of an artifact, kept below ``into`` for as long as the store says the same of its files.

    Raises ProviderError where the disk refuses, and what the store raises.
    """
    key = hashlib.sha256(json.dumps([source, fingerprint]).encode()).hexdigest()
    kept = into / ".outlines" / key
    if kept.is_dir():
        return kept
    make_folder(kept.parent)
    try:
        fresh = Path(tempfile.mkdtemp(prefix=".reading-", dir=kept.parent))
    except OSError as error:
        raise refused(kept.parent, error) from None
    try:
        _fill(store, {file.path: file for file in files}, fresh)
        try:
            fresh.rename(kept)
        except OSError as error:
            # Another release of the same artifact may have been first.
            if not kept.is_dir():
                raise refused(kept, error) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return kept


def unread(store: Store, files: list[File], folder: Path) -> str:
    """The file of a scikit-learn model that an outline has nothing of, since its store can't hand out a part
    of it; empty where it has enough."""
    name = _pickled(_mlmodel(folder))
    size = next((file.size for file in files if file.path == name), 0)
    return name if size > 2 * _END and not store.ranges else ""


def _fill(store: Store, files: Mapping[str, File], folder: Path) -> None:
    def whole(name: str) -> None:
        if name in files:
            _at(folder, name).write_bytes(store.read(name, 0, files[name].size) if files[name].size else b"")

    whole("MLmodel")
    mlmodel = _mlmodel(folder)
    optional = {*_OPTIONAL, *_examples(mlmodel)}
    for name in (*_LISTS, *optional):
        if name in files and files[name].size <= _READ:
            whole(name)
    pickled = _pickled(mlmodel)
    if pickled in files and files[pickled].size <= 2 * _END:
        whole(pickled)
    for name, file in files.items():
        path = _at(folder, name)
        # Without content they would be refused for what they say.
        if path.exists() or name in optional:
            continue
        with path.open("wb") as hole:
            hole.truncate(file.size)
            if name == pickled and store.ranges:
                hole.write(store.read(name, 0, _END))
                hole.seek(file.size - _END)
                hole.write(store.read(name, file.size - _END, _END))


def _at(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _mlmodel(folder: Path) -> Mapping[str, Any]:
    """MLmodel; empty where it can't be read, which is for others to say."""
    try:
        return _map(yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}


def _pickled(mlmodel: Mapping[str, Any]) -> str:
    """The file that a scikit-learn model is in; empty for another flavour."""
    flavours = _map(mlmodel.get("flavors"))
    if "sklearn" not in flavours or "onnx" in flavours:
        return ""
    return str(_map(flavours["sklearn"]).get("pickled_model") or "model.pkl")


def _examples(mlmodel: Mapping[str, Any]) -> list[str]:
    said = _map(mlmodel.get("saved_input_example_info"))
    return [str(said[key]) for key in ("artifact_path", "serving_input_path") if said.get(key)]


def _map(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
