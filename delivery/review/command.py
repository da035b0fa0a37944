"""`python -m delivery review`: previews a stack and says what the change means.

Exit codes: 0 nothing stops it; 1 the preview or the review failed; 2 it was called wrongly; 3 a mandatory
rule doesn't hold.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from delivery.output import write
from delivery.review import as_json, github, markdown, preview, terminal
from delivery.review.errors import ReviewError
from delivery.review.events import read
from delivery.review.masking import Masker
from delivery.review.review import Outcome, Review, build
from policy.prices import EMBEDDED, PriceError, load

NAME = "review"
HELP = "preview a stack and say what the change means: traffic, models, resources, policy, cost"
_PACK = preview.ROOT / "policy"


class UsageError(Exception):
    """The command can't do what it is asked. The text says what is accepted."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--stack", default="local", help="the stack to preview (default: local)")
    add("--config-file", type=Path, help="another file than Pulumi.<stack>.yaml")
    add("--policy-pack", type=Path, default=_PACK, help="a pack that judges it beside policy/")
    add("--no-policy", action="store_true", help="preview without a policy pack")
    add(
        "--base",
        default="",
        help="the commit it is to be merged into: what it loosens in policy/ counts later",
    )
    add("--events", type=Path, help="review this event log instead of running a preview")
    add("--format", choices=("terminal", "markdown", "json"), default="terminal")
    add("--output", type=Path, help="write to this file instead of the standard output")
    add("--prices", type=Path, default=EMBEDDED, help="another price table than policy/prices.yaml")
    add("--post", action="store_true", help="write the comment to the pull request, over the one before")
    add("--repository", help="owner/name, with --post (default: GITHUB_REPOSITORY)")
    add("--pull-request", type=int, help="its number, with --post (default: from GITHUB_REF)")
    add("--verbose", action="store_true", help="tell why, how to fix and which framework asks, of advice too")
    add("--note", default="", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, environment: Mapping[str, str] | None = None) -> int:
    """Review; returns the exit code. ``environment`` is what the preview runs in (default: this one)."""
    try:
        review = _review(arguments, environment)
        _deliver(review, arguments)
    except ReviewError as error:
        return _failed(str(error), arguments)
    except (PriceError, UsageError) as error:
        sys.stderr.write(f"error: {error}\n")
        return Outcome.MISUSED
    except Exception as error:
        # Whatever it is, the comment of an older run must not stand there green.
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _failed(
            f"The review itself failed ({type(error).__name__}: {error}; {Path(where.filename).name}, line "
            f"{where.lineno}). That is a mistake in it: report it, with the event log.",
            arguments,
        )
    return review.outcome


def _failed(reason: str, arguments: argparse.Namespace) -> Outcome:
    # It may quote the engine: what looks like a secret is hidden here too.
    reason = Masker(None).output(reason)
    sys.stderr.write(f"error: {reason}\nThere is no review of this change.\n")
    _publish_failure(reason, arguments)
    return Outcome.FAILED


def _review(arguments: argparse.Namespace, environment: Mapping[str, str] | None) -> Review:
    prices = load(arguments.prices)
    pack: Path | None = None if arguments.no_policy else arguments.policy_pack
    events: Path | None = arguments.events
    if arguments.post:
        _target(arguments)
    if events is not None:
        try:
            text, source = events.read_text(encoding="utf-8"), str(events)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{events} can't be read: {error}.") from None
    else:
        if pack is not None and not (pack / "PulumiPolicy.yaml").exists():
            raise UsageError(
                f"{pack} is no policy pack: it has no PulumiPolicy.yaml. Name one with --policy-pack, or say "
                "--no-policy."
            )
        request = preview.Request(
            stack=arguments.stack,
            config_file=arguments.config_file,
            policy_pack=pack,
            environment=environment,
            base=arguments.base,
        )
        text, source = preview.run(request), "the event log"
    return build(
        read(text, source),
        stack=arguments.stack,
        prices=prices,
        today=datetime.now(UTC).date(),
        policy_expected=pack is not None,
        note=arguments.note,
        verbose=arguments.verbose,
    )


def _deliver(review: Review, arguments: argparse.Namespace) -> None:
    comment = markdown.render(review)
    _summarise(comment)
    if arguments.post:
        # First: whoever reads the output may have enough of it, and the comment is for everybody.
        sys.stderr.write(f"The comment is at {_post(comment, arguments)}\n")
    if arguments.format == "markdown":
        text = comment
    elif arguments.format == "json":
        text = as_json.render(review)
    else:
        text = terminal.render(review, colour=arguments.output is None and _coloured())
    if arguments.output is None:
        # A reader that has seen enough, such as `head`, changes nothing of the verdict.
        write(text)
    else:
        try:
            arguments.output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{arguments.output} can't be written: {error.strerror}.") from None


def _publish_failure(reason: str, arguments: argparse.Namespace) -> None:
    """Say that there is no review where the last one stands, which may be green."""
    comment = markdown.failed(arguments.stack, reason)
    _summarise(comment)
    if arguments.post:
        try:
            _post(comment, arguments)
        except ReviewError as error:
            sys.stderr.write(f"error: {error}\n")


def _summarise(comment: str) -> None:
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(comment)
        except OSError as error:
            sys.stderr.write(f"warning: the summary {summary} can't be written: {error.strerror}\n")


def _post(comment: str, arguments: argparse.Namespace) -> str:
    repository, number, token = _target(arguments)
    return github.post(
        comment,
        markdown.marker(arguments.stack),
        repository=repository,
        pull_request=number,
        token=token,
        api=os.environ.get("GITHUB_API_URL") or github.API,
    )


def _target(arguments: argparse.Namespace) -> tuple[str, int, str]:
    """Where to post: repository, number of the pull request, token. Raises UsageError."""
    repository = arguments.repository or os.environ.get("GITHUB_REPOSITORY", "")
    parts = os.environ.get("GITHUB_REF", "").split("/")
    named = int(parts[2]) if len(parts) == 4 and parts[1] == "pull" and parts[2].isdigit() else None
    number: int | None = arguments.pull_request or named
    token = os.environ.get("GITHUB_TOKEN", "")
    missing = [
        *(["the repository (--repository owner/name)"] if not repository else []),
        *(["the pull request (--pull-request N)"] if number is None else []),
        *(["a token (GITHUB_TOKEN)"] if not token else []),
    ]
    if missing or number is None:
        raise UsageError(f"--post needs {', '.join(missing)}.")
    return repository, number, token


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
