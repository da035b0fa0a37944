"""What is known of a model's steps: what the stack has applied, or else what git has of its file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import yaml

from components.environment.stack_file import own_key, project_of
from delivery import login
from delivery.stack_file import ROOT
from policy.rule import Resource
from policy.rules.releases import RELEASE, ROLLOUT, STEP, endpoint_of
from policy.steps import Step, step

_SECONDS = 120
_COMMITS = 200


class NoStateError(Exception):
    """The stack's state can't be had. The text says why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One model before a step is taken."""

    source: str
    """Where this is known from, for the reader."""
    step: Step | None = None
    """The step that was applied last; None: nothing was yet."""
    since: datetime | None = None
    """When it was first applied."""
    previous: int | None = None
    """The older version that was stable before the one that the file names, None where nobody knows."""
    previous_source: str = ""
    unfinished: Step | None = None
    """A step that was begun after that one and never recorded: its update failed or was killed, and traffic
    may go by either. None: there is none, or the source doesn't know."""
    served: tuple[int, ...] = ()
    """Versions that answered requests before that step, the latest last."""
    risk_class: str = ""
    registered_model: str | None = None
    """The registered model that the step's versions are of, None where that has the model's own name."""
    releases: tuple[Resource, ...] = ()
    """Its versions that the stack has pinned, with what the registry said of them; none of another registered
    model than the file names."""


def rollouts(stack: str) -> dict[str, Mapping[str, Any]]:
    """Every model's rollout as the stack has it, by name. Raises NoStateError."""
    return found_in(exported(stack))


