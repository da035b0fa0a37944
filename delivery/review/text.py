"""Foreign text made harmless in a comment: names, tags, descriptions and values come out as text. Pure.

On GitHub a comment's text is Markdown with HTML, and names of people, teams and issues in it are links that
tell somebody. In code none of this holds, so what isn't ours stands in code; sentences of the policy pack and
the engine stand in the text, with everything escaped that means something there.
"""

from __future__ import annotations

import re

LONGEST = 300
_LONGEST_LINE = 1000
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?(?:\x1b\\|$)|[@-Z\\-_])"
)
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e01ef\ud800-\udfff]"
)
_MARKDOWN = re.compile(r"[\\`*_{}\[\]!|<>~&$]|^[#+=-]|^(?<![0-9])[0-9]+(?=[.)])")
_LINK = re.compile(r"@|#(?=\d)|:(?=//)|(?<=www)\.|(?<=GH)-(?=\d)", re.IGNORECASE)
_APART = "&#8203;"
"""A zero-width space: what follows is no longer the start of a mention, a reference or a link."""


def plain(text: str, longest: int = LONGEST) -> str:
    """One line of text without terminal codes, control characters and invisible ones, cut if it is long."""
    if text.isascii() and text.isprintable():
        line = text.strip()
    else:
        line = _ANSI.sub("", text.replace("\r", "\n").replace("\t", " ")).replace("\n", " ")
        line = _CONTROL.sub("", line).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def code(text: str, longest: int = LONGEST, *, table: bool = False) -> str:
    """A text as a code span, whatever is in it. ``table``: it stands in a cell."""
    line = plain(text, longest)
    if not line:
        return "–"
    longest_run = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest_run + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    if table:
        line = line.replace("|", "\\|")
    return f"{fence}{space}{line}{space}{fence}"


def prose(text: str, longest: int = 1000) -> str:
    """A sentence with everything escaped that Markdown, HTML or GitHub would take for more than text."""
    line = _LINK.sub(lambda found: f"{found[0]}\x00", plain(text, longest))
    return _MARKDOWN.sub(_escaped, line).replace("\x00", _APART)


def _escaped(found: re.Match[str]) -> str:
    # A number that would start a list: the sign after it is the one to escape.
    return f"{found[0]}{_APART}" if found[0].isdigit() else f"\\{found[0]}"


def block(lines: list[tuple[str, str]], language: str) -> str:
    """Lines, each with its mark, as a fenced block that nothing in them can close."""
    cleaned = [f"{mark} {plain(line, _LONGEST_LINE)}" for mark, line in lines]
    runs = [len(run) for line in cleaned for run in re.findall(r"`{3,}", line)]
    fence = "`" * max([3, *(run + 1 for run in runs)])
    return "\n".join([f"{fence}{language}", *cleaned, fence])
