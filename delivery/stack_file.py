"""A Pulumi.<stack>.yaml on disk: read with its mistakes told, and one model's step changed in place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from components.environment import Canary as Declared
from components.environment import ConfigError, Environment, Model, read
from components.environment.problems import nearest
from components.environment.stack_file import document, own_key, project_of
from delivery.errors import DeliveryError
from delivery.stack_text import NotEditableError, with_step
from policy.steps import Canary, Step

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """The file of a stack, read whole."""

    path: Path
    environment: Environment
    text: str
    """What it is made of, character by character."""

    @property
    def _project(self) -> str:
        return project_of(self.path)

    def model(self, name: str) -> Model:
        """A model by its name. Raises DeliveryError with what there is."""
        names = [model.name for model in self.environment.models]
        for model in self.environment.models:
            if model.name == name:
                return model
        near = nearest(name, names)
        meant = f" Did you mean {near}?" if near else ""
        there = f"the file has {', '.join(names)}" if names else "the file has no model"
        raise DeliveryError(f"{self.path.name}: models.{name} isn't there; {there}.{meant}")

    def write(self, name: str, step: Step) -> None:
        """Change a model's step in the file, all of it or nothing; every other character stays.

        Raises DeliveryError where the file can't be written, or has the model in a way that isn't edited.
        """
        file = self.path.resolve()
        try:
            after = with_step(self.text, name, step, self._project)
        except NotEditableError as error:
            raise DeliveryError(self._by_hand(name, step, str(error))) from None
        temporary = None
        try:
            if not file.stat().st_mode & 0o222:
                raise DeliveryError(f"{file} is read-only; nothing was changed")
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", newline="", dir=file.parent, prefix=f".{file.name}.", delete=False
            ) as temporary:
                temporary.write(after)
                temporary.flush()
                os.fsync(temporary.fileno())
            written = Path(temporary.name)
            written.chmod(file.stat().st_mode & 0o7777)
            # Asking for the state takes seconds, in which somebody may have edited the file.
            if _text(file) != self.text:
                raise DeliveryError(
                    f"{file} was changed by somebody else meanwhile; look at it, and try again"
                )
            if wrong := self._wrong(written, name, step):
                raise DeliveryError(self._by_hand(name, step, wrong))
            written.rename(file)
        except OSError as error:
            raise DeliveryError(f"{file} can't be written: {error.strerror}; nothing was changed") from None
        finally:
            if temporary:
                with suppress(OSError):
                    Path(temporary.name).unlink()

    def _wrong(self, written: Path, name: str, step: Step) -> str:
        """Why a text doesn't say this step and, of everything else, what the file says; empty: it does."""
        wanted = replace(
            self.environment,
            models=tuple(
                _at(model, step) if model.name == name else model for model in self.environment.models
            ),
        )
        try:
            same = read(written, self._project) == wanted
        except ConfigError as error:
            return f"it would have a mistake then ({error.problems[0]})"
        same = same and _without_step(written, name, self._project) == _without_step(
            self.path, name, self._project
        )
        return "" if same else "it is written with anchors or merged maps"

    def _by_hand(self, name: str, step: Step, reason: str) -> str:
        return (
            f"{self.path.name}: models.{name} can't be edited here: {reason}. "
            f"Write this step by hand: {step}. Nothing was changed"
        )


def load(stack: str, path: Path | None = None) -> StackFile:
    """Read the file of a stack. Raises DeliveryError where there is none, ConfigError with its mistakes."""
    file = path or ROOT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        there = sorted(p.name[len("Pulumi.") : -len(".yaml")] for p in ROOT.glob("Pulumi.*.yaml"))
        near = nearest(stack, there)
        meant = f" Did you mean {near}?" if near and not path else ""
        raise DeliveryError(
            f"there is no file {file}; stacks with a file are {', '.join(there) or 'none'}.{meant}"
        )
    environment = read(file)
    return StackFile(path=file, environment=environment, text=_text(file))


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", newline="") as opened:
        return opened.read()


def step_of(model: Model) -> Step:
    """What the file declares of a model's traffic."""
    canary = model.canary
    if canary is None:
        return Step(stable=model.stable.version)
    return Step(
        stable=model.stable.version,
        canary=Canary(version=canary.version, weight=canary.weight, shadow=canary.shadow),
    )


def _at(model: Model, step: Step) -> Model:
    canary = step.canary and Declared(
        version=step.canary.version, weight=step.canary.weight, shadow=step.canary.shadow
    )
    return replace(model, stable=replace(model.stable, version=step.stable), canary=canary)


def _without_step(path: Path, name: str, project: str) -> object:
    """The whole file as values, the model's step left out."""
    whole = cast("dict[str, Any]", document(path).value)
    config = {**whole["config"]}
    for key, models in list(config.items()):
        if own_key(key, project) == "models" and isinstance(models, Mapping):
            entries = cast("Mapping[str, Mapping[str, Any]]", models)
            kept = {k: v for k, v in entries[name].items() if k not in ("stable", "canary")}
            rest = {k: v for k, v in entries[name].get("stable", {}).items() if k != "version"}
            config[key] = {**entries, name: {**kept, "stable": rest}}
    return {**whole, "config": config}
