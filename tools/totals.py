"""Print the totals of a test run, read from the reports that pytest writes for machines (`--junitxml`).

Ends with 1 when a test failed, and when a report is missing or no test of it has run. A report after
`--may-skip` may have skipped them all, as it does where the machine can't run them; it is missing nowhere.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tools import errors
from tools.errors import ToolError

_MAY_SKIP = "--may-skip"


def totals(report: str) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of a report. An error outside a test counts as a failure."""
    passed = failed = skipped = 0
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed += 1
        elif "skipped" in outcomes:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main() -> int:
    """The command line: the paths of the reports, one for each part of the run."""
    words = sys.argv[1:]
    free = words[words.index(_MAY_SKIP) :] if _MAY_SKIP in words else []
    reports = [word for word in words if word != _MAY_SKIP]
    try:
        parts = [totals(Path(report).read_text()) for report in reports]
    except (OSError, ET.ParseError) as error:
        raise ToolError(f"pytest has left no report ({error}): it ended before it ran a test.") from error
    passed, failed, skipped = map(sum, zip(*parts, strict=True))
    sys.stdout.write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
    # Of those that may, what was skipped is something, too.
    some = [sum(part) if name in free else part[0] for name, part in zip(reports, parts, strict=True)]
    return 0 if all(some) and not failed else 1


if __name__ == "__main__":
    sys.exit(errors.run(main))
