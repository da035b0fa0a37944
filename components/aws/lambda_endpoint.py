"""A model's endpoint on Lambda: a function for each release, and the rule that splits traffic over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.iam import Granted, allow, document, granted, trust
from components.aws.lambda_api import LambdaApi
from components.aws.link_keeper import LinkKeeper
from components.aws.load_balancer import LoadBalancer
from components.aws.scope import Scope, model_tags
from components.aws.serving import Serving
from components.endpoint import ModelEndpoint
from components.environment import Model
from components.environment.aws_services import lambda_memory
from components.release import Release
from components.traffic import Share, minimum_replicas, shares

_TIMEOUT = 30
_DISK = 2048
_ALIAS = "live"
UNLIMITED = 1000
"""An ``autoscaling.max`` of this reserves nothing: the account's own limit counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaEndpointArgs:
    """What an endpoint's functions run and stand behind."""

    serving: Serving
    balancer: LoadBalancer
    """Splits the traffic."""
    api: LambdaApi
    """Lets callers in."""
    keeper: LinkKeeper
    """Keeps the functions awake."""


class LambdaEndpoint(ModelEndpoint):
    """One model on Lambda.

    An alias splits traffic over published versions of one function, and a function holds one configuration:
    the program that declares version 4's can't declare version 3's too, only remember its number. So each
    release is a function of its own, with an alias on what it last published, and the split is the weights
    of one rule of the load balancer. A promotion changes that rule; the functions stay as they are.

    The rule depends on every function, its permission and its warm instances, so a release can answer
    before it is asked and is asked no more when it goes. Callers come through the API, by IAM; the routes
    come after the rule.
    """

    def __init__(
        self,
        model: Model,
        scope: Scope,
        args: LambdaEndpointArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:aws:LambdaEndpoint", model.name, None, opts)
        self._model, self._scope, self._args = model, scope, args
        self._child = pulumi.ResourceOptions(parent=self)
        split = shares(model)
        releases = [self._release(share) for share in split]
        backends = [self._backend(share, release) for share, release in zip(split, releases, strict=True)]
        rule = self._rule(split, backends)
        args.api.route(model, pulumi.ResourceOptions(parent=self, depends_on=[rule]))
        url = args.api.url.apply(lambda base: f"{base}/{model.name}")
        self.outputs = pulumi.Output.from_input(
            {
                "url": url,
                "releases": [
                    {"version": s.version, "digest": r.digest, "weight": s.weight, "shadow": s.shadow}
                    for s, r in zip(split, releases, strict=True)
                ],
            }
        )
        self.register_outputs({})

    def _named(self, share: Share) -> str:
        return f"{self._model.name}-v{share.version}"

    def _release(self, share: Share) -> Release:
        of, name = self._args.serving, self._named(share)
        return Release(name, self._model, share.version, of.registry, self._child, flavors=of.flavors)

    def _backend(self, share: Share, release: Release) -> _Backend:
        name, tags = self._named(share), model_tags(self._model, share.version)
        function = self._function(name, share, release, tags)
        alias = aws.lambda_.Alias(
            name,
            name=_ALIAS,
            function_name=function.name,
            function_version=function.version,
            opts=self._child,
        )
        self._alarms(name, function, tags)
        group = aws.lb.TargetGroup(
            name, name=self._scope.short(name, 32), target_type="lambda", tags=tags, opts=self._child
        )
        permission = aws.lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=function.name,
            qualifier=alias.name,
            principal="elasticloadbalancing.amazonaws.com",
            source_arn=group.arn,
            opts=self._child,
        )
        attachment = aws.lb.TargetGroupAttachment(
            name,
            target_group_arn=group.arn,
            target_id=alias.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        self._args.keeper.keep(name, self._model.name, alias.arn, self._child)
        ready: list[pulumi.Resource] = [attachment]
        warm = minimum_replicas(self._model, share)
        if warm:
            ready.append(
                aws.lambda_.ProvisionedConcurrencyConfig(
                    name,
                    function_name=function.name,
                    qualifier=alias.name,
                    provisioned_concurrent_executions=warm,
                    opts=self._child,
                )
            )
        return _Backend(group=group, ready=ready)

    def _function(
        self, name: str, share: Share, release: Release, tags: dict[str, str]
    ) -> aws.lambda_.Function:
        scope, args, model = self._scope, self._args, self._model
        logs, role = self._logs_and_role(name, tags)
        # Every release may take all that the model may: whatever the weights are, they can move at once.
        most = model.autoscaling.max
        return aws.lambda_.Function(
            name,
            name=scope.short(name, 64),
            package_type="Image",
            image_uri=args.serving.image,
            architectures=["x86_64"],
            role=role.arn,
            memory_size=lambda_memory(model.resources),
            timeout=_TIMEOUT,
            ephemeral_storage={"size": _DISK},
            reserved_concurrent_executions=None if most >= UNLIMITED else most,
            publish=True,
            environment={
                "variables": {
                    "SERVING_MODEL": model.name,
                    "SERVING_VERSION": str(share.version),
                    "SERVING_DIGEST": release.digest,
                    "SERVING_SOURCE": args.serving.artifacts.s3_uri(release.source),
                    "SERVING_ARTIFACT": "/tmp/model",  # noqa: S108 - the one folder a function may write
                    "SERVING_PORT": "8080",
                    **model.server_variables,
                    # The adapter that turns Lambda's events into requests; the path's first part is the
                    # model, which the server doesn't know of.
                    "AWS_LWA_PORT": "8080",
                    "AWS_LWA_READINESS_CHECK_PATH": "/v2/health/ready",
                    "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200",
                    "AWS_LWA_REMOVE_BASE_PATH": f"/{model.name}",
                    "AWS_LWA_ASYNC_INIT": "true",
                    "AWS_LWA_ERROR_STATUS_CODES": "500-599",
                }
            },
            logging_config={"log_format": "JSON", "log_group": logs.name},
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(role.ready)),
        )

    def _logs_and_role(self, name: str, tags: dict[str, str]) -> tuple[aws.cloudwatch.LogGroup, Granted]:
        scope = self._scope
        group_name = f"/{scope.prefix}/lambda/{name}"
        logs = aws.cloudwatch.LogGroup(
            name,
            name=group_name,
            retention_in_days=scope.log_days,
            kms_key_id=self._args.serving.key_arn,
            tags=tags,
            opts=self._child,
        )
        group_arn = scope.arn("logs", f"log-group:{group_name}")
        role = granted(
            name,
            scope,
            trust("lambda.amazonaws.com"),
            self._child,
            document(
                allow(("logs:CreateLogStream", "logs:PutLogEvents"), [f"{group_arn}:*"]),
                *self._args.serving.artifacts.may_read(),
            ),
            tags=tags,
        )
        return logs, role

    def _alarms(self, name: str, function: aws.lambda_.Function, tags: dict[str, str]) -> None:
        """Alarms on a release's own errors, and on requests that Lambda turns away."""
        for metric, threshold, text in (
            ("Errors", 5.0, "5 or more requests a minute fail, for 3 minutes of 5"),
            ("Throttles", 1.0, "Requests are turned away: raise autoscaling.max, or the account's limit"),
        ):
            aws.cloudwatch.MetricAlarm(
                f"{name}-{metric.lower()}",
                alarm_description=f"{self._scope.prefix} {name}: {text}",
                namespace="AWS/Lambda",
                metric_name=metric,
                dimensions={"FunctionName": function.name},
                statistic="Sum",
                period=60,
                evaluation_periods=5,
                datapoints_to_alarm=3,
                comparison_operator="GreaterThanOrEqualToThreshold",
                threshold=threshold,
                treat_missing_data="notBreaching",
                alarm_actions=self._scope.alarm_actions,
                tags=tags,
                opts=self._child,
            )

    def _rule(self, split: Sequence[Share], backends: Sequence[_Backend]) -> aws.lb.ListenerRule:
        model = self._model
        return aws.lb.ListenerRule(
            model.name,
            listener_arn=self._args.balancer.listener_arn,
            conditions=[{"path_pattern": {"values": [f"/{model.name}", f"/{model.name}/*"]}}],
            actions=[
                {
                    "type": "forward",
                    "forward": {
                        "target_groups": [
                            {"arn": backend.group.arn, "weight": share.weight}
                            for share, backend in zip(split, backends, strict=True)
                        ]
                    },
                }
            ],
            tags=model_tags(model),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[needed for backend in backends for needed in backend.ready]
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backend:
    """One release as the rule knows it."""

    group: aws.lb.TargetGroup
    ready: list[pulumi.Resource]
