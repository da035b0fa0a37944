"""The MLflow registry, and the name that it has for a model, which need not be the one that callers use."""

from __future__ import annotations

import re
from typing import Final

from components.environment.section import Section

_TRACKING_URI: Final = re.compile(r"https?://[^\s/@]+(/[^\s]*)?")
_UNITY_CATALOG: Final = re.compile(r"(databricks-uc|uc)(:.*)?")
_LONGEST: Final = 256
"""Characters: what the column of MLflow's database holds."""


def is_registered_name(name: str) -> bool:
    """Say whether MLflow takes a text as the name of a registered model."""
    if not (name.strip() and name.isprintable() and len(name) <= _LONGEST):
        return False
    # As mlflow.utils.validation has it: the name is a part of URIs (models:/NAME/VERSION) and of paths.
    return not any(mark in name for mark in "/:") and name not in (".", "..")


def registered_model(model: Section, name: str) -> str | None:
    """Take the key `registeredModel` of the model called `name`; None where it is absent, wrong, or that
    same name."""
    value = model.values.get("registeredModel")
    if "registeredModel" not in model.values or value == name:
        return None
    if isinstance(value, str) and is_registered_name(value):
        return value
    hint = None
    if isinstance(value, str) and value.startswith("models:/"):
        named = value.removeprefix("models:/").split("/")[0].split("@")[0]
        hint = f"Write the name alone: {named}." if is_registered_name(named) else None
    model.problem(
        "registeredModel",
        "must be the name of a registered model in MLflow: one line of text, 1 to"
        f" {_LONGEST} characters, no / and no :",
        hint,
    )
    return None


def tracking_uri(platform: Section) -> str | None:
    """Take the key `registry` of a platform; None where it is absent or wrong."""
    value = platform.values.get("registry")
    if "registry" not in platform.values:
        return None
    if isinstance(value, str) and _TRACKING_URI.fullmatch(value):
        return value
    catalog = isinstance(value, str) and _UNITY_CATALOG.fullmatch(value)
    platform.problem(
        "registry",
        "must be an MLflow tracking URI such as https://mlflow.example.com, without user and password"
        " (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD have them)",
        "Unity Catalog is not supported as a registry: see docs/configuration.md." if catalog else None,
    )
    return None
