"""Access on AWS: who may do what, who may call what, and from where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import cis_aws, cis_eks, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.values import as_map, is_on, listed

_IDENTITY: Final = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
_ROLE: Final = "aws:iam/role:Role"
_ATTACHMENTS: Final = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)
_RESOURCE_POLICIES: Final = (
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:kms/key:Key",
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sqs/queuePolicy:QueuePolicy",
)
_TOO_MUCH: Final = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")
_WEB: Final = 443


def _statements(text: object) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy document that allow something."""
    for statement in listed(as_map(text).get("Statement")):
        if statement.get("Effect") == "Allow":
            yield cast("Mapping[str, Any]", statement)


def _wildcard_actions(case: Case) -> Iterator[Finding]:
    resource = case.resource
    if resource.type in _ATTACHMENTS:
        arn = str(resource.value("policyArn", ""))
        if arn.rpartition("/")[2] in _TOO_MUCH:
            yield Finding(message=f"{resource.id}: {arn.rpartition('/')[2]} allows nearly everything")
        return
    documents = [resource.value("policy")] if resource.type in _IDENTITY else []
    documents += [one.get("policy") for one in resource.items("inlinePolicies")]
    for document in documents:
        for statement in _statements(document):
            stars = [action for action in listed(statement.get("Action")) if "*" in action]
            if stars:
                yield Finding(message=f"{resource.id}: the actions {', '.join(stars)} are wildcards")
            if "NotAction" in statement:
                yield Finding(message=f"{resource.id}: NotAction allows every action that it doesn't name")


def _anybody(principal: object) -> bool:
    if principal == "*":
        return True
    return any("*" in listed(named) for named in as_map(principal).values())


def _wildcard_trust(case: Case) -> Iterator[Finding]:
    resource = case.resource
    path = "assumeRolePolicy" if resource.type == _ROLE else "policy"
    for statement in _statements(resource.value(path)):
        if "NotPrincipal" in statement:
            yield Finding(message=f"{resource.id}: NotPrincipal allows everybody whom it doesn't name")
        elif _anybody(statement.get("Principal")) and not statement.get("Condition"):
            yield Finding(
                message=f"{resource.id}: {path} trusts everybody (Principal *), without a condition"
            )


def _open_ports(case: Case) -> Iterator[Finding]:
    group = case.resource
    rules: Sequence[Mapping[str, Any]] = [group.properties]
    if group.type in (
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    ):
        rules = cast("Sequence[Mapping[str, Any]]", group.items("ingress"))
    elif group.value("type", "ingress") != "ingress":
        return
    for rule in rules:
        blocks = (
            rule.get("cidrIpv4"),
            rule.get("cidrIpv6"),
            rule.get("cidrBlocks"),
            rule.get("ipv6CidrBlocks"),
        )
        open_to = [cidr for some in blocks for cidr in listed(some) if cidr in _ANYWHERE]
        low, high = rule.get("fromPort"), rule.get("toPort")
        if open_to and (low, high) != (_WEB, _WEB):
            ports = (
                "every port"
                if low in (None, 0, -1)
                else f"port {low:g}"
                if low == high
                else f"{low:g}–{high:g}"
            )
            yield Finding(message=f"{group.id}: {ports} is open to {' and '.join(sorted(set(open_to)))}")


def _functions(case: Case) -> Iterator[Finding]:
    resource = case.resource
    match resource.type:
        case "aws:lambda/functionUrl:FunctionUrl":
            if resource.value("authorizationType") != "AWS_IAM":
                yield Finding(message=f"{resource.id}: authorizationType isn't AWS_IAM")
        case "aws:lambda/permission:Permission":
            if resource.value("principal") == "*":
                yield Finding(message=f"{resource.id}: principal * lets everybody invoke the function")
        case "aws:apigatewayv2/route:Route":
            if resource.value("authorizationType", "NONE") == "NONE":
                yield Finding(message=f"{resource.id}: authorizationType is NONE")
        case _:
            asked = resource.value("authorization", "NONE") != "NONE" or is_on(
                resource.value("apiKeyRequired")
            )
            # A browser asks by OPTIONS before it has anything to show.
            if not asked and resource.value("httpMethod") != "OPTIONS":
                yield Finding(message=f"{resource.id}: authorization is NONE")


