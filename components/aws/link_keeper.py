"""A request a day through the VPC link in front of Lambda and to each release, so that none goes to sleep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from components.aws.iam import allow, document, from_account, granted, trust
from components.aws.lambda_api import LambdaApi
from components.aws.scope import Scope

_CODE = Path(__file__).with_name("functions") / "link.py"
_PATH = "/-/link"
"""No model's name begins with a hyphen: the load balancer answers itself that there is no such model."""
_TIMEOUT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkKeeperArgs:
    """What is kept awake."""

    api: LambdaApi
    key_arn: pulumi.Input[str]
    """Encrypts the function's log."""


class LinkKeeper(pulumi.ComponentResource):
    """A function that asks the load balancer by way of the API, once a day.

    A link over which nothing goes for 60 days becomes inactive: API Gateway deletes its network interfaces,
    and every request fails until it has made others, which takes minutes (http-api-vpc-links.html). Models on
    Lambda are those that may not be asked for as long; for their functions see ``keep``. The request is
    signed like a caller's; where it isn't answered, an alarm tells the operator that no caller is.
    """

    def __init__(
        self, name: str, scope: Scope, args: LinkKeeperArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:LinkKeeper", name, None, opts)
        self._name, self._scope, self._args = name, scope, args
        self._child = pulumi.ResourceOptions(parent=self)
        route = args.api.reserve(name, f"GET {_PATH}", self._child)
        function = self._function(route)
        self._scheduler = granted(
            f"{name}-schedule",
            scope,
            trust("scheduler.amazonaws.com", condition=from_account(scope.account)),
            self._child,
            document(
                allow(("lambda:InvokeFunction",), [scope.arn("lambda", f"function:{scope.prefix}-*")]),
            ),
        )
        self._daily(name, function.arn, None, self._child)
        self._alarm(function)
        self.register_outputs({})

    def _function(self, route: pulumi.Resource) -> aws.lambda_.Function:
        scope, name, api = self._scope, self._name, self._args.api
        group_name = f"/{scope.prefix}/{name}"
        logs = aws.cloudwatch.LogGroup(
            name,
            name=group_name,
            retention_in_days=scope.log_days,
            kms_key_id=self._args.key_arn,
            opts=self._child,
        )
        writes = scope.arn("logs", f"log-group:{group_name}:*")
        role = granted(
            name,
            scope,
            trust("lambda.amazonaws.com"),
            self._child,
            document(
                allow(("execute-api:Invoke",), [pulumi.Output.concat(api.execution_arn, f"/*/GET{_PATH}")]),
                allow(("logs:CreateLogStream", "logs:PutLogEvents"), [writes]),
            ),
        )
        return aws.lambda_.Function(
            name,
            name=scope.short(name, 64),
            runtime="python3.13",
            handler="link.handler",
            code=pulumi.AssetArchive({"link.py": pulumi.StringAsset(_CODE.read_text(encoding="utf-8"))}),
            architectures=["x86_64"],
            role=role.arn,
            memory_size=128,
            timeout=_TIMEOUT,
            environment={"variables": {"URL": pulumi.Output.concat(api.url, _PATH)}},
            logging_config={"log_format": "JSON", "log_group": logs.name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[route, *role.ready]),
        )

    def keep(
        self, name: str, model: str, alias_arn: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> aws.scheduler.Schedule:
        """Ask a release of a model whether it is ready, once a day, by its endpoint's options.

        A function that hasn't run for weeks becomes inactive: its first requests fail until Lambda has its
        resources again (functions-states.html). One whose weight is 0 is asked by nothing else.
        """
        asked = {
            "requestContext": {"elb": {"targetGroupArn": ""}},
            "httpMethod": "GET",
            "path": f"/{model}/v2/health/ready",
            "queryStringParameters": {},
            "headers": {"host": "link-keeper"},
            "body": "",
            "isBase64Encoded": False,
        }
        return self._daily(name, alias_arn, json.dumps(asked), opts)

    def _daily(
        self, name: str, arn: pulumi.Input[str], event: str | None, opts: pulumi.ResourceOptions
    ) -> aws.scheduler.Schedule:
        ready = pulumi.ResourceOptions(depends_on=list(self._scheduler.ready))
        return aws.scheduler.Schedule(
            name,
            schedule_expression="rate(1 day)",
            flexible_time_window={"mode": "FLEXIBLE", "maximum_window_in_minutes": 60},
            target={"arn": arn, "role_arn": self._scheduler.arn, "input": event},
            opts=pulumi.ResourceOptions.merge(opts, ready),
        )

    def _alarm(self, function: aws.lambda_.Function) -> None:
        aws.cloudwatch.MetricAlarm(
            self._name,
            alarm_description=f"{self._scope.prefix}: the API in front of models on Lambda didn't reach the"
            " load balancer behind it, twice running",
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions={"FunctionName": function.name},
            statistic="Sum",
            # Lambda tries twice again, after one minute and after two: of three failures two are in a period.
            period=600,
            evaluation_periods=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=2.0,
            treat_missing_data="notBreaching",
            alarm_actions=self._scope.alarm_actions,
            opts=self._child,
        )
