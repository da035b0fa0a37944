"""Access on AWS: who may do what, who may call what, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import cis_aws, cis_eks, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity, Unknown
from policy.rules.values import as_map, is_on, is_world, listed

_IDENTITY: Final = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
_ROLE: Final = "aws:iam/role:Role"
_ATTACHMENTS: Final = (
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)
_TRUST: Final[Mapping[str, str]] = {
    _ROLE: "assumeRolePolicy",
    "aws:apigateway/restApi:RestApi": "policy",
    "aws:apigateway/restApiPolicy:RestApiPolicy": "policy",
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy": "policy",
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": "policyDocument",
    "aws:dynamodb/resourcePolicy:ResourcePolicy": "policy",
    "aws:ecr/registryPolicy:RegistryPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:kms/externalKey:ExternalKey": "policy",
    "aws:kms/key:Key": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
    "aws:s3/accessPoint:AccessPoint": "policy",
    "aws:s3/bucket:Bucket": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:s3/bucketV2:BucketV2": "policy",
    "aws:s3control/accessPointPolicy:AccessPointPolicy": "policy",
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": "resourcePolicy",
    "aws:secretsmanager/secret:Secret": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queue:Queue": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}
"""Where each type says whom it trusts."""
_TOO_MUCH: Final = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
_POSITIVE: Final = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"}
)
_WHO: Final = re.compile(
    r"aws:(principal(arn|account|orgid|orgpaths|servicename|tag/.+)"
    r"|source(arn|account|orgid|orgpaths|owner|ip|vpc|vpce)|vpcsourceip|userid|username)"
    r"|kms:(calleraccount|viaservice)|s3:dataaccesspoint(arn|account)|.+:(sub|aud)"
)
"""Keys of a condition that say who is asking or from where: those by which AWS tells that a policy isn't
public, and a token's own."""
_WEB: Final = 443
_WEB_PROTOCOLS: Final = ("tcp", "udp", "6", "17")


def _statements(document: object) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy document that allow something, their keys in small letters."""
    for statement in listed(_lower(document).get("statement")):
        found = _lower(statement)
        if str(found.get("effect")).lower() != "deny":
            yield found


def _lower(value: object) -> Mapping[str, Any]:
    return {key.lower(): inner for key, inner in as_map(value).items()}


def _wildcard_actions(case: Case) -> Iterator[Finding]:
    resource = case.resource
    attached = [resource.value("policyArn", "")] if resource.type in _ATTACHMENTS else []
    for arn in (*attached, *resource.items("policyArns"), *resource.items("managedPolicyArns")):
        name = str(arn).rpartition("/")[2]
        # AdministratorAccess-Amplify and its like too.
        if name.startswith(_TOO_MUCH):
            yield Finding(message=f"{resource.id}: {name} allows nearly everything")
    documents = [resource.value("policy")] if resource.type in _IDENTITY else []
    documents += [one.get("policy") for one in resource.items("inlinePolicies")]
    for document in documents:
        for statement in _statements(document):
            stars = [action for action in listed(statement.get("action")) if "*" in action or "?" in action]
            if stars:
                yield Finding(message=f"{resource.id}: the actions {', '.join(stars)} are wildcards")
            if "notaction" in statement:
                yield Finding(message=f"{resource.id}: NotAction allows every action that it doesn't name")


def _anybody(principal: object) -> bool:
    if principal == "*":
        return True
    return any("*" in listed(named) for named in as_map(principal).values())


def _wildcard_trust(case: Case) -> Iterator[Finding]:
    resource = case.resource
    path = _TRUST[resource.type]
    for statement in _statements(resource.value(path)):
        if "notprincipal" in statement:
            yield Finding(message=f"{resource.id}: NotPrincipal allows everybody whom it doesn't name")
        elif _anybody(statement.get("principal")) and not any(_narrow(statement.get("condition"))):
            without = "a condition that says who" if statement.get("condition") else "a condition"
            yield Finding(message=f"{resource.id}: {path} trusts everybody (Principal *), without {without}")
        elif (issuers := _issuers(statement.get("principal"))) and not any(
            key.endswith(":sub") for key in _narrow(statement.get("condition"))
        ):
            yield Finding(
                message=f"{resource.id}: {path} trusts everybody with a token of {', '.join(issuers)}",
                fix="say by a condition on the token's `sub` whose it must be: a repository, an account",
            )


def _issuers(principal: object) -> list[str]:
    """The OpenID Connect issuers that a principal names."""
    if principal == "*":
        return []
    named = map(str, listed(as_map(principal).get("Federated")))
    return [arn.partition(":oidc-provider/")[2] for arn in named if ":oidc-provider/" in arn]


def _narrow(condition: object) -> Iterator[str]:
    """The keys of a condition by which it is some and not all who may; those that only exclude aren't among
    them, nor those that hold where the key isn't there, nor those with a value that is everybody's."""
    for operator, wanted in as_map(condition).items():
        of_any, _, kind = operator.lower().rpartition(":")
        if of_any == "forallvalues" or kind not in _POSITIVE:
            continue
        for key, values in _lower(wanted).items():
            if _WHO.fullmatch(key) and (some := listed(values)) and not any(map(_is_anyone, some)):
                yield key


def _is_anyone(value: object) -> bool:
    """Whether a condition's value holds for strangers. One that only an apply knows is something's name."""
    if isinstance(value, Unknown):
        return False
    text = str(value)
    if re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]+", text):
        return is_world(text)
    account = text.split(":")[4] if text.startswith("arn:") and text.count(":") > 4 else ""
    return bool(re.match(r"(repo:|system:serviceaccount:)?[*?]", text) or re.search(r"[*?]", account))


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
        open_to = [str(cidr) for some in blocks for cidr in listed(some) if is_world(cidr)]
        if not open_to:
            continue
        low, high = rule.get("fromPort"), rule.get("toPort")
        protocol = rule.get("protocol", rule.get("ipProtocol", "tcp"))
        # Of every protocol (-1) it is every port, whatever ports are written.
        every = str(protocol).lower() not in _WEB_PROTOCOLS
        if every or (low, high) != (_WEB, _WEB):
            ports = (
                "every port"
                if every or low in (None, 0, -1)
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
        types=frozenset(_TRUST),
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
