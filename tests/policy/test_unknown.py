"""What a preview doesn't know yet is neither passed nor refused by chance."""

from __future__ import annotations

from typing import Any

import pytest

from policy.rule import Case, UndecidedError, Unknown, judge
from policy.rules import RULES
from policy.testkit import UNKNOWN, changed, evaluate, resource, undecided
from tests.policy import broken
from tests.policy.compliant import COMPLIANT, NOW, SETTINGS
from tests.policy.test_rules import with_change


def asked(rule: str, name: str, path: str) -> tuple[bool, bool]:
    """Whether a rule finds something, and whether it is undecided, once a property isn't known."""
    stack = with_change(name, path, UNKNOWN)
    return (
        bool(evaluate([RULES[rule]], stack, settings=SETTINGS, now=NOW)),
        bool(undecided([RULES[rule]], stack, settings=SETTINGS, now=NOW)),
    )


# That a key is there is enough to know, wherever it comes from.
ENOUGH_THAT_IT_IS_THERE = {
    ("kms-key-given", "kmsKeyId"),
    ("kms-key-given", "kmsKeyArn"),
    ("kms-key-given", "dataCaptureConfig.kmsKeyId"),
    ("gcp-key-given", "encryption"),
    ("gcp-key-given", "kmsKeyName"),
    ("gcp-key-given", "encryptionKeyName"),
    ("eks-secrets-encrypted", "encryptionConfig.provider.keyArn"),
    ("alerts-present", "alarmActions"),
    ("gke-hardened", "workloadIdentityConfig"),
    ("gcp-no-account-keys", "publicKeyData"),
    # Signatures are compared where there are two.
}


@pytest.mark.parametrize(
    ("rule", "name", "path"),
    sorted({(b[0], b[1], b[2]) for b in broken.ALL if b[2] not in ("*", "@protect")}),
)
def test_a_value_that_decides_is_undecided_or_refused_while_it_is_unknown(
    rule: str, name: str, path: str
) -> None:
    refused, open_ = asked(rule, name, path)
    if (rule, path) in ENOUGH_THAT_IT_IS_THERE:
        assert (refused, open_) == (False, False)
    elif RULES[rule].strict:
        assert (refused, open_) == (True, False)
    else:
        assert open_ and not refused


def test_a_release_or_a_step_that_is_not_known_in_full_is_refused() -> None:
    """All that is asked of them is read from the registry and the file: a preview knows it, or something is
    wrong."""
    asked_of = {"delivery:registry:Release", "delivery:registry:Step"}
    about = [rule for rule in RULES.values() if rule.types & asked_of]
    # Alerts are resources of their own, of providers that know some of it after the update only.
    assert {rule.id for rule in about if not rule.strict} == {"alerts-present"}


def test_what_is_found_before_the_unknown_value_is_found_all_the_same() -> None:
    disks = [
        {"deviceName": "a", "ebs": {"encrypted": False}},
        {"deviceName": "b", "ebs": {"encrypted": UNKNOWN}},
    ]
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "t", blockDeviceMappings=disks)
    verdict = judge(RULES["storage-encrypted"], Case(resource=template, settings=SETTINGS, now=NOW))
    assert len(verdict.findings) == 1 and verdict.undecided


def test_a_bucket_whose_name_is_unknown_is_found_by_where_it_comes_from() -> None:
    from dataclasses import replace

    stack: list[Any] = []
    bucket = next(one for one in COMPLIANT if one.id == "aws:s3/bucket:Bucket::models")
    for one in COMPLIANT:
        if one.type.startswith("aws:s3/bucket") and one is not bucket:
            one = replace(changed(one, "bucket", UNKNOWN), sources={"bucket": frozenset({bucket.urn})})
        stack.append(one)
    rules = [RULES[rule] for rule in ("s3-encrypted", "s3-not-public", "s3-versioned")]
    assert evaluate(rules, stack, settings=SETTINGS, now=NOW) == []
    assert undecided(rules, stack, settings=SETTINGS, now=NOW) == []


def test_whoever_looks_into_an_unknown_value_is_told_where_it_is() -> None:
    value = Unknown("spec.template")
    for look in (
        lambda: bool(value),
        lambda: value == 1,
        lambda: value < 1,
        lambda: "a" in value,
        lambda: list(value),
        lambda: f"{value}",
        lambda: value.get("a"),
    ):
        with pytest.raises(UndecidedError, match=r"spec\.template"):
            look()
