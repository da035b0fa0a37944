"""Traceability: what the registry has to say of every release that is served."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from policy.references import eu, nist, soc2
from policy.rule import Case, Check, Finding, Reference, Resource, Rule, Severity

RELEASE: Final = "delivery:registry:Release"
STEP: Final = "delivery:registry:Step"
"""The step that a model is to take, declared before anything of it is done."""
ROLLOUT: Final = "delivery:registry:Rollout"
"""The step that a model has taken."""
RISK_CLASSES: Final = ("minimal", "limited", "high")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def endpoint_of(release: Resource) -> str:
    """The model of the environment that a release serves, which its rollout has the name of; the registry may
    have it under another name."""
    return str(release.value("endpoint") or release.value("model", ""))


def called(release: Resource) -> str:
    """What a reader calls a release, by the registered model: ``churn v4``."""
    return f"{release.value('model', release.name)} v{release.value('version', 0):g}"


def _has(key: str, words: str, good: Callable[[object], bool] = bool) -> Check:
    """Checks that a release has a property, and that it is a good one."""

    def check(case: Case) -> Iterator[Finding]:
        found = case.resource.value(key)
        if not found:
            yield Finding(message=f"{called(case.resource)}: the registry has no {words} for it")
        elif not good(found):
            shown = str(found)[:80]
            yield Finding(message=f"{called(case.resource)}: `{shown}` is no {words} that can be followed up")

    return check


def _rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    check: Check,
    *references: Reference,
    severity: Severity = Severity.MEDIUM,
) -> Rule:
    return Rule(
        id=id,
        title=title,
        severity=severity,
        references=references,
        why=why,
        fix=fix,
        types=frozenset({RELEASE}),
        check=check,
        strict=True,
    )


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _signature(case: Case) -> Iterator[Finding]:
    missing = [part for part in ("inputs", "outputs") if not case.resource.value(f"signature.{part}")]
    if missing:
        yield Finding(
            message=f"{called(case.resource)}: its signature doesn't say its {' and '.join(missing)}"
        )


RULES: Final = (
    _rule(
        "release-digest",
        "A release is pinned to the digest of its artifact",
        "A digest names one content. Without it nobody can tell that what serves is what was evaluated.",
        "register the model again, so that the registry has its artifact",
        _has("digest", "digest", _matches(_DIGEST)),
        eu("Art. 15(5)"),
        soc2("CC8.1"),
        severity=Severity.CRITICAL,
    ),
    _rule(
        "release-run",
        "A release comes from a training run in the registry",
        "The run has the parameters and the figures that say how the model came about.",
        "train and register in one MLflow run, as `python -m pipeline train` does",
        _has("run", "training run"),
        eu("Art. 11(1)"),
        nist("GOVERN 1.6"),
        soc2("CC8.1"),
    ),
    _rule(
        "release-data-digest",
        "A release names its training data by a digest",
        "Whether a model was trained on the data that was approved can only be shown by the data's digest.",
        "register with the tag data.digest, as `python -m pipeline` does",
        _has("data", "digest of the training data"),
        eu("Art. 10(2)"),
        nist("MAP 2.3"),
    ),
    _rule(
        "release-commit",
        "A release names the git commit it was trained from",
        "Without the commit the training can't be repeated, nor what was changed be found.",
        "train from a clean checkout and register with the tag git.commit, all of the hash",
        _has("commit", "git commit", _matches(_COMMIT)),
        eu("Art. 11(1)"),
        soc2("CC8.1"),
    ),
    _rule(
        "release-code",
        "A release names the code that trained it",
        "A commit says when, the repository and the path say what: both are needed to read it.",
        "register with the tag training.code: the repository, the path and the command",
        _has("code", "training code"),
        eu("Art. 11(1)"),
        nist("MEASURE 2.1"),
    ),
    _rule(
        "release-metrics",
        "A release has metrics",
        "A version without figures can't be compared with the one it replaces.",
        "log the metrics of the evaluation in the training run",
        _has("metrics", "metrics"),
        eu("Art. 15(3)"),
        nist("MEASURE 2.3"),
    ),
    _rule(
        "release-signature",
        "A release declares its inputs and outputs",
        "Callers and the server check requests by the signature; without it a wrong request gets an answer.",
        "save the model with an MLflow signature of inputs and outputs",
        _signature,
        eu("Art. 11(1)"),
        nist("MEASURE 2.9"),
    ),
    _rule(
        "release-owner",
        "A release has an owner in the registry",
        "When a model does harm, somebody must be called, and somebody must have said that it may serve.",
        "register with the tag owner: a person or a team that can be reached",
        _has("owner", "owner"),
        eu("Art. 17(1)(m)"),
        nist("GOVERN 2.1"),
    ),
    _rule(
        "release-risk-class",
        "A release has a risk class in the registry",
        "The EU AI Act asks for more the higher a system's risk is: unclassified, nobody knows how much.",
        f"register with the tag risk.class: {', '.join(RISK_CLASSES)}",
        _has("riskClass", "risk class", lambda value: value in RISK_CLASSES),
        eu("Art. 6"),
        nist("GOVERN 1.3"),
    ),
    _rule(
        "release-model-card",
        "A release has a model card",
        "Who uses a model must be able to read what it is for, how well it does it and where it fails.",
        "register with a model card: its text or its address",
        _has("card", "model card"),
        eu("Art. 13(3)"),
        nist("MEASURE 2.9"),
    ),
)
