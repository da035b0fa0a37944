"""Ways around a rule, each of which says the forbidden thing in other words; and what is near, and right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy.rule import Resource
from policy.rules import RULES
from policy.testkit import UNKNOWN, changed, evaluate, resource, undecided
from tests.policy.compliant import COMPLIANT, NOW, SETTINGS

GITHUB = "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"
DIGEST = f"x@sha256:{'a' * 64}"


def policy(type: str, *statements: Any, key: str = "policy", **more: Any) -> Resource:
    return resource(type, "x", **{key: json.dumps({"Statement": list(statements)})}, **more)


def identity(statement: object) -> Resource:
    return resource("aws:iam/policy:Policy", "x", policy=json.dumps({"Statement": statement}))


def anybody(condition: object, type: str = "aws:s3/bucketPolicy:BucketPolicy") -> Resource:
    return policy(
        type, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Condition": condition}
    )


def token(condition: object, issuer: str = GITHUB) -> Resource:
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": issuer},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return policy("aws:iam/role:Role", trust, key="assumeRolePolicy")


def subject(value: object) -> dict[str, Any]:
    return {"StringLike": {"token.actions.githubusercontent.com:sub": value}}


def group(**rule: Any) -> Resource:
    return resource("aws:ec2/securityGroup:SecurityGroup", "x", ingress=[rule])


def standalone(**rule: Any) -> Resource:
    return resource("aws:ec2/securityGroupRule:SecurityGroupRule", "x", type="ingress", **rule)


def pod(path: str, value: Any, type: str = "kubernetes:apps/v1:Deployment") -> Resource:
    right = next(one for one in COMPLIANT if one.type == "kubernetes:apps/v1:Deployment")
    spec = changed(right, f"spec.template.spec.{path}", value).properties["spec"]["template"]
    whole = {"kubernetes:batch/v1:CronJob": {"jobTemplate": {"spec": {"template": spec}}}}
    return resource(type, "x", spec=whole.get(type, {"template": spec}))


def firewall(**more: Any) -> Resource:
    ssh: dict[str, Any] = {"allows": [{"protocol": "tcp", "ports": ["22"]}]}
    return resource("gcp:compute/firewall:Firewall", "x", **{**ssh, **more})


def binding(role: str, **subject: str) -> Resource:
    kind = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
    return resource(kind, "x", roleRef={"name": role}, subjects=[subject])


def grants(role: str, member: str) -> Resource:
    data = json.dumps({"bindings": [{"role": role, "members": ["user:a@b.example", member]}]})
    return resource("gcp:storage/bucketIAMPolicy:BucketIAMPolicy", "x", policyData=data)


CONTAINER = "containers.0"
AROUND: list[tuple[str, Resource, str]] = [
    ("iam-no-wildcard-actions", identity({"Effect": "Allow", "Action": "s3:*"}), "s3:*"),
    ("iam-no-wildcard-actions", identity([{"Effect": "Allow", "Action": ["iam:PassRol?"]}]), "iam:PassRol?"),
    ("iam-no-wildcard-actions", identity([{"effect": "Allow", "action": "*"}]), "the actions *"),
    ("iam-no-wildcard-actions", identity([{"Effect": "allow", "Action": "*"}]), "the actions *"),
    (
        "iam-no-wildcard-actions",
        resource("aws:iam/role:Role", "x", managedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        "AdministratorAccess allows",
    ),
    (
        "iam-no-wildcard-actions",
        resource(
            "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
            "x",
            policyArns=["arn:aws:iam::aws:policy/job-function/x", "arn:aws:iam::aws:policy/PowerUserAccess"],
        ),
        "PowerUserAccess allows",
    ),
    (
        "iam-no-wildcard-actions",
        resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "x",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess-Amplify",
        ),
        "allows nearly everything",
    ),
    # A condition that everybody meets, or that says how and not who.
    ("iam-no-wildcard-trust", anybody({}), "without a condition"),
    ("iam-no-wildcard-trust", anybody({"Bool": {"aws:SecureTransport": "true"}}), "that says who"),
    ("iam-no-wildcard-trust", anybody({"StringLike": {"aws:PrincipalArn": "*"}}), "that says who"),
    (
        "iam-no-wildcard-trust",
        anybody({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}),
        "that says who",
    ),
    (
        "iam-no-wildcard-trust",
        anybody({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/1"]}}),
        "says who",
    ),
    ("iam-no-wildcard-trust", anybody({"StringNotEquals": {"aws:PrincipalAccount": "1"}}), "that says who"),
    (
        "iam-no-wildcard-trust",
        anybody({"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}),
        "that says who",
    ),
    (
        "iam-no-wildcard-trust",
        anybody({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        "says who",
    ),
    # Documents that stand in another resource than the one made for them.
    *(
        ("iam-no-wildcard-trust", anybody({}, kind), "trusts everybody")
        for kind in (
            "aws:sns/topic:Topic",
            "aws:sqs/queue:Queue",
            "aws:secretsmanager/secret:Secret",
            "aws:s3/bucket:Bucket",
            "aws:ecr/registryPolicy:RegistryPolicy",
            "aws:apigateway/restApiPolicy:RestApiPolicy",
        )
    ),
    # A token that anybody's workflow or pod gets.
    ("iam-no-wildcard-trust", token({}), "everybody with a token of token.actions.githubusercontent.com"),
    (
        "iam-no-wildcard-trust",
        token({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}),
        "everybody with a token",
    ),
    ("iam-no-wildcard-trust", token(subject("*")), "everybody with a token"),
    ("iam-no-wildcard-trust", token(subject("repo:*")), "everybody with a token"),
    ("iam-no-wildcard-trust", token(subject(["repo:acme/a:*", "repo:*/a"])), "everybody with a token"),
    # The internet in two halves, in another spelling, and every protocol through one port's door.
    (
        "security-group-closed",
        group(fromPort=22, toPort=22, cidrBlocks=["0.0.0.0/1", "128.0.0.0/1"]),
        "port 22",
    ),
    ("security-group-closed", group(fromPort=22, toPort=22, ipv6CidrBlocks=["0:0::/0"]), "port 22 is open"),
    ("security-group-closed", group(fromPort=22, toPort=22, ipv6CidrBlocks=["2000::/3"]), "open to 2000::/3"),
    (
        "security-group-closed",
        standalone(protocol="-1", fromPort=443, toPort=443, cidrBlocks=["0.0.0.0/0"]),
        "every port",
    ),
    (
        "security-group-closed",
        resource(
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "x",
            ipProtocol="-1",
            cidrIpv4="0.0.0.0/0",
        ),
        "every port",
    ),
    ("gcp-firewall-closed", firewall(sourceRanges=["0.0.0.0/1", "128.0.0.0/1"]), "22 is open"),
    ("gcp-firewall-closed", firewall(), "22 is open"),
    ("gcp-firewall-closed", firewall(sourceRanges=["0.0.0.0/0"], sourceTags=["a"]), "22 is open"),
    (
        "gke-private",
        resource(
            "gcp:container/cluster:Cluster",
            "x",
            privateClusterConfig={"enablePrivateNodes": True},
            masterAuthorizedNetworksConfig={"cidrBlocks": [{"cidrBlock": "128.0.0.0/1"}]},
        ),
        "lets 128.0.0.0/1 in",
    ),
    ("gcp-iam-named", grants("roles/storage.objectViewer", "allUsers"), "allUsers gets roles/storage"),
    ("gcp-iam-named", grants("roles/owner", "user:c@b.example"), "roles/owner allows nearly everything"),
    # Digests that only look like one.
    ("pod-image-digest", pod(f"{CONTAINER}.image", "x@sha256:abc"), "isn't named by its digest"),
    (
        "pod-image-digest",
        pod("initContainers", [{"name": "i", "image": "x:1"}]),
        "container i: the image x:1",
    ),
    (
        "cloud-run-image-digest",
        resource("gcp:cloudrunv2/service:Service", "x", template={"containers": [{"image": "x@sha256:abc"}]}),
        "isn't named",
    ),
    (
        "image-digest",
        resource("aws:lambda/function:Function", "x", imageUri="x:latest@sha256:1"),
        "isn't named",
    ),
    (
        "ecr-immutable-scanned",
        resource(
            "aws:ecr/repository:Repository",
            "x",
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filter": "*", "filterType": "WILDCARD"}],
            imageScanningConfiguration={"scanOnPush": True},
        ),
        "excludes any tag",
    ),
    # What a container says over its pod, and what opens the node by another door.
    (
        "pod-seccomp",
        pod(f"{CONTAINER}.securityContext.seccompProfile", {"type": "Unconfined"}),
        "is Unconfined",
    ),
    ("pod-non-root", pod(f"{CONTAINER}.securityContext.runAsNonRoot", False), "runAsNonRoot isn't set"),
    ("pod-privileges", pod(f"{CONTAINER}.securityContext.procMount", "Unmasked"), "procMount Unmasked"),
    (
        "pod-privileges",
        pod(f"{CONTAINER}.securityContext.appArmorProfile", {"type": "Unconfined"}),
        "appArmorProfile is Unconfined",
    ),
    (
        "pod-privileges",
        pod(f"{CONTAINER}.securityContext.windowsOptions", {"hostProcess": True}),
        "hostProcess runs on the node",
    ),
    ("pod-privileges", pod("securityContext.windowsOptions", {"hostProcess": True}), "hostProcess runs"),
    (
        "pod-privileges",
        pod("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
        "kernel.msgmax",
    ),
    (
        "pod-privileges",
        pod(f"{CONTAINER}.ports", [{"containerPort": 80}, {"containerPort": 1, "hostPort": 1}]),
        "takes the ports 1 of the node",
    ),
    ("pod-limits", pod(f"{CONTAINER}.resources.limits.memory", "0"), "limits.memory isn't set"),
    ("pod-limits", pod(f"{CONTAINER}.resources.requests.cpu", "0m"), "requests.cpu isn't set"),
    # Every kind of workload that makes pods.
    *(
        ("pod-privileges", pod("hostNetwork", True, f"kubernetes:{kind}"), "hostNetwork")
        for kind in (
            "apps/v1:StatefulSet",
            "apps/v1:DaemonSet",
            "apps/v1:ReplicaSet",
            "batch/v1:Job",
            "batch/v1:CronJob",
            "core/v1:ReplicationController",
        )
    ),
    (
        "rbac-wildcard",
        binding("cluster-admin", kind="ServiceAccount", name="ci"),
        "the account ci may do everything",
    ),
    ("rbac-wildcard", binding("view", kind="Group", name="system:authenticated"), "is everybody who reaches"),
]


@pytest.mark.parametrize(("rule", "one", "words"), AROUND)
def test_a_way_around_a_rule_is_none(rule: str, one: Resource, words: str) -> None:
    found = evaluate([RULES[rule]], [one], settings=SETTINGS, now=NOW)
    assert any(words in violation.message.splitlines()[0] for violation in found), found
    assert "itself failed" not in found[0].message


RIGHT: list[tuple[str, Resource]] = [
    ("iam-no-wildcard-actions", identity({"Effect": "Deny", "Action": "*"})),
    ("iam-no-wildcard-trust", anybody({"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
    ("iam-no-wildcard-trust", anybody({"stringequals": {"AWS:PRINCIPALORGID": "o-1"}})),
    ("iam-no-wildcard-trust", anybody({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}})),
    ("iam-no-wildcard-trust", anybody({"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-central-1:1:x*"}})),
    ("iam-no-wildcard-trust", anybody({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
    ("iam-no-wildcard-trust", token(subject("repo:acme/model-delivery:*"))),
    (
        "iam-no-wildcard-trust",
        token(
            {"StringEquals": {"oidc.eks.eu-central-1.amazonaws.com/id/A:sub": "system:serviceaccount:a:b"}},
            "arn:aws:iam::1:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A",
        ),
    ),
    ("security-group-closed", group(fromPort=22, toPort=22, protocol="tcp", cidrBlocks=["10.0.0.0/8"])),
    ("security-group-closed", group(fromPort=443, toPort=443, protocol="udp", cidrBlocks=["0.0.0.0/0"])),
    ("security-group-closed", group(fromPort=22, toPort=22, protocol="tcp", prefixListIds=["pl-1"])),
    ("gcp-firewall-closed", firewall(sourceTags=["bastion"])),
    (
        "gcp-firewall-closed",
        firewall(
            sourceRanges=["0.0.0.0/0"],
            allows=[{"protocol": "tcp", "ports": ["443"]}, {"protocol": "udp", "ports": ["443"]}],
        ),
    ),
    ("pod-image-digest", pod(f"{CONTAINER}.image", DIGEST)),
    ("pod-limits", pod(f"{CONTAINER}.resources.requests.cpu", 0.1)),
    ("pod-privileges", pod("securityContext.sysctls", [{"name": "net.ipv4.tcp_rmem", "value": "1"}])),
    ("pod-privileges", pod(f"{CONTAINER}.securityContext.procMount", "Default")),
    ("rbac-wildcard", binding("cluster-admin", kind="Group", name="admins@example.com")),
]


@pytest.mark.parametrize(("rule", "one"), RIGHT)
def test_what_is_near_a_way_around_and_right_passes(rule: str, one: Resource) -> None:
    assert evaluate([RULES[rule]], [one], settings=SETTINGS, now=NOW) == []


def test_a_condition_on_what_only_an_apply_knows_is_decided() -> None:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Condition": {"ArnEquals": {"aws:SourceArn": UNKNOWN}},
    }
    one = resource("aws:sqs/queuePolicy:QueuePolicy", "x", policy={"Statement": [statement]})
    rule = RULES["iam-no-wildcard-trust"]
    assert evaluate([rule], [one], settings=SETTINGS, now=NOW) == []
    assert undecided([rule], [one], settings=SETTINGS, now=NOW) == []
    unknown = changed(one, "policy.Statement.0.Principal", UNKNOWN)
    assert undecided([rule], [unknown], settings=SETTINGS, now=NOW)


@pytest.mark.parametrize(
    "caller",
    [
        {"ipBlock": {"cidr": "0.0.0.0/0"}},
        {"ipBlock": {"cidr": "::/0"}},
        {"namespaceSelector": {}},
        {"namespaceSelector": {}, "podSelector": {}},
    ],
)
def test_a_network_policy_for_everybody_is_none(caller: dict[str, Any]) -> None:
    policies = [one for one in COMPLIANT if one.type.endswith(":NetworkPolicy")]
    open = [changed(one, "spec.ingress", [{"from": [caller]}]) for one in policies]
    rest = [one for one in COMPLIANT if one not in policies]
    found = evaluate([RULES["network-policy"]], [*rest, *open], settings=SETTINGS, now=NOW)
    assert any("lets everybody in" in violation.message for violation in found)


def test_machines_outside_of_a_pool_count_too() -> None:
    stack = resource("pulumi:pulumi:Stack", "s")
    machines = [resource("aws:ec2/instance:Instance", f"m{n}", instanceType="p5.48xlarge") for n in range(2)]
    (found,) = evaluate([RULES["gpu-ceiling"]], [stack, *machines], settings=SETTINGS, now=NOW)
    assert "may take 16 GPUs, 8 are allowed: m0 8, m1 8" in found.message
