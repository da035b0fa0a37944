"""Print the totals of a test run, read from the reports that pytest writes for machines (`--junitxml`).

Ends with 1 when a test failed, and when a report is missing or has no test at all.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tools import errors
from tools.errors import ToolError


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
    try:
        parts = [totals(Path(report).read_text()) for report in sys.argv[1:]]
    except (OSError, ET.ParseError) as error:
        raise ToolError(f"pytest has left no report ({error}): it ended before it ran a test.") from error
    passed, failed, skipped = map(sum, zip(*parts, strict=True))
    sys.stdout.write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
    return 1 if failed or not all(part[0] for part in parts) else 0


if __name__ == "__main__":
    sys.exit(errors.run(main))