def _balancers(case: Case) -> Iterator[Finding]:
    resource = case.resource
    if "loadBalancer" in resource.type:
        if not is_on(resource.value("internal")):
            yield Finding(
                message=f"{resource.id}: it has a public address",
                fix="set internal: true, and let callers from outside come through a gateway that knows them",
            )
    elif resource.value("protocol") in ("HTTP", "TCP", "UDP", "TCP_UDP") and not _redirects(resource):
        yield Finding(message=f"{resource.id}: it takes requests unencrypted ({resource.value('protocol')})")


def _redirects(listener: Resource) -> bool:
    actions = cast("Sequence[Mapping[str, Any]]", listener.items("defaultActions"))
    return bool(actions) and all(action.get("type") == "redirect" for action in actions)


RULES: Final = (
    Rule(
        id="iam-no-wildcard-actions",
        title="IAM policies name the actions they allow",
        severity=Severity.HIGH,
        references=(cis_aws("1.16"), soc2("CC6.3")),
        why="A star allows what nobody has looked at, and what AWS adds next year.",
        fix="write the actions out, each by its name",
        types=frozenset({*_IDENTITY, _ROLE, *_ATTACHMENTS}),
        check=_wildcard_actions,
    ),
    Rule(
        id="iam-no-wildcard-trust",
        title="Roles and resources name whom they trust",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.1"), soc2("CC6.3")),
        why="Principal * is every account of AWS: the role, the bucket or the key is everybody's.",
        fix="name the service, the role or the account; or narrow it by a condition",
        types=frozenset({_ROLE, *_RESOURCE_POLICIES}),
        check=_wildcard_trust,
    ),
    Rule(
        id="security-group-closed",
        title="Security groups are not open to the world",
        severity=Severity.HIGH,
        references=(cis_aws("5.2"), cis_aws("5.3"), cis_aws("5.4"), soc2("CC6.6")),
        why="What listens behind an open port is found within minutes, and tried from then on.",
        fix="name the network or the security group that may come in; HTTPS alone may be open",
        types=frozenset(
            {
                "aws:ec2/securityGroup:SecurityGroup",
                "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
                "aws:ec2/securityGroupRule:SecurityGroupRule",
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            }
        ),
        check=_open_ports,
    ),
    Rule(
        id="function-auth",
        title="Lambda functions and API gateways ask who is calling",
        severity=Severity.CRITICAL,
        references=(soc2("CC6.1"), soc2("CC6.6")),
        why="A function's URL or route without authorization answers, and bills, everybody.",
        fix="set authorizationType AWS_IAM, an authorizer of the API, or a principal that isn't *",
        types=frozenset(
            {
                "aws:lambda/functionUrl:FunctionUrl",
                "aws:lambda/permission:Permission",
                "aws:apigatewayv2/route:Route",
                "aws:apigateway/method:Method",
            }
        ),
        check=_functions,
    ),
    Rule(
        id="load-balancer-closed",
        title="Load balancers are internal and take encrypted requests",
        severity=Severity.HIGH,
        references=(cis_eks("5.4.5"), soc2("CC6.6"), soc2("CC6.7")),
        why="Requests to a model hold the data of people: on the way nobody else may read them.",
        fix="declare the listener with protocol HTTPS or TLS and a certificate, or as a redirect to one",
        types=frozenset(
            {
                "aws:lb/loadBalancer:LoadBalancer",
                "aws:alb/loadBalancer:LoadBalancer",
                "aws:lb/listener:Listener",
                "aws:alb/listener:Listener",
            }
        ),
        check=_balancers,
    ),
)
