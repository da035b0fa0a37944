"""What enforcement.yaml and exemptions.yaml may say, and what is said of mistakes in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from components.environment import ConfigError
from policy import enforcement, exemptions
from policy.enforcement import Environments
from policy.rules import RULES as SHIPPED

RULES = frozenset({"canary-step", "stable-without-canary"})
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def environments(file: Path, text: str) -> Environments:
    file.write_text(text)
    return enforcement.read(RULES, file)


def refused(file: Path, text: str, read: str = "enforcement") -> str:
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        if read == "enforcement":
            enforcement.read(RULES, file)
        else:
            exemptions.read(RULES, NOW, file)
    return str(error.value)


def test_the_files_that_are_shipped_can_be_used() -> None:
    shipped = enforcement.read(SHIPPED)
    assert shipped.of("prod").level == "mandatory" and shipped.of("dev").level == "advisory"
    assert shipped.of("local").of("canary-step") == "mandatory"
    exemptions.read(SHIPPED, datetime.now(UTC))


def test_an_environment_starts_from_the_defaults(file: Path) -> None:
    found = environments(
        file,
        "defaults: {settings: {firstPercent: 5, bakeHours: 48}}\n"
        "environments: {dev: {level: advisory, rules: {canary-step: mandatory}, settings: {bakeHours: 0}}}\n",
    )
    dev = found.of("dev")
    assert (dev.of("canary-step"), dev.of("stable-without-canary")) == ("mandatory", "advisory")
    assert (dev.settings.limits.first, dev.settings.limits.bake_hours) == (5, 0)
    assert found.of("prod").settings.limits.bake_hours == 48


def test_a_stack_that_is_not_named_is_as_strict_as_the_defaults(file: Path) -> None:
    found = environments(file, "environments: {dev: {level: advisory}}")
    assert found.of("staging").of("canary-step") == "mandatory"
    assert found.of("org/model-delivery/dev").of("canary-step") == "advisory"


def test_an_environments_level_is_for_all_rules_and_its_own_rules_come_on_top(file: Path) -> None:
    defaults = "defaults: {level: mandatory, rules: {canary-step: advisory}}\n"
    found = environments(
        file, defaults + "environments: {a: {settings: {bakeHours: 1}}, b: {level: mandatory}}"
    )
    assert found.of("a").of("canary-step") == "advisory"
    assert found.of("b").of("canary-step") == "mandatory"


def test_every_mistake_is_told_with_its_line_what_is_accepted_and_what_is_near(file: Path) -> None:
    told = refused(
        file,
        "defaults:\n  level: mandatroy\n  rules:\n    canary-stepp: mandatory\n    canary-step: never\n"
        "environments:\n  prod:\n    settings:\n      bakeHour: 3\n      firstPercent: 10%\n"
        "environment: {}\n",
    )
    assert 'line 2, defaults.level is "mandatroy": must be one of: mandatory, advisory. Did you mean' in told
    assert "line 4, defaults.rules.canary-stepp" in told and "Did you mean canary-step?" not in told
    assert 'line 5, defaults.rules.canary-step is "never"' in told
    assert "line 9, environments.prod.settings.bakeHour is 3: unknown key" in told and "bakeHours?" in told
    assert "line 10, environments.prod.settings.firstPercent" in told and "from 0 to 100" in told
    assert "line 11, environment" in told and "accepted: defaults, environments" in told
    assert "policy/file.yaml has 6 mistakes" in told


def test_the_ai_act_is_enforced_as_the_environment_or_else_the_defaults_say(file: Path) -> None:
    found = environments(
        file, "defaults: {euAiAct: ahead}\nenvironments: {dev: {euAiAct: as-set}, prod: {level: mandatory}}\n"
    )
    assert [found.of(name).act for name in ("dev", "prod", "other")] == ["as-set", "ahead", "ahead"]
    assert environments(file, "").of("prod").act == "as-set"
    told = refused(file, "environments: {prod: {euAiAct: on-dat}}")
    assert "environments.prod.euAiAct" in told and "as-set, on-date, ahead. Did you mean on-date?" in told


def test_an_unknown_rule_is_told_with_the_nearest(file: Path) -> None:
    told = refused(file, "environments: {prod: {rules: {canary-stp: advisory}}}")
    assert "environments.prod.rules.canary-stp" in told and "Did you mean canary-step?" in told


@pytest.mark.parametrize("text", ["[]", "defaults: 3", "environments: [prod]", "environments: {prod: yes}"])
def test_what_is_no_map_is_refused(file: Path, text: str) -> None:
    assert "must be a map" in refused(file, text)


@pytest.mark.parametrize(
    "setting",
    [
        "firstPercent: 101",
        "increasePercent: 0",
        "bakeHours: -1",
        "metricTolerance: 2",
        "minReplicas: 0",
        "logDays: 0",
        "keyDeletionDays: 6",
        "maxGpus: -1",
        "monthlyCost: -1",
        "requiredTags: [team, team]",
        "requiredTags: owner",
    ],
)
def test_a_setting_out_of_its_range_is_refused(file: Path, setting: str) -> None:
    assert setting.split(":")[0] in refused(file, f"defaults: {{settings: {{{setting}}}}}")


def test_every_setting_is_read(file: Path) -> None:
    text = (
        "{firstPercent: 1, increasePercent: 2, bakeHours: 3.5, metricTolerance: 0.4, minReplicas: 5, "
        "logDays: 6, keyDeletionDays: 7, maxGpus: 8, monthlyCost: 9, requiredTags: [team, cost-centre]}"
    )
    found = environments(file, f"defaults: {{settings: {text}}}").of("prod").settings
    assert (found.first_percent, found.increase_percent, found.bake_hours) == (1, 2, 3.5)
    assert (found.metric_tolerance, found.min_replicas, found.log_days) == (0.4, 5, 6)
    assert (found.key_deletion_days, found.max_gpus, found.monthly_cost) == (7, 8, 9)
    assert found.required_tags == ("team", "cost-centre")
    assert environments(file, "defaults: {settings: {requiredTags: []}}").of("x").settings.required_tags == ()


def test_a_file_that_is_missing_or_no_yaml_is_one_message(file: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        enforcement.read(RULES, file)
    assert "file.yaml:1" in refused(file, "defaults: {level: mandatory")
    assert "stands twice" in refused(file, "defaults: {}\ndefaults: {}\n")


GOOD = {
    "rule": "canary-step",
    "resource": "delivery:registry:Step::fraud",
    "environment": "prod",
    "reason": "a test with the bank",
    "owner": "risk-team",
    "until": "2026-12-04",
}


def entry(**changed: str | None) -> str:
    fields = {key: value for key, value in {**GOOD, **changed}.items() if value is not None}
    return "exemptions:\n  one:\n" + "".join(f"    {key}: {value}\n" for key, value in fields.items())


def test_an_exemption_is_for_one_rule_of_one_resource_in_one_environment(file: Path) -> None:
    file.write_text(entry())
    found = exemptions.read(RULES, NOW, file)
    one = found.of("prod", "canary-step", GOOD["resource"])
    assert one and (one.name, one.owner, one.reason) == ("one", "risk-team", "a test with the bank")
    assert found.of("org/project/prod", "canary-step", GOOD["resource"]) == one
    assert found.of("dev", "canary-step", GOOD["resource"]) is None
    assert found.of("prod", "stable-without-canary", GOOD["resource"]) is None
    assert found.of("prod", "canary-step", "delivery:registry:Step::churn") is None


def test_a_reason_and_an_owner_may_be_long(file: Path) -> None:
    file.write_text(entry(reason="x" * 500, owner="y" * 100))
    assert len(exemptions.read(RULES, NOW, file).every) == 1


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_days_are_those_of_utc_wherever_it_is_asked(file: Path) -> None:
    late = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)  # the 25th in Tokyo
    file.write_text(entry(until="2026-11-24"))
    assert exemptions.read(RULES, NOW, file).every[0].holds(late)
    file.write_text(entry(until="2027-11-26"))
    with pytest.raises(ConfigError, match="within 366 days"):
        exemptions.read(RULES, late, file)


def test_an_exemption_may_be_for_a_year(file: Path) -> None:
    file.write_text(entry(until="2027-11-25"))
    assert exemptions.read(RULES, NOW, file).every[0].until == date(2027, 11, 25)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "is a list of 0 items: must be a map such as {exemptions: {…}}."),
        ("exemptions: 3", "exemptions is 3: must be a map such as {a-name: {rule: canary-step, resource: "),
        ("exemptions: {one: 3}", "exemptions.one is 3: must be a map such as {rule: canary-step, resource: "),
    ],
)
def test_what_is_no_map_of_exemptions_is_refused_by_an_example(file: Path, text: str, says: str) -> None:
    assert says in refused(file, text, "exemptions")


def test_an_exemption_holds_up_to_the_end_of_its_day(file: Path) -> None:
    file.write_text(entry(until="2026-11-24"))
    one = exemptions.read(RULES, NOW, file).every[0]
    assert one.until == date(2026, 11, 24)
    assert one.holds(datetime(2026, 11, 24, 23, 59, tzinfo=UTC))
    assert not one.holds(datetime(2026, 11, 25, tzinfo=UTC))
    told = exemptions.ended(one)
    assert "one" in told and "2026-11-24" in told and "risk-team" in told and "the rule holds again" in told


def test_of_two_exemptions_the_longer_one_counts(file: Path) -> None:
    later = entry(until="2026-12-31").replace("exemptions:\n  one:", "  two:")
    file.write_text(entry() + later)
    found = exemptions.read(RULES, NOW, file).of("prod", "canary-step", GOOD["resource"])
    assert found and found.name == "two"


@pytest.mark.parametrize("key", sorted(GOOD))
def test_an_exemption_says_everything(file: Path, key: str) -> None:
    told = refused(file, entry(**{key: None}), "exemptions")
    assert f"exemptions.one.{key}: required" in told and "None" not in told
    assert "policy/file.yaml has 1 mistake:" in told


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("resource", "'*'", "wildcards are refused"),
        ("resource", "'delivery:registry:Step::*'", "wildcards are refused"),
        ("resource", "delivery:registry:Step", "TYPE::NAME"),
        ("resource", "fraud", "TYPE::NAME"),
        ("environment", "'*'", "no wildcards"),
        ("rule", "'*'", "must be one of"),
        ("rule", "canary-stp", "Did you mean canary-step?"),
        ("reason", "' '", "one line of text"),
        ("reason", "x" * 501, "1 to 500 characters"),
        ("owner", "''", "one line of text"),
        ("owner", "x" * 101, "1 to 100 characters"),
        ("until", "soon", "a day such as"),
        ("until", "2026-13-01", "a day such as"),
        ("until", "20261204", "a day such as"),
        ("until", "2027-11-26", "within 366 days"),
    ],
)
def test_what_an_exemption_may_not_say(file: Path, key: str, value: str, says: str) -> None:
    told = refused(file, entry(**{key: value}), "exemptions")
    assert f"line {3 + list(GOOD).index(key)}, exemptions.one.{key}" in told and says in told


def test_a_misspelt_key_of_an_exemption_is_told_with_the_nearest(file: Path) -> None:
    told = refused(file, entry().replace("reason:", "raeson:"), "exemptions")
    assert "line 6, exemptions.one.raeson" in told and "Did you mean reason?" in told


def test_no_exemptions_are_none(file: Path) -> None:
    for text in ("", "exemptions: {}\n", "exemptions:\n"):
        file.write_text(text)
        assert exemptions.read(RULES, NOW, file).every == ()
