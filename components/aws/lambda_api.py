"""The door to the models on Lambda: an HTTP API that lets signed requests of permitted callers pass."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.aws.load_balancer import LoadBalancer
from components.aws.network import Network
from components.aws.scope import Scope
from components.environment import Model
from components.environment.values import LAMBDA_TIMEOUT

# Those of an account, written out: a stage's settings without them stand for none at all.
_REQUESTS_A_SECOND: Final = 10_000
_BURST: Final = 5_000
_LOGGED: Final = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "caller": "$context.identity.userArn",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "error": "$context.integrationErrorMessage",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaApiArgs:
    """What the API stands in front of."""

    network: Network
    balancer: LoadBalancer
    server_name: str | None
    """The host name in the balancer's certificate; None where it speaks HTTP."""
    key_arn: pulumi.Input[str]
    """Encrypts the log of requests."""


class LambdaApi(pulumi.ComponentResource):
    """An API whose callers sign their requests (SigV4) and need ``execute-api:Invoke`` by IAM.

    A model's routes are its endpoint's; what has no route is answered 404 here. Requests go on through a VPC
    link to the load balancer, which nobody else reaches. Who asked for what is logged.
    """

    url: pulumi.Output[str]
    """``https://ID.execute-api.REGION.amazonaws.com``; a model is at ``URL/MODEL``."""
    execution_arn: pulumi.Output[str]
    """What the ARNs of its routes begin with, in policies."""

    def __init__(
        self, name: str, scope: Scope, args: LambdaApiArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:LambdaApi", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._scope, self._args, self._named = scope, args, name
        self._api = aws.apigatewayv2.Api(
            name,
            name=scope.short(name, 128),
            description=f"Models of {scope.prefix} on Lambda",
            protocol_type="HTTP",
            opts=self._child,
        )
        self._link = self._linked(name)
        self._integrations = {LAMBDA_TIMEOUT: self._integration(name, LAMBDA_TIMEOUT)}
        self._stage(name)
        self._alarm(name)
        self.url, self.execution_arn = self._api.api_endpoint, self._api.execution_arn
        self.register_outputs({"url": self.url})

    def route(self, model: Model, opts: pulumi.ResourceOptions) -> None:
        """Declare a model's routes, its own path and all below it, by its endpoint's options.

        The API waits for as long as the model's requests may take. The function doesn't end with it: it may
        be loading the model, and would never come to an end of that.
        """
        name = model.name
        for suffix, path in (("", f"/{name}"), ("-below", f"/{name}/{{proxy+}}")):
            self.reserve(f"{name}{suffix}", f"ANY {path}", opts, model.seconds)

    def reserve(
        self, name: str, key: str, opts: pulumi.ResourceOptions, seconds: int = LAMBDA_TIMEOUT
    ) -> aws.apigatewayv2.Route:
        """Declare one route, such as ``GET /path``, to the load balancer, which has ``seconds`` to answer."""
        integration = self._integrations.get(seconds)
        if integration is None:
            integration = self._integration(f"{self._named}-{seconds}s", seconds)
            self._integrations[seconds] = integration
        return aws.apigatewayv2.Route(
            name,
            api_id=self._api.id,
            route_key=key,
            authorization_type="AWS_IAM",
            target=integration.id.apply(lambda id: f"integrations/{id}"),
            opts=opts,
        )

    def _linked(self, name: str) -> aws.apigatewayv2.VpcLink:
        """Declare the way into the VPC; returns the link, whose dependants need all of it."""
        args, balancer = self._args, self._args.balancer
        link_name = f"{name}-link"
        group = aws.ec2.SecurityGroup(
            link_name,
            vpc_id=args.network.vpc_id,
            description="From the API to the load balancer in front of Lambda",
            opts=self._child,
        )
        ways = [
            aws.vpc.SecurityGroupEgressRule(
                link_name,
                security_group_id=group.id,
                description="To the load balancer",
                referenced_security_group_id=balancer.group_id,
                ip_protocol="tcp",
                from_port=balancer.port,
                to_port=balancer.port,
                opts=self._child,
            ),
            aws.vpc.SecurityGroupIngressRule(
                link_name,
                security_group_id=balancer.group_id,
                description="From the API alone",
                referenced_security_group_id=group.id,
                ip_protocol="tcp",
                from_port=balancer.port,
                to_port=balancer.port,
                opts=self._child,
            ),
        ]
        return aws.apigatewayv2.VpcLink(
            name,
            name=self._scope.short(name, 128),
            security_group_ids=[group.id],
            subnet_ids=list(args.network.private_subnet_ids),
            opts=pulumi.ResourceOptions(parent=self, depends_on=ways),
        )

    def _integration(self, name: str, seconds: int) -> aws.apigatewayv2.Integration:
        """Declare how requests go on to the load balancer, which has ``seconds`` to answer."""
        args = self._args
        return aws.apigatewayv2.Integration(
            name,
            api_id=self._api.id,
            integration_type="HTTP_PROXY",
            integration_method="ANY",
            integration_uri=args.balancer.listener_arn,
            connection_type="VPC_LINK",
            connection_id=self._link.id,
            payload_format_version="1.0",
            timeout_milliseconds=seconds * 1000,
            tls_config={"server_name_to_verify": args.server_name} if args.server_name else None,
            opts=self._child,
        )

    def _stage(self, name: str) -> None:
        logs = aws.cloudwatch.LogGroup(
            f"{name}-requests",
            name=f"/{self._scope.prefix}/lambda-requests",
            retention_in_days=self._scope.log_days,
            kms_key_id=self._args.key_arn,
            opts=self._child,
        )
        aws.apigatewayv2.Stage(
            name,
            api_id=self._api.id,
            # The one whose name is not in the path.
            name="$default",
            auto_deploy=True,
            access_log_settings={"destination_arn": logs.arn, "format": json.dumps(_LOGGED)},
            default_route_settings={
                # A metric for each model, not for all of them alone.
                "detailed_metrics_enabled": True,
                "throttling_burst_limit": _BURST,
                "throttling_rate_limit": float(_REQUESTS_A_SECOND),
            },
            opts=self._child,
        )

    def _alarm(self, name: str) -> None:
        """An alarm on what callers see and no function counts: no way to the balancer, no answer in time."""
        aws.cloudwatch.MetricAlarm(
            f"{name}-5xx",
            alarm_description=f"{self._scope.prefix}: 5 or more requests a minute to models on Lambda fail,"
            " for 3 minutes of 5",
            namespace="AWS/ApiGateway",
            metric_name="5xx",
            dimensions={"ApiId": self._api.id},
            statistic="Sum",
            period=60,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=5.0,
            treat_missing_data="notBreaching",
            alarm_actions=self._scope.alarm_actions,
            opts=self._child,
        )
