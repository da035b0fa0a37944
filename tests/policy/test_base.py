"""A pull request can't let itself through: what it loosens counts once it is merged."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.environment import ConfigError
from policy import base, pack
from policy.in_force import remark
from policy.rules import RULES

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STRICT = "environments: {prod: {level: mandatory, settings: {bakeHours: 24}}}\n"
ONE = """exemptions:
  half:
    rule: canary-step
    resource: delivery:registry:Rollout::fraud
    environment: prod
    reason: a test of the bank
    owner: risk-team
    until: 2026-12-04
"""


class Checkout:
    """A repository with a policy in it, whose first commit is the base."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "policy").mkdir()
        self._git("init", "--quiet")
        self.write(STRICT, ONE)
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "base")

    def _git(self, *words: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", self.folder, *identity, *words], check=True, capture_output=True)

    def write(self, enforcement: str, exemptions: str) -> None:
        (self.folder / "policy" / "enforcement.yaml").write_text(enforcement)
        (self.folder / "policy" / "exemptions.yaml").write_text(exemptions)

    def pack(self) -> pack.Pack:
        return pack.load("prod", self.folder / "policy", lambda: NOW)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    found = Checkout(tmp_path)
    monkeypatch.setattr(base, "ROOT", tmp_path)
    monkeypatch.setenv(base.VARIABLE, "HEAD")
    return found


def test_what_the_base_has_counts_as_ever(checkout: Checkout) -> None:
    found = checkout.pack()
    assert [one.name for one in found.exemptions.every] == ["half"] and found.withheld == ()
    assert all(found.enforcement.of(rule) == "mandatory" for rule in RULES)


@pytest.mark.parametrize(
    "exemptions",
    [
        ONE.replace("half:", "another:"),
        ONE.replace("2026-12-04", "2027-06-30"),
        ONE.replace("::fraud", "::churn"),
        ONE.replace("canary-step", "candidate-metrics"),
    ],
)
def test_an_exemption_of_the_change_itself_does_not_count_in_it(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, exemptions: str
) -> None:
    checkout.write(STRICT, exemptions)
    found = checkout.pack()
    assert found.exemptions.every == ()
    (note,) = found.withheld
    assert "is new or changed here: it counts once it is merged" in note
    # The merge itself is judged by what is merged.
    monkeypatch.delenv(base.VARIABLE)
    assert len(checkout.pack().exemptions.every) == 1 and checkout.pack().withheld == ()


def test_one_that_the_change_takes_away_is_gone_at_once(checkout: Checkout) -> None:
    checkout.write(STRICT, "exemptions: {}\n")
    assert checkout.pack().exemptions.every == ()


def test_a_level_or_a_figure_that_the_change_lowers_does_not_count_in_it(checkout: Checkout) -> None:
    lower = "environments: {prod: {rules: {canary-step: advisory}, settings: {bakeHours: 0}}}\n"
    checkout.write(lower, ONE)
    found = checkout.pack()
    assert found.enforcement.of("canary-step") == "mandatory"
    assert found.enforcement.settings.bake_hours == 24
    assert found.withheld == (
        "policy/enforcement.yaml makes canary-step advisory: that counts once it is merged",
        "policy/enforcement.yaml changes settings: until it is merged those of the base hold",
    )


def test_a_change_can_not_take_back_what_the_base_enforces_ahead_of_the_law(checkout: Checkout) -> None:
    loose = "environments: {prod: {level: advisory, euAiAct: %s}}\n"
    checkout.write(loose % "ahead", "exemptions: {}\n")
    checkout._git("commit", "--quiet", "--all", "--message", "ahead")
    checkout.write(loose % "as-set", "exemptions: {}\n")
    found = checkout.pack()
    assert found.enforcement.of("high-risk-approval") == "mandatory"
    assert found.enforcement.of("canary-step") == "advisory"
    assert found.withheld == tuple(
        f"policy/enforcement.yaml makes {rule} advisory: that counts once it is merged"
        for rule in sorted(rule.id for rule in RULES.values() if rule.high_risk)
    )
    # The other way round it counts at once, and its violations say why.
    checkout._git("commit", "--quiet", "--all", "--message", "as set")
    checkout.write(loose % "ahead", "exemptions: {}\n")
    found = checkout.pack()
    assert found.enforcement.of("high-risk-approval") == "mandatory" and found.withheld == ()
    assert "euAiAct: ahead" in remark(RULES["high-risk-approval"], found.enforcement, NOW.date())


def test_a_level_that_the_change_raises_counts_at_once(checkout: Checkout) -> None:
    checkout.write("environments: {prod: {level: advisory}}\n", "exemptions: {}\n")
    checkout._git("commit", "--quiet", "--all", "--message", "a loose base")
    checkout.write(STRICT, "exemptions: {}\n")
    assert checkout.pack().enforcement.of("canary-step") == "mandatory"


def test_a_base_that_is_not_there_stops_everything(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(base.VARIABLE, "0" * 40)
    with pytest.raises(ConfigError, match="is no commit of this checkout; fetch it"):
        checkout.pack()
