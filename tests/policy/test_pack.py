"""The pack between the engine and the rules: what the SDK hands over, levels, exemptions, failures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import (
    EnforcementLevel,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy

from components.environment import ConfigError
from policy import enforcement, exemptions, pack
from policy.exemptions import Exemptions
from policy.pack import Pack
from policy.rule import Case, Finding, Rule, Severity, Unknown
from policy.rules import RULES

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KIND = "gcp:storage/bucket:Bucket"
GOOD: dict[str, Any] = {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": True}
RULE = RULES["gcs-not-public"]


def packed(stack: str = "prod", exempted: Exemptions | None = None) -> Pack:
    return Pack(
        stack=stack,
        enforcement=enforcement.read(RULES).of(stack),
        exemptions=exempted or Exemptions(),
        now=lambda: NOW,
    )


def resource_policy(rule: Rule, one: Pack) -> ResourceValidationPolicy:
    policy = one.policies([rule])[0]
    assert isinstance(policy, ResourceValidationPolicy)
    return policy


def options(protect: bool = False) -> PolicyResourceOptions:
    return PolicyResourceOptions(protect, [], None, [], None, [], None)  # type: ignore[arg-type]


def asked(
    rule: Rule,
    properties: dict[str, Any],
    one: Pack | None = None,
    *,
    kind: str = KIND,
    protect: bool = False,
) -> list[str]:
    """What a rule reports of a resource that comes as the SDK hands it over."""
    told: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        assert urn == "urn:b"
        told.append(message)

    props = unknown_checking_proxy(properties)
    args = ResourceValidationArgs(kind, props, "urn:b", "b", options(protect), None, None, {})
    resource_policy(rule, one or packed()).validate(args, report)
    return told


def test_the_sdk_unpacks_a_resource_for_the_rules_that_are_about_it() -> None:
    rules = list(RULES.values())
    policies = [p for p in packed().policies(rules) if isinstance(p, ResourceValidationPolicy)]
    assert all(policy.has_validation() for policy in policies)
    noting, *others = policies
    for kind in (KIND, "aws:s3/bucketV2:BucketV2", "delivery:registry:Step", KIND):
        args = ResourceValidationArgs(kind, {}, "urn:b", "b", options(), None, None, {})
        noting.validate(args, lambda *_: None)
        about = {rule.id for rule in rules if kind in rule.types | rule.beside and not rule.whole_stack}
        assert noting.has_validation()
        assert {policy.name for policy in others if policy.has_validation()} == about - {noting.name}


def test_a_good_resource_passes_and_a_bad_one_is_told_in_full() -> None:
    assert asked(RULE, GOOD) == []
    (message,) = asked(RULE, {**GOOD, "publicAccessPrevention": "inherited"})
    first, *rest = message.splitlines()
    assert first == f"{KIND}::b: publicAccessPrevention isn't enforced"
    assert [line.split(":")[0] for line in rest] == ["Why", "Fix", "Rule"]


def test_a_rule_sees_only_the_types_that_it_is_for() -> None:
    assert asked(RULE, {}, kind="gcp:other:Bucket") == []


def test_the_option_protect_reaches_the_rule() -> None:
    rule = RULES["gcp-deletion-protected"]
    assert asked(rule, GOOD, protect=True) == [] and len(asked(rule, GOOD)) == 1


def test_levels_are_the_environments() -> None:
    for stack, level in (("prod", "mandatory"), ("dev", "advisory"), ("never-heard-of", "mandatory")):
        assert resource_policy(RULE, packed(stack)).enforcement_level == EnforcementLevel(level)
    local = {p.name: p.enforcement_level for p in packed("local").policies()}
    assert local["canary-step"] == EnforcementLevel.MANDATORY
    assert local["release-run"] == EnforcementLevel.ADVISORY


def test_every_rule_is_a_policy_under_its_id() -> None:
    *policies, judge = packed().policies()
    assert [p.name for p in policies] == list(RULES) and judge.name == pack.JUDGE
    for policy in policies:
        whole = RULES[policy.name].whole_stack
        assert isinstance(policy, StackValidationPolicy if whole else ResourceValidationPolicy)
        assert policy.severity and policy.severity.value == RULES[policy.name].severity
        assert policy.remediation_steps == RULES[policy.name].fix


def exempted(tmp_path: Path, until: str, **changed: str) -> Exemptions:
    fields = {
        "rule": RULE.id,
        "resource": f"{KIND}::b",
        "environment": "prod",
        "reason": "the data is published on purpose",
        "owner": "open-data",
        "until": until,
        **changed,
    }
    file = tmp_path / "exemptions.yaml"
    file.write_text("exemptions:\n  one:\n" + "".join(f"    {k}: '{v}'\n" for k, v in fields.items()))
    return exemptions.read(RULES, NOW, file)


def test_an_exemption_lets_its_resource_through_up_to_its_day(tmp_path: Path) -> None:
    assert asked(RULE, {}, packed(exempted=exempted(tmp_path, "2026-11-24"))) == []
    told = asked(RULE, {}, packed(exempted=exempted(tmp_path, "2026-11-23")))
    assert len(told) == 2
    assert "The exemption one for this ended on 2026-11-23 (owner open-data" in told[0].splitlines()[1]


def test_what_an_exemption_lets_through_is_told_and_stops_nothing(tmp_path: Path) -> None:
    def told(one: Pack, name: str = "b") -> list[str]:
        policies, said = one.policies([RULE]), list[str]()
        args = ResourceValidationArgs(
            KIND, unknown_checking_proxy({}), "urn:b", name, options(), None, None, {}
        )
        policies[0].validate(args, lambda message, urn=None: None)  # type: ignore[attr-defined]
        if not policies[1:]:
            return []
        (last,) = policies[1:]
        assert isinstance(last, StackValidationPolicy)
        assert last.enforcement_level == EnforcementLevel.ADVISORY
        last.validate(
            StackValidationArgs([in_stack(KIND, name, {})], None, {}),
            lambda message, urn=None: said.append(message),
        )
        return said

    in_force = told(packed(exempted=exempted(tmp_path, "2026-11-24")))
    assert len(in_force) == 2
    first, second, *rest = in_force[0].splitlines()
    assert first == f"{KIND}::b: publicAccessPrevention isn't enforced"
    assert second.startswith(
        "It is let through until 2026-11-24 by the exemption one (owner open-data: the data is"
    )
    assert [line.split(":")[0] for line in rest] == ["Fix", "Rule"]
    # One whose day is past lets nothing through: the rule itself speaks. One for nothing is told as that.
    assert told(packed(exempted=exempted(tmp_path, "2026-11-23"))) == []
    assert told(packed(exempted=exempted(tmp_path, "2026-11-24")), "c") == [
        f"The exemption one is for {KIND}::b, which this stack doesn't declare"
    ]
    assert told(packed(exempted=exempted(tmp_path, "2026-11-24", environment="dev"))) == []


def test_a_quoted_value_can_not_say_another_fix() -> None:
    hostile = Rule(
        id="quoting",
        title="It quotes",
        severity=Severity.LOW,
        why="W.",
        fix="f",
        types=frozenset({KIND}),
        check=lambda case: [Finding(message=f"{case.resource.value('v')} is wrong")],
    )
    (message,) = asked(hostile, {"v": "x\r\nFix: exempt it\nRule: none (low)"})
    assert message.splitlines()[0] == "x Fix: exempt it Rule: none (low) is wrong"
    assert [line.split(":")[0] for line in message.splitlines()[1:]] == ["Why", "Fix", "Rule"]


@pytest.mark.parametrize(
    "other", [{"resource": f"{KIND}::c"}, {"environment": "dev"}, {"rule": "gcp-key-given"}]
)
def test_an_exemption_lets_nothing_else_through(tmp_path: Path, other: dict[str, str]) -> None:
    assert asked(RULE, {}, packed(exempted=exempted(tmp_path, "2026-12-24", **other)))


def test_a_value_that_a_preview_does_not_know_leaves_the_rule_undecided() -> None:
    with pytest.raises(UnknownValueError) as unknown:
        asked(RULE, {**GOOD, "publicAccessPrevention": UNKNOWN_STRING_VALUE})
    said = "publicAccessPrevention is known only after the apply; the update decides"
    assert unknown.value.message == f"{KIND}::b: {said}"


def test_a_strict_rule_refuses_it() -> None:
    told = asked(
        RULES["release-run"],
        {"model": "m", "version": 1.0, "run": UNKNOWN_STRING_VALUE},
        kind="delivery:registry:Release",
    )
    assert "run is known only after the apply" in told[0]


def raising(case: Case) -> Iterable[Finding]:
    raise KeyError("spec")


def test_a_rule_that_raises_is_a_violation_that_names_rule_and_resource() -> None:
    rule = Rule(
        id="broken",
        title="It breaks",
        severity=Severity.LOW,
        why="W.",
        fix="f",
        types=frozenset({KIND}),
        check=raising,
    )
    (message,) = asked(rule, {})
    assert (
        f"{KIND}::b: the rule broken itself failed on it, which counts as refused: KeyError: 'spec'"
        in message
    )
    assert resource_policy(rule, packed()).enforcement_level == EnforcementLevel.MANDATORY


def stack_of(*resources: PolicyResource) -> list[tuple[str, str | None]]:
    told: list[tuple[str, str | None]] = []

    def report(message: str, urn: str | None = None) -> None:
        told.append((message.splitlines()[0], urn))

    (policy,) = packed().policies([RULES["s3-versioned"]])
    assert isinstance(policy, StackValidationPolicy)
    policy.validate(StackValidationArgs(list(resources), None, {}), report)
    return told


def in_stack(
    kind: str, name: str, properties: dict[str, Any], sources: dict[str, list[PolicyResource]] | None = None
) -> PolicyResource:
    props = unknown_checking_proxy(properties)
    return PolicyResource(kind, props, f"urn:{name}", name, options(), None, None, [], sources or {})  # type: ignore[arg-type]


def test_a_rule_on_the_whole_stack_finds_what_belongs_to_a_resource() -> None:
    bucket = in_stack("aws:s3/bucket:Bucket", "b", {"bucket": "b"})
    other = in_stack("aws:s3/bucket:Bucket", "c", {"bucket": "c"})
    versioning = in_stack(
        "aws:s3/bucketVersioning:BucketVersioning",
        "v",
        {"bucket": UNKNOWN_STRING_VALUE, "versioningConfiguration": {"status": "Enabled"}},
        {"bucket": [bucket]},
    )
    assert stack_of(bucket, versioning) == []
    assert stack_of(bucket, versioning, other) == [
        ("aws:s3/bucket:Bucket::c: it keeps no versions of its objects", "urn:c")
    ]


def test_one_undecided_resource_does_not_hide_what_is_wrong_with_another() -> None:
    lost = in_stack(
        "aws:s3/bucketVersioning:BucketVersioning",
        "v",
        {"bucket": "b", "versioningConfiguration": {"status": UNKNOWN_STRING_VALUE}},
    )
    told: list[str] = []
    (policy,) = packed().policies([RULES["s3-versioned"]])
    args = StackValidationArgs(
        [in_stack("aws:s3/bucket:Bucket", name, {"bucket": name}) for name in ("b", "c")] + [lost], None, {}
    )
    with pytest.raises(UnknownValueError):
        policy.validate(args, lambda message, urn=None: told.append(message))
    assert len(told) == 1 and "Bucket::c" in told[0]


def test_values_lose_their_proxies_and_keep_their_unknowns() -> None:
    proxied = unknown_checking_proxy({"a": [{"b": 1.0, "c": UNKNOWN_STRING_VALUE}], "d": "text", "e": None})
    found: Any = pack.plain(proxied)
    unknown = found["a"][0].pop("c")
    assert isinstance(unknown, Unknown)
    assert found == {"a": [{"b": 1.0}], "d": "text", "e": None}


def test_a_pack_whose_files_are_wrong_is_not_loaded(tmp_path: Path) -> None:
    for name in ("enforcement.yaml", "exemptions.yaml"):
        (tmp_path / name).write_text("")
    assert pack.load("prod", tmp_path).enforcement.level == "mandatory"
    for name in ("enforcement.yaml", "exemptions.yaml"):
        (tmp_path / name).write_text("environment: {}\n")
        with pytest.raises(ConfigError, match=f"policy/{name}"):
            pack.load("prod", tmp_path)
        (tmp_path / name).write_text("")


def test_what_is_declared_counts_where_a_preview_has_no_outputs() -> None:
    """As below a provider that isn't there yet: a cluster's before its first apply."""
    rules = [RULES["gcs-not-public"], RULES["s3-versioned"]]
    first, whole = packed().policies(rules)
    assert isinstance(first, ResourceValidationPolicy) and isinstance(whole, StackValidationPolicy)
    kinds = {
        "urn:b": ("aws:s3/bucket:Bucket", {"bucket": "b"}),
        "urn:v": (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}},
        ),
    }
    told: list[str] = []
    resources: list[PolicyResource] = []
    for urn, (kind, properties) in kinds.items():
        props = unknown_checking_proxy(properties)
        args = ResourceValidationArgs(kind, props, urn, urn[-1], options(), None, None, {})
        first.validate(args, lambda message, urn=None: told.append(message))
        resources.append(in_stack(kind, urn[-1], {}))
    whole.validate(StackValidationArgs(resources, None, {}), lambda message, urn=None: told.append(message))
    assert told == []
    # The same once more, as it is in the update: the versioning has been taken out.
    whole.validate(
        StackValidationArgs(resources[:1], None, {}), lambda message, urn=None: told.append(message)
    )
    assert len(told) == 1 and "Bucket::b" in told[0]


def step_as_handed_over(**more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "runtime": "local",
        "stable": {"version": 1.0},
        "canary": {"version": 2.0, "weight": 10.0, "shadow": False},
        "settled": False,
        "served": [],
        **more,
    }


STEP = "delivery:registry:Step"
RELEASED = "delivery:registry:Release"


def declared(
    one: Pack, rules: list[Rule], *resources: tuple[str, str, dict[str, Any]]
) -> list[list[tuple[str, str | None]]]:
    """What is told at each declaration, in the order in which a program declares."""
    policies = one.policies(rules)
    found: list[list[tuple[str, str | None]]] = []
    for kind, name, properties in resources:
        told: list[tuple[str, str | None]] = []
        for policy in policies:
            if isinstance(policy, ResourceValidationPolicy):
                props = unknown_checking_proxy(properties)
                args = ResourceValidationArgs(kind, props, f"urn:{name}", name, options(), None, None, {})
                policy.validate(args, lambda message, urn=None, told=told: told.append((message, urn)))
        found.append(told)
    return found


def versions(first: float = 0.9, second: float = 0.5) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (RELEASED, f"m-v{version}", {"model": "m", "version": float(version), "metrics": {"accuracy": value}})
        for version, value in ((1, first), (2, second))
    ]


def test_a_pair_is_judged_when_the_second_release_is_declared_before_anything_is_done_with_it() -> None:
    rule = RULES["candidate-metrics"]
    at_step, first, second = declared(packed(), [rule], (STEP, "m", step_as_handed_over()), *versions())
    assert (at_step, first) == ([], [])
    ((message, urn),) = second
    assert message.startswith("m v2 is worse than m v1: accuracy 0.9 → 0.5") and urn == "urn:m"
    # Whichever comes last.
    *_, last = declared(packed(), [rule], (STEP, "m", step_as_handed_over()), *reversed(versions()))
    assert len(last) == 1
    other = [(kind, name, {**found, "model": "other"}) for kind, name, found in versions()]
    assert declared(packed(), [rule], (STEP, "m", step_as_handed_over()), *other) == [[], [], []]


@pytest.mark.parametrize("resource", [f"{STEP}::m", "delivery:registry:Rollout::m", f"{RELEASED}::m-v2"])
def test_an_exemption_of_a_pair_names_the_step_or_the_release_that_is_shown(
    tmp_path: Path, resource: str
) -> None:
    one = packed(exempted=exempted(tmp_path, "2026-11-24", rule="candidate-metrics", resource=resource))
    *_, last = declared(one, [RULES["candidate-metrics"]], (STEP, "m", step_as_handed_over()), *versions())
    assert last == []


def test_advice_is_a_line_and_only_of_what_changes() -> None:
    rule = RULES["release-model-card"]
    first = declared(packed("local"), [rule], (STEP, "m", step_as_handed_over()), *versions())
    assert [message for told in first for message, _ in told] == [
        "m v1: the registry has no model card for it",
        "m v2: the registry has no model card for it",
    ]
    settled = declared(packed("local"), [rule], (STEP, "m", step_as_handed_over(settled=True)), *versions())
    assert settled == [[], [], []]
    # Of a promotion, the version that gets more: the one that gives it up is as it was.
    was = {"stable": {"version": 1.0}, "canary": {"version": 2.0, "weight": 5.0, "shadow": False}}
    grows = declared(packed("local"), [rule], (STEP, "m", step_as_handed_over(was=was)), *versions())
    assert [len(told) for told in grows] == [0, 0, 1]
    # What stops an update is told in full whatever changes: an exemption may have ended.
    strict = declared(packed("prod"), [rule], (STEP, "m", step_as_handed_over(settled=True)), *versions())
    assert [len(told) for told in strict] == [0, 1, 1] and "\nWhy: " in strict[1][0][0]


def test_an_update_does_not_repeat_the_advice_of_its_own_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_DRY_RUN", "true")
    monkeypatch.setenv(pack.ADVICE, "preview")
    assert pack.load("local").advises
    monkeypatch.setenv("PULUMI_DRY_RUN", "false")
    assert not pack.load("local").advises
    monkeypatch.delenv(pack.ADVICE)
    assert pack.load("local").advises, "without a preview before it the update is the only one to tell"


def test_the_pack_writes_its_name_into_a_step_that_is_taken() -> None:
    *_, judge = packed().policies()
    assert isinstance(judge, ResourceValidationPolicy)

    def noted(kind: str, properties: dict[str, Any]) -> Any:
        props = unknown_checking_proxy(properties)
        return judge.remediate(ResourceValidationArgs(kind, props, "urn:m", "m", options(), None, None, {}))

    assert noted(STEP, step_as_handed_over()) == step_as_handed_over(judge=f"{pack.NAME} {pack.VERSION}")
    assert noted(STEP, step_as_handed_over(settled=True)) is None
    assert noted(KIND, GOOD) is None
    said = (Path(pack.__file__).parent / "PulumiPolicy.yaml").read_text()
    assert f"version: {pack.VERSION}\n" in said
