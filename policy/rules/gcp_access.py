"""Google Cloud: who gets in. Grants, services, databases, firewalls, and keys of accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import soc2
from policy.rule import Case, Finding, Rule, Severity
from policy.rules.gcp import DATABASE, SERVICE
from policy.rules.values import as_map, is_on, is_world, listed

FIREWALL: Final = "gcp:compute/firewall:Firewall"
ACCOUNT_KEY: Final = "gcp:serviceaccount/key:Key"
_ALL: Final = ("allUsers", "allAuthenticatedUsers")
_MEMBERS: Final = frozenset(
    f"gcp:{name}"
    for name in (
        "artifactregistry/repositoryIamBinding:RepositoryIamBinding",
        "artifactregistry/repositoryIamMember:RepositoryIamMember",
        "cloudrun/iamBinding:IamBinding",
        "cloudrun/iamMember:IamMember",
        "cloudrunv2/serviceIamBinding:ServiceIamBinding",
        "cloudrunv2/serviceIamMember:ServiceIamMember",
        "kms/cryptoKeyIAMBinding:CryptoKeyIAMBinding",
        "kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        "projects/iAMBinding:IAMBinding",
        "projects/iAMMember:IAMMember",
        "secretmanager/secretIamBinding:SecretIamBinding",
        "secretmanager/secretIamMember:SecretIamMember",
        "serviceaccount/iAMBinding:IAMBinding",
        "serviceaccount/iAMMember:IAMMember",
        "storage/bucketIAMBinding:BucketIAMBinding",
        "storage/bucketIAMMember:BucketIAMMember",
    )
)
_POLICIES: Final = frozenset(
    f"gcp:{name}"
    for name in (
        "artifactregistry/repositoryIamPolicy:RepositoryIamPolicy",
        "cloudrun/iamPolicy:IamPolicy",
        "cloudrunv2/serviceIamPolicy:ServiceIamPolicy",
        "kms/cryptoKeyIAMPolicy:CryptoKeyIAMPolicy",
        "projects/iAMPolicy:IAMPolicy",
        "secretmanager/secretIamPolicy:SecretIamPolicy",
        "serviceaccount/iAMPolicy:IAMPolicy",
        "storage/bucketIAMPolicy:BucketIAMPolicy",
    )
)
"""Grants as one JSON text with all of them."""
_TOO_MUCH: Final = ("roles/owner", "roles/editor")
_LISTS: Final = frozenset(
    f"gcp:storage/{name}"
    for name in (
        "bucketACL:BucketACL",
        "bucketAccessControl:BucketAccessControl",
        "defaultObjectACL:DefaultObjectACL",
        "defaultObjectAccessControl:DefaultObjectAccessControl",
        "objectACL:ObjectACL",
        "objectAccessControl:ObjectAccessControl",
    )
)
"""Access control lists of Cloud Storage, beside IAM."""
_PUBLIC_LISTS: Final = ("authenticatedRead", "publicRead", "publicReadWrite")
_TLS: Final = ("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED")


def _members(case: Case) -> Iterator[Finding]:
    grant = case.resource
    bindings = listed(as_map(grant.value("policyData")).get("bindings"))
    if grant.type not in _POLICIES:
        members = [*listed(grant.value("member")), *grant.items("members")]
        bindings = [{"role": grant.value("role"), "members": members}]
    for role, members in ((as_map(one).get("role"), listed(as_map(one).get("members"))) for one in bindings):
        everybody = [one for one in members if one in _ALL]
        if everybody:
            yield Finding(message=f"{grant.id}: {', '.join(everybody)} gets {role}")
        if role in _TOO_MUCH:
            yield Finding(
                message=f"{grant.id}: {role} allows nearly everything",
                fix="grant the role that has just what is needed",
            )


def _lists(case: Case) -> Iterator[Finding]:
    control = case.resource
    if control.value("predefinedAcl") in _PUBLIC_LISTS:
        yield Finding(message=f"{control.id}: predefinedAcl is {control.value('predefinedAcl')}")
    entities = [*listed(control.value("entity")), *control.items("roleEntities")]
    everybody = [str(one) for one in entities if str(one).rpartition(":")[2] in _ALL]
    if everybody:
        yield Finding(message=f"{control.id}: it lets {', '.join(everybody)} in")


def _services(case: Case) -> Iterator[Finding]:
    service = case.resource
    # What isn't set is ALL for Cloud Run.
    if service.value("ingress", "INGRESS_TRAFFIC_ALL") == "INGRESS_TRAFFIC_ALL":
        yield Finding(message=f"{service.id}: ingress is INGRESS_TRAFFIC_ALL")
    if is_on(service.value("invokerIamDisabled")):
        yield Finding(message=f"{service.id}: invokerIamDisabled lets everybody invoke it")


def _databases(case: Case) -> Iterator[Finding]:
    database = case.resource
    if is_on(database.value("settings.ipConfiguration.ipv4Enabled", True)):
        yield Finding(message=f"{database.id}: settings.ipConfiguration.ipv4Enabled isn't false")
    networks = database.items("settings.ipConfiguration.authorizedNetworks")
    for network in cast("Sequence[Mapping[str, Any]]", networks):
        if network.get("value") and is_world(network["value"]):
            yield Finding(message=f"{database.id}: authorizedNetworks lets {network['value']} in")


def _tls(case: Case) -> Iterator[Finding]:
    if case.resource.value("settings.ipConfiguration.sslMode") not in _TLS:
        yield Finding(
            message=f"{case.resource.id}: settings.ipConfiguration.sslMode allows plain connections"
        )


def _account_keys(case: Case) -> Iterator[Finding]:
    if not case.resource.given("publicKeyData"):
        yield Finding(message=f"{case.resource.id}: its private key is in the state, and valid for years")


def _firewalls(case: Case) -> Iterator[Finding]:
    wall = case.resource
    if wall.value("direction", "INGRESS") != "INGRESS" or not wall.items("allows"):
        return
    narrowed = any(wall.given(key) for key in ("sourceTags", "sourceServiceAccounts"))
    ranges = wall.items("sourceRanges")
    # Without any source it is every source; sources of several kinds add up.
    if any(map(is_world, ranges)) or not (ranges or narrowed):
        ports = [p for rule in wall.items("allows") for p in (rule.get("ports") or ["every port"])]
        if set(map(str, ports)) != {"443"}:
            yield Finding(message=f"{wall.id}: {', '.join(map(str, ports))} is open to the world")


RULES: Final = (
    Rule(
        id="gcp-iam-named",
        title="Grants name whom they are for, and a role that is not everything",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.1"), soc2("CC6.3")),
        why="allUsers is everybody on the internet; owner and editor are nearly everything in the project.",
        fix="name the service account or the group that needs it",
        types=_MEMBERS | _POLICIES,
        check=_members,
    ),
    Rule(
        id="gcs-lists-not-public",
        title="Access control lists of buckets and objects name whom they are for",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.1"),),
        why="A list goes past IAM: an object that it opens is public, whatever the bucket's grants say.",
        fix="take the list out, and grant a role on the bucket to the account or group that needs it",
        types=_LISTS,
        check=_lists,
    ),
    Rule(
        id="gcp-no-account-keys",
        title="No key of a service account is made",
        severity=Severity.HIGH,
        references=(soc2("CC6.1"),),
        why="A key is a password that is valid for years, wherever a copy lies; one is in the state.",
        fix="use Workload Identity Federation, or the account of the machine; else upload a publicKeyData",
        types=frozenset({ACCOUNT_KEY}),
        check=_account_keys,
    ),
    Rule(
        id="cloud-run-not-public",
        title="Cloud Run services are not reached from the internet",
        severity=Severity.HIGH,
        references=(soc2("CC6.6"),),
        why="A service that everybody reaches answers, and bills, everybody.",
        fix="set ingress: INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or INGRESS_TRAFFIC_INTERNAL_ONLY",
        types=frozenset({SERVICE}),
        check=_services,
    ),
    Rule(
        id="cloud-sql-not-public",
        title="Databases have no public address",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.6"),),
        why="A database that answers the internet is one password away from everybody.",
        fix="set settings.ipConfiguration: {ipv4Enabled: false, privateNetwork: …}",
        types=frozenset({DATABASE}),
        check=_databases,
    ),
    Rule(
        id="cloud-sql-tls",
        title="Databases take encrypted connections alone",
        severity=Severity.HIGH,
        references=(soc2("CC6.7"),),
        why="A plain connection shows the password and every row to whoever is on the way.",
        fix="set settings.ipConfiguration: {sslMode: ENCRYPTED_ONLY}",
        types=frozenset({DATABASE}),
        check=_tls,
    ),
    Rule(
        id="gcp-firewall-closed",
        title="Firewalls are not open to the world",
        severity=Severity.HIGH,
        references=(soc2("CC6.6"),),
        why="What listens behind an open port is found within minutes, and tried from then on.",
        fix="name the networks in sourceRanges; HTTPS alone may be open",
        types=frozenset({FIREWALL}),
        check=_firewalls,
    ),
)
