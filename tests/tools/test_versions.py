"""Versions: read, compared, and pinned in one place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import versions
from tools.errors import ToolError
from tools.paths import ROOT

numbers = st.integers(0, 9999)


@given(
    st.tuples(numbers, numbers, numbers),
    st.sampled_from(["", "v", "pulumi v", "uv "]),
    st.sampled_from(["", "-dev.1", "+dirty", " (x86_64)"]),
)
def test_a_version_is_read_whatever_stands_around_it(
    version: versions.Version, before: str, after: str
) -> None:
    assert versions.parse(f"{before}{versions.show(version)}{after}") == version


def test_a_version_without_a_patch_number_has_patch_zero() -> None:
    assert versions.parse("go1.26".removeprefix("go")) == (1, 26, 0)


@pytest.mark.parametrize("text", ["", "v3", "unknown", "three.two.one"])
def test_a_text_without_a_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version"):
        versions.parse(text)


@pytest.mark.parametrize(
    ("found", "accepted"),
    [
        ((3, 259, 0), True),
        ((3, 259, 1), True),
        ((3, 300, 0), True),
        ((3, 258, 9), False),
        ((4, 0, 0), False),
        ((2, 999, 0), False),
    ],
)
def test_an_installed_tool_is_accepted_from_the_pinned_version_to_the_next_major(
    found: versions.Version, accepted: bool
) -> None:
    assert versions.accepts((3, 259, 0), found) is accepted


def test_the_cli_and_the_sdk_are_one_version() -> None:
    pinned = f'"pulumi=={versions.show(versions.pulumi())}"'
    assert pinned in (ROOT / "pyproject.toml").read_text()


def test_the_release_of_a_prometheus_module() -> None:
    major, minor, _ = versions.prometheus()
    assert f"v0.{major}{minor:02}." in (ROOT / "tools/go/prometheus/go.mod").read_text()


def test_a_go_mod_that_lost_its_pin_is_named(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n\ngo 1.25\n")
    with pytest.raises(ToolError, match=r"go\.mod doesn't require github\.com/pulumi"):
        versions.required(versions.PULUMI_MODULE, tmp_path / "go.mod")
    with pytest.raises(ToolError, match="can't be read"):
        versions.required(versions.PULUMI_MODULE, tmp_path / "absent" / "go.mod")
