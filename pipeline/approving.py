"""A person's word on a version: that it may be used, and what its evaluation came to, as its tags."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pipeline.access import RegistryError, registered_version

Verdict = Literal["approved", "rejected"]
APPROVAL: tuple[str, ...] = ("approved.by", "approved.at", "approved.digest")
EVALUATION: tuple[str, ...] = ("evaluation", "evaluation.by", "evaluation.at", "evaluation.note")
_LONGEST = 500


def decide(*, by: str, digest: str, evaluation: Verdict | None, note: str, now: datetime) -> dict[str, str]:
    """The tags to set for a decision; a tag with an empty text is to be removed.

    Without ``evaluation`` the version is approved, and what was said of its evaluation stays. An evaluation
    that is rejected takes the approval back. An approval is of the artifact with ``digest``, and no other.
    """
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    tags: dict[str, str] = dict(zip(APPROVAL, (by, at, digest), strict=True))
    if evaluation == "rejected":
        tags = dict.fromkeys(APPROVAL, "")
    if evaluation:
        tags.update(zip(EVALUATION, (evaluation, by, at, note), strict=True))
    return tags


def approve(
    client: Any,
    model: str,
    version: int,
    *,
    by: str,
    evaluation: Verdict | None = None,
    note: str = "",
    now: datetime | None = None,
) -> dict[str, str]:
    """Record a decision in a registry, by its MLflow client. Returns the tags that the version has of it now.

    Raises RegistryError for a version that isn't there or whose artifact has no registered digest, and for a
    name or a note that isn't one line of text.
    """
    by = _line(by, "--by", "the name of the person who decides")
    note = _line(note, "--note", "one line that says why") if note else ""
    if note and evaluation is None:
        raise RegistryError("--note says what an evaluation came to: add --evaluation approved or rejected")
    found = registered_version(client, model, version)
    tags: Mapping[str, str] = found.tags
    digest = tags.get("artifact.digest", "")
    if not digest:
        raise RegistryError(
            f"{model} version {version} has no tag artifact.digest: nobody could tell what was approved."
            " Set the tag to the digest that a preview or an update shows, or register by"
            " `python -m pipeline train`"
        )
    if evaluation is None and tags.get("evaluation") == "rejected":
        why = tags.get("evaluation.note") or "no note"
        raise RegistryError(
            f"{model} version {version}: its evaluation was rejected by {tags.get('evaluation.by')} ({why});"
            " a new evaluation that approves it says so with --evaluation approved"
        )
    decided = decide(by=by, digest=digest, evaluation=evaluation, note=note, now=now or datetime.now(UTC))
    for key, value in decided.items():
        if value:
            client.set_model_version_tag(model, str(version), key, value)
        elif key in tags:
            client.delete_model_version_tag(model, str(version), key)
    kept = {key: value for key, value in tags.items() if key in (*APPROVAL, *EVALUATION)} | decided
    return {key: value for key, value in kept.items() if value}


def _line(text: str, option: str, what: str) -> str:
    text = text.strip()
    if not text or not text.isprintable() or len(text) > _LONGEST:
        raise RegistryError(f"{option} must be {what}: one line of text, 1 to {_LONGEST} characters")
    return text
