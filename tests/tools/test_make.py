"""What make and .ci/run use: the totals of a test run, cleaning up, finding Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import clean, totals
from tools.local import LocalStack
from tools.paths import ROOT

REPORT = """<testsuites><testsuite tests="5">
<testcase name="a"/><testcase name="b"><properties/></testcase>
<testcase name="c"><failure/></testcase><testcase name="d"><error/></testcase>
<testcase name="e"><skipped/></testcase></testsuite></testsuites>"""
PASSED = '<testsuite><testcase name="a"/></testsuite>'
SKIPPED = '<testsuite><testcase name="a"><skipped/></testcase></testsuite>'
EMPTY = "<testsuite/>"
MAY_SKIP = "--may-skip"


def test_totals_are_counted_by_outcome() -> None:
    assert totals.totals(REPORT) == (2, 2, 1)


@pytest.mark.parametrize(
    ("reports", "line", "code"),
    [
        ([REPORT], "2 passed, 2 failed, 1 skipped\n", 1),
        ([PASSED], "1 passed, 0 failed, 0 skipped\n", 0),
        ([PASSED, PASSED], "2 passed, 0 failed, 0 skipped\n", 0),
        ([PASSED, REPORT], "3 passed, 2 failed, 1 skipped\n", 1),
        ([EMPTY], "0 passed, 0 failed, 0 skipped\n", 1),
        ([PASSED, EMPTY], "1 passed, 0 failed, 0 skipped\n", 1),
        ([PASSED, SKIPPED], "1 passed, 0 failed, 1 skipped\n", 1),
        ([PASSED, MAY_SKIP, SKIPPED], "1 passed, 0 failed, 1 skipped\n", 0),
        ([SKIPPED, MAY_SKIP, PASSED], "1 passed, 0 failed, 1 skipped\n", 1),
        ([PASSED, MAY_SKIP, EMPTY], "1 passed, 0 failed, 0 skipped\n", 1),
        ([PASSED, MAY_SKIP, REPORT], "3 passed, 2 failed, 1 skipped\n", 1),
    ],
)
def test_no_test_at_all_in_one_part_is_a_failure(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reports: list[str],
    line: str,
    code: int,
) -> None:
    words = ["totals"]
    for index, report in enumerate(reports):
        words.append(MAY_SKIP if report == MAY_SKIP else str(tmp_path / f"{index}.xml"))
        if report != MAY_SKIP:
            Path(words[-1]).write_text(report)
    monkeypatch.setattr("sys.argv", words)
    assert totals.main() == code
    assert capsys.readouterr().out == line


def test_a_run_that_left_no_report_is_named(tmp_path: Path) -> None:
    answer = subprocess.run(
        [os.environ.get("PYTHON", "python3"), "-m", "tools.totals", tmp_path / "absent"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: pytest has left no report")
    assert "Traceback" not in answer.stderr


def test_what_still_runs_is_counted(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: tiny\n")
    stack = LocalStack(tmp_path)
    assert clean.resources(stack) == 0
    stack.checkpoint.parent.mkdir(parents=True)
    resources = [{"type": "pulumi:pulumi:Stack"}, {"type": "delivery:local:Process"}]
    stack.checkpoint.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    assert clean.resources(stack) == 1
    stack.checkpoint.write_text(json.dumps({"checkpoint": {}}))
    assert clean.resources(stack) == 0


def test_a_machine_without_a_new_enough_python_gets_one_message(tmp_path: Path) -> None:
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(
            Path("/usr/bin") / name if (Path("/usr/bin") / name).exists() else Path("/bin") / name
        )
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    fresh = tmp_path / "fresh"  # a checkout without an environment
    (fresh / "tools").mkdir(parents=True)
    shutil.copy2(ROOT / "pulumiw", fresh)
    shutil.copy2(ROOT / "tools" / "python.sh", fresh / "tools")
    answer = subprocess.run(
        ["/bin/sh", fresh / "pulumiw", "up"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[0].startswith("error: Python 3.11 or newer is needed")
    assert len(answer.stderr.splitlines()) == 2


@pytest.mark.parametrize("part", ["test", "cluster", "image"])
@pytest.mark.parametrize(
    ("tests", "status", "line"),
    [
        ('<testcase name="a"/>', 0, "3 passed, 0 failed, 0 skipped"),
        ('<testcase name="a"/>', 4, "3 passed, 0 failed, 0 skipped"),
        ('<testcase name="a"><failure/></testcase>', 1, "2 passed, 1 failed, 0 skipped"),
        ("", 5, "2 passed, 0 failed, 0 skipped"),  # as pytest ends when it finds no test
        ("", 0, "2 passed, 0 failed, 0 skipped"),
        ('<testcase name="a"><skipped/></testcase>', 0, "2 passed, 0 failed, 1 skipped"),
        ("<", 3, "error: pytest has left no report"),
    ],
)
def test_ci_fails_unless_tests_of_each_part_ran_and_passed(
    tmp_path: Path, part: str, tests: str, status: int, line: str
) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__", "go"))
    (tmp_path / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    for name in ("test", "cluster", "image"):
        (tmp_path / f"{name}.xml").write_text(PASSED)
    (tmp_path / f"{part}.xml").write_text(f"<testsuite>{tests}</testsuite>")
    report = "$(patsubst --junitxml=%,%,$(filter --junitxml=%,$(TESTS)))"
    recipe = f"\t@cp $(notdir {report}) {report}; echo $(notdir {report}) ran\n"
    recipe += f"\t@case {report} in */{part}.xml) exit {status} ;; esac\n"
    (tmp_path / "Makefile").write_text(f"setup check:\n\t@true\ntest test-cluster test-image:\n{recipe}")
    answer = subprocess.run([tmp_path / ".ci/run"], cwd="/", capture_output=True, text=True, check=False)
    # Only where no Docker engine can run may all of a part be skipped.
    passed = {"3 passed, 0 failed, 0 skipped"} | (
        {"2 passed, 0 failed, 1 skipped"} if part == "image" else set()
    )
    assert (answer.returncode == 0) == (status == 0 and line in passed)
    ran = [said for said in answer.stdout.splitlines() if said.endswith(" ran")]
    assert ran == ["test.xml ran", "cluster.xml ran", "image.xml ran"]
    assert any(said.startswith(line) for said in [*answer.stdout.splitlines(), *answer.stderr.splitlines()])


def test_no_locale_keeps_make_from_printing_what_it_has_to_say() -> None:
    done = subprocess.run(
        ["make", "-s", "-f", "Makefile", "-f", "-", "say"],
        cwd=ROOT,
        input=f"say:\n\t@'{sys.executable}' -c 'print(chr(0x2026))'\n",
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.stdout, done.stderr) == ("…\n", "")


def test_every_target_that_help_lists_exists() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = [line.split()[1] for line in listed.splitlines()]
    assert {"up", "down", "test", "test-fast", "check", "clean"} <= set(targets)
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)
