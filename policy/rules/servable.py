"""Whether servers of a release can start, now and again later: what the provider has found of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policy.references import eu, nist, soc2
from policy.rule import Case, Check, Finding, Rule, Severity
from policy.rules.releases import RELEASE, called


def _texts(key: str, what: str) -> Check:
    """Checks that a release has no texts in a list, which is there only where something was found."""

    def check(case: Case) -> Iterator[Finding]:
        if found := case.resource.items(key):
            yield Finding(message=f"{called(case.resource)} {what}: {'; '.join(map(str, found))}")

    return check


def _lost(case: Case) -> Iterator[Finding]:
    if lost := case.resource.value("lost"):
        yield Finding(message=f"{called(case.resource)} is pinned, and the registry no longer has it: {lost}")


RULES: Final = (
    Rule(
        id="release-kept",
        title="The registry still has what a release is pinned to",
        severity=Severity.HIGH,
        references=(soc2("A1.2"), eu("Art. 12(1)")),
        why="A server that starts again fetches the artifact, and can't fetch what was deleted.",
        fix="restore the version and its artifact, or move the model to a version that the registry has",
        types=frozenset({RELEASE}),
        check=_lost,
        strict=True,
    ),
    Rule(
        id="release-servable",
        title="The model server can serve a release",
        severity=Severity.HIGH,
        references=(soc2("A1.2"),),
        why="Servers of it that run go on, and one that starts again may not become ready.",
        fix="register a version that the server can serve, and move the model to it",
        types=frozenset({RELEASE}),
        check=_texts("refusals", "would be refused if it were new"),
        strict=True,
    ),
    Rule(
        id="release-versions",
        title="The server's libraries are those that a release was written with",
        severity=Severity.HIGH,
        references=(nist("MEASURE 2.5"), soc2("CC8.1")),
        why="In another version of its library a model may fail, or answer otherwise than in its evaluation.",
        fix="train and log it again with the server's versions",
        types=frozenset({RELEASE}),
        check=_texts("mismatches", "was written with other versions than the server has"),
        strict=True,
    ),
)