def exported(stack: str) -> Mapping[str, Any]:
    """The state of a stack as Pulumi exports it. Raises NoStateError."""
    command = [str(ROOT / "pulumiw"), "stack", "export", "--stack", stack, "--non-interactive"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoStateError(f"pulumi can't be asked: {error}") from None
    if done.returncode:
        if how := login.advice(done.stderr, stack):
            raise NoStateError(how)
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise NoStateError(lines[-1].removeprefix("error: ") if lines else "pulumi failed without a word")
    try:
        return cast("Mapping[str, Any]", json.loads(done.stdout))
    except ValueError as error:
        raise _unreadable(error) from None


def found_in(export: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rollouts in an exported state, by model. Raises NoStateError."""
    try:
        return {str(found["outputs"]["model"]): found["outputs"] for found in _of_type(export, ROLLOUT)}
    except (LookupError, TypeError, AttributeError) as error:
        raise _unreadable(error) from None


def unfinished_in(export: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The steps in an exported state that were begun and are in no rollout, by model. Raises NoStateError."""
    done = found_in(export)
    try:
        begun = {str(found["outputs"]["model"]): found["outputs"] for found in _of_type(export, STEP)}
        return {
            model: found
            for model, found in begun.items()
            if model not in done
            or step(found) != step(done[model])
            or found.get("registeredModel") != done[model].get("registeredModel")
        }
    except (LookupError, TypeError, AttributeError) as error:
        raise _unreadable(error) from None


def releases_in(
    export: Mapping[str, Any], model: str, registered_model: str | None = None
) -> tuple[Resource, ...]:
    """The releases of a model in an exported state, as policies see them: versions of ``registered_model``
    (None: of the model's own name). Raises NoStateError."""
    try:
        releases = [
            Resource(type=RELEASE, name=str(found["urn"]).rpartition("::")[2], properties=found["outputs"])
            for found in _of_type(export, RELEASE)
        ]
        return tuple(
            release
            for release in releases
            if endpoint_of(release) == model and release.value("model") == (registered_model or model)
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise _unreadable(error) from None


def _of_type(export: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    resources = cast("Sequence[Mapping[str, Any]]", (export.get("deployment") or {}).get("resources") or ())
    return [found for found in resources if found.get("type") == kind and not found.get("delete")]


def _unreadable(error: Exception) -> NoStateError:
    return NoStateError(f"its export can't be read ({type(error).__name__})")


def applied(
    rollout: Mapping[str, Any] | None, stack: str, declared: int, registered_model: str | None = None
) -> Past:
    """What a state says of a model, of which a file declares the stable version ``declared`` of
    ``registered_model`` (None: of the model's own name)."""
    source = f"the state of {stack}"
    if rollout is None:
        return Past(source=source)
    now, was = step(rollout), cast("Mapping[str, Any] | None", rollout.get("was"))
    # Versions count upwards, those of one registered model.
    before = [step(each).stable for each in (rollout, was) if each and _registered(each) == registered_model]
    return Past(
        source=source,
        step=now,
        since=_time(rollout.get("since")),
        previous=next((version for version in before if version < declared), None),
        previous_source=source,
        served=tuple(int(version) for version in rollout.get("served", ())),
        risk_class=str(rollout.get("riskClass") or ""),
        registered_model=_registered(rollout),
    )


def _registered(rollout: Mapping[str, Any]) -> str | None:
    return str(rollout.get("registeredModel") or "") or None


def committed(path: Path, model: str, declared: int, registered_model: str | None = None) -> Past | None:
    """What git has of a model in the file at ``path``, which declares the stable version ``declared`` of
    ``registered_model``; None where git has nothing of it."""
    commits = _git(path, "log", f"-{_COMMITS}", "--format=%H%x09%cI%x09%s", "--", path.name)
    steps: list[tuple[_Declared, datetime, str]] = []
    for line in (commits or "").splitlines():
        commit, time, subject = line.split("\t", 2)
        found = _step_in(_git(path, "show", f"{commit}:./{path.name}") or "", model, project_of(path))
        if found is not None:
            steps.append((found, datetime.fromisoformat(time), f"git ({commit[:8]}, {subject[:60]})"))
    if not steps:
        return None
    now = steps[0][0]
    # The commit that brought today's step is the last in a row, going back, that has it.
    first = next((i for i, (found, _, _) in enumerate(steps) if found != now), len(steps)) - 1
    earlier = [found.step for found, _, _ in reversed(steps[first + 1 :]) if found.of == now.of]
    stable = ((s.step.stable, source) for s, _, source in steps if s.of == registered_model)
    other = next(((version, source) for version, source in stable if version < declared), None)
    return Past(
        source=steps[first][2],
        step=now.step,
        registered_model=now.of,
        since=steps[first][1],
        previous=other[0] if other else None,
        previous_source=other[1] if other else "",
        served=tuple(v for found in earlier for v in sorted(found.declared) if found.share(v)),
    )


def past(
    stack: str,
    path: Path,
    model: str,
    declared: int,
    ask: bool = True,
    assumed: Step | None = None,
    registered_model: str | None = None,
) -> Past:
    """What is known of a model, of which the file declares the stable version ``declared`` of
    ``registered_model``: by the stack's state if ``ask``, else or where there is none by git; where that has
    nothing either, ``assumed`` is what was applied."""
    reason = "not asked for its state"
    if ask:
        try:
            export = exported(stack)
            found = applied(found_in(export).get(model), stack, declared, registered_model)
            begun = unfinished_in(export).get(model)
            return replace(
                found,
                unfinished=step(begun) if begun else None,
                releases=releases_in(export, model, registered_model),
            )
        except NoStateError as error:
            reason = f"no state of {stack}: {error}"
    found = committed(path, model, declared, registered_model)
    if found is None:
        what = "what the file said" if assumed else "nothing before it"
        source = f"{what} ({reason}; not in git)"
        return Past(step=assumed, source=source, registered_model=registered_model)
    return replace(found, source=f"{found.source}; {reason}")


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _git(path: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(path.parent), *words], capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class _Declared:
    """A step in a text of the file, and the registered model that it is of (None: the model's own name)."""

    step: Step
    of: str | None


def _step_in(text: str, model: str, project: str) -> _Declared | None:
    """A model's step in an older text of the file; None where it isn't there, or isn't understood today."""
    try:
        config = yaml.safe_load(text)["config"]
        models = next(value for key, value in config.items() if own_key(key, project) == "models")
        of = _registered(models[model])
        return _Declared(step(models[model]), None if of == model else of)
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError, StopIteration):
        return None
