"""The load balancer in front of Lambda: one listener, whose rules split the traffic of each model."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.network import Network
from components.aws.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerArgs:
    """Where a load balancer stands."""

    network: Network
    certificate_arn: str | None = None
    """None: HTTP."""


class LoadBalancer(pulumi.ComponentResource):
    """An application load balancer without a public address. Where no rule fits, it answers 404.

    Nobody reaches it, unless a rule of its security group lets them: see ``LambdaApi``.
    """

    listener_arn: pulumi.Output[str]
    group_id: pulumi.Output[str]
    """Its security group."""
    port: int

    def __init__(
        self, name: str, scope: Scope, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:LoadBalancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        secure = args.certificate_arn is not None
        self.port = 443 if secure else 80
        group = aws.ec2.SecurityGroup(
            name, vpc_id=args.network.vpc_id, description="Callers of models on Lambda", opts=child
        )
        balancer = aws.lb.LoadBalancer(
            name,
            name=scope.short(name, 32),
            load_balancer_type="application",
            internal=True,
            security_groups=[group.id],
            subnets=list(args.network.private_subnet_ids),
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            # It goes with the last model on Lambda, and AWS deletes none that is protected; it holds no data.
            enable_deletion_protection=False,
            opts=child,
        )
        listener = aws.lb.Listener(
            name,
            load_balancer_arn=balancer.arn,
            port=self.port,
            protocol="HTTPS" if secure else "HTTP",
            certificate_arn=args.certificate_arn,
            ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06" if secure else None,
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {
                        "content_type": "text/plain",
                        "message_body": "No such model",
                        "status_code": "404",
                    },
                }
            ],
            opts=child,
        )
        self.listener_arn = listener.arn
        self.group_id = group.id
        self.register_outputs({})
