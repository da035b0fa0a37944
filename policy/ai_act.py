"""From when the EU AI Act asks what, as data: Regulation (EU) 2024/1689 as Regulation (EU) 2026/1744 left it.

The second is the "Digital Omnibus on AI" of 8 July 2026 (Official Journal L, 2026/1744, 24 July 2026), in
force since 27 July 2026. Its Article 1(40) replaces dates in Article 113; its Article 1(39) amends Article
111.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from policy.rule import Application

CHECKED: Final = date(2026, 11, 27)
"""The day on which the sources were last read; docs/compliance.md says what was law on it."""

ACT: Final = "https://eur-lex.europa.eu/eli/reg/2024/1689/oj"
OMNIBUS: Final = "https://eur-lex.europa.eu/eli/reg/2026/1744/oj"

HIGH_RISK: Final = Application(
    annex_iii=date(2027, 12, 2),
    annex_i=date(2028, 8, 2),
    basis="Art. 113, third paragraph, point (c): Chapter III, Sections 1 to 3, but for Art. 6(5)",
    source=OMNIBUS,
)
"""Articles 6 to 27: which systems are high-risk, what they must be like, what providers and deployers owe."""

AFTER_MARKET: Final = Application(
    annex_iii=HIGH_RISK.annex_iii,
    annex_i=HIGH_RISK.annex_i,
    basis="Art. 113, second paragraph: Chapter IX",
    source=ACT,
    reading="Chapter IX has the general date, 2 August 2026, but binds providers of high-risk systems alone, "
    "and Art. 6, which says which systems those are, applies from the later dates. So it is read as binding "
    "no provider before them; no source was found that decides it.",
)
"""Article 72, post-market monitoring."""

_ARTICLES: Final[Mapping[range, Application]] = {range(6, 28): HIGH_RISK, range(72, 73): AFTER_MARKET}
_ARTICLE: Final = re.compile(r"Art\. (\d+)")


def application(clause: str) -> Application:
    """The dates of an article that is about high-risk systems: ``Art. 12(1)``.

    Raises ValueError for one whose dates aren't known here: a reference without a date would say nothing.
    """
    if (match := _ARTICLE.match(clause)) and not clause.startswith("Art. 6(5)"):
        for articles, dates in _ARTICLES.items():
            if int(match[1]) in articles:
                return dates
    raise ValueError(f"{clause}: policy/ai_act.py doesn't say from when it applies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A day from which something applies."""

    since: date
    what: str
    basis: str
    source: str


MILESTONES: Final = (
    Milestone(
        since=date(2025, 2, 2),
        what="Prohibited practices (Art. 5) and AI literacy (Art. 4)",
        basis="Art. 113, third paragraph, point (a)",
        source=ACT,
    ),
    Milestone(
        since=date(2025, 8, 2),
        what="General-purpose AI models (Chapter V), governance, penalties",
        basis="Art. 113, third paragraph, point (b)",
        source=ACT,
    ),
    Milestone(
        since=date(2026, 8, 2),
        what="Everything with no date of its own, so what people are told of an AI system (Art. 50): no rule "
        "here asks for that, which is about what an application shows",
        basis="Art. 113, second paragraph",
        source=ACT,
    ),
    Milestone(
        since=date(2026, 12, 2),
        what="Marking of synthetic content (Art. 50(2)) by systems that were on the market before "
        "2 August 2026; two more prohibited practices (Art. 5(1)(ba) and (bb))",
        basis="Art. 111(4); Art. 113, third paragraph, point (a)",
        source=OMNIBUS,
    ),
    Milestone(
        since=HIGH_RISK.annex_iii,
        what="High-risk systems of Annex III, such as credit scoring and recruitment (Art. 6 to 27). One "
        "that was on the market before is bound only once its design changes significantly",
        basis="Art. 113, third paragraph, point (c)(i); Art. 111(2)",
        source=OMNIBUS,
    ),
    Milestone(
        since=HIGH_RISK.annex_i,
        what="High-risk systems in products of Annex I, such as medical devices; otherwise the same",
        basis="Art. 113, third paragraph, point (c)(ii); Art. 111(2)",
        source=OMNIBUS,
    ),
    Milestone(
        since=date(2030, 8, 2),
        what="High-risk systems for public authorities, also those that were on the market before",
        basis="Art. 111(2)",
        source=OMNIBUS,
    ),
)
"""In the order of their days."""
