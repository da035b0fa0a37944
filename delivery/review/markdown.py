"""A review as a Markdown comment, short enough for the place where it is posted. Pure."""

from __future__ import annotations

from delivery.review import sections
from delivery.review.review import Review
from delivery.review.sections import Section
from delivery.review.text import code, prose

LIMIT = 65_536
"""The longest comment that GitHub takes, in characters. Counted in bytes here, which are never fewer."""
_LEAST_FIRST = (
    "full diff",
    "stack outputs",
    "warnings",
    "advice",
    "resources",
    "cost",
    "models",
    "traffic",
    "policy",
)

SECTIONS = (
    Section(name="verdict", write=sections.verdict, levels=(None,)),
    Section(name="errors", write=sections.errors, levels=(None, 10, 3)),
    Section(name="deletions and replacements", write=sections.destructive, levels=(None, 100, 20, 0)),
    Section(name="policy", write=sections.policies, levels=(None, 50, 20, 5)),
    Section(name="traffic", write=sections.traffic, levels=(None, 200, 50, 10)),
    Section(name="models", write=sections.models, levels=(None, 20, 5, 0)),
    Section(name="resources", write=sections.resources, levels=(None, 100, 30, 10, 0)),
    Section(name="cost", write=sections.cost, levels=(None, 20, 0)),
    Section(name="advice", write=sections.advice, levels=(None, 10, 0)),
    Section(name="warnings", write=sections.warnings, levels=(None, 20, 5, 0)),
    Section(name="stack outputs", write=sections.outputs, levels=(None, 20, 0)),
    Section(name="full diff", write=sections.full, levels=(None, 100, 20, 0)),
)


def marker(stack: str) -> str:
    """The hidden line by which a later review finds the comment of a stack."""
    safe = "".join(c if c.isalnum() or c in "._/-" else f"%{ord(c):x}" for c in stack).replace("--", "%2d%2d")
    return f"<!-- model-delivery review {safe} -->"


def render(review: Review, *, limit: int = LIMIT, footer: str = "") -> str:
    """The comment, never longer than ``limit`` bytes; ``footer`` is Markdown of ours."""
    levels = {section.name: 0 for section in SECTIONS}
    whole = {section.name: _write(section, review, 0) for section in SECTIONS}
    written = dict(whole)
    head = sections.title(review)
    foot = "\n\n".join(part for part in (footer, marker(review.stack)) if part)
    budget = limit - _bytes(head) - _bytes(foot) - 400
    for name in (*_LEAST_FIRST, "deletions and replacements", "errors"):
        section = next(s for s in SECTIONS if s.name == name)
        while sum(map(_bytes, written.values())) > budget and levels[name] + 1 < len(section.levels):
            levels[name] += 1
            written[name] = _write(section, review, levels[name])
    shortened = [s.name for s in SECTIONS if levels[s.name] and written[s.name] != whole[s.name]]
    note = (
        f"_Shortened to fit in a comment: {', '.join(shortened)}. "
        "`make review` shows all of it in a terminal._"
        if shortened
        else ""
    )
    text = "\n\n".join(part for part in (head, *(written[s.name] for s in SECTIONS), note, foot) if part)
    # Whatever a section let through: no known secret leaves here.
    masked = review.masker.known.sub("[secret]", text) if review.masker.known else text
    return _cut(masked, limit, foot)


def failed(stack: str, reason: str) -> str:
    """The comment where there is no review: it takes the place of an older one, which may be green."""
    return "\n\n".join(
        (
            f"## ❌ {code(stack, 60)}: there is no review of this change",
            *(prose(line, 2000) for line in reason.splitlines()[:20] if line.strip()),
            f"{marker(stack)}\n",
        )
    )


def _write(section: Section, review: Review, level: int) -> str:
    return "\n".join(section.write(review, section.levels[level]))


def _cut(text: str, limit: int, foot: str) -> str:
    """Never needed while sections keep their levels; a comment that is refused says nothing at all."""
    if _bytes(text) <= limit:
        return f"{text}\n"
    note = "\n\n_Cut here: the comment would have been too long._\n\n"
    kept = text.encode()[: limit - _bytes(note) - _bytes(foot) - 8].decode(errors="ignore")
    return f"{kept.rpartition(chr(10))[0]}{note}{foot}\n"


def _bytes(text: str) -> int:
    return len(text.encode())
