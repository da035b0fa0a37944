"""The network: a VPC over two or three zones, whose nodes have no public address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.aws.iam import allow, document, from_account, granted, trust
from components.aws.scope import Scope

Nat = Literal["none", "one", "zone"]

_SERVICES = ("ecr.api", "ecr.dkr", "logs", "sts")
# What nodes, add-ons and autoscalers call besides, where no NAT leads to it.
_SERVICES_ALONE = (
    "autoscaling",
    "ec2",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "secretsmanager",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnets:
    """The address ranges of a VPC, one of each kind a zone."""

    private: tuple[str, ...]
    """A quarter of the VPC each: with the VPC CNI every pod takes an address."""
    public: tuple[str, ...]
    """Small, out of the last quarter: load balancers and NAT gateways alone."""


def subnets(cidr: str, zones: int) -> Subnets:
    """Divide a VPC's range. A zone's ranges don't depend on how many zones there are."""
    quarters = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))
    small = list(quarters[3].subnets(prefixlen_diff=4))
    return Subnets(
        private=tuple(str(quarter) for quarter in quarters[:zones]),
        public=tuple(str(part) for part in small[:zones]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """What a network is made of."""

    zones: tuple[str, ...]
    cidr: str
    """The VPC's range, /16 to /20."""
    key_arn: pulumi.Input[str]
    """Encrypts the flow logs."""
    nat: Nat = "one"
    """``one`` NAT gateway, one a ``zone`` (a zone's failure leaves the others their way out), or ``none``."""


class Network(pulumi.ComponentResource):
    """A VPC with private subnets for nodes, pods and databases, and public ones for load balancers and NAT.

    Images, artifacts, tokens and logs take endpoints inside the VPC. Everything that passes is in the flow
    logs.
    """

    vpc_id: pulumi.Output[str]
    cidr: str
    zones: tuple[str, ...]
    private_subnet_ids: tuple[pulumi.Output[str], ...]
    """One in each of the ``zones``, in their order."""
    ways: tuple[pulumi.Resource, ...]
    """Routes and endpoints: what starts in a private subnet needs them to reach anything."""

    def __init__(
        self, name: str, scope: Scope, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:Network", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._base, self._scope, self._args = name, scope, args
        ways: list[pulumi.Resource] = []
        self._vpc = aws.ec2.Vpc(
            name,
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": scope.prefix},
            opts=self._child,
        )
        # Without rules: who forgets to name a security group gets no traffic instead of too much.
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=self._vpc.id, opts=self._child)
        ranges = subnets(args.cidr, len(args.zones))
        public = self._subnets("public", ranges.public, {"kubernetes.io/role/elb": "1"})
        private = self._subnets("private", ranges.private, {"kubernetes.io/role/internal-elb": "1"})
        self._public_routes(public)
        tables = self._private_routes(private, self._nat_gateways(public), ways)
        self._endpoints(private, tables, ways)
        self.ways = tuple(ways)
        self._flow_logs()
        self.vpc_id, self.cidr, self.zones = self._vpc.id, args.cidr, args.zones
        self.private_subnet_ids = tuple(subnet.id for subnet in private)
        self.register_outputs({"vpcId": self.vpc_id})

    def _subnets(self, kind: str, ranges: tuple[str, ...], tags: dict[str, str]) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{self._base}-{kind}-{zone}",
                vpc_id=self._vpc.id,
                availability_zone=zone,
                cidr_block=block,
                map_public_ip_on_launch=False,
                tags={"Name": f"{self._scope.prefix}-{kind}-{zone}", **tags},
                opts=self._child,
            )
            for zone, block in zip(self._args.zones, ranges, strict=True)
        ]

    def _public_routes(self, public: list[aws.ec2.Subnet]) -> None:
        name = f"{self._base}-public"
        self._gateway = aws.ec2.InternetGateway(self._base, vpc_id=self._vpc.id, opts=self._child)
        table = aws.ec2.RouteTable(name, vpc_id=self._vpc.id, tags={"Name": name}, opts=self._child)
        aws.ec2.Route(
            name,
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=self._gateway.id,
            opts=self._child,
        )
        self._associate("public", public, [table] * len(public))

    def _associate(
        self, kind: str, subnets: list[aws.ec2.Subnet], tables: list[aws.ec2.RouteTable]
    ) -> list[pulumi.Resource]:
        return [
            aws.ec2.RouteTableAssociation(
                f"{self._base}-{kind}-{zone}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
            )
            for zone, subnet, table in zip(self._args.zones, subnets, tables, strict=True)
        ]

    def _nat_gateways(self, public: list[aws.ec2.Subnet]) -> list[aws.ec2.NatGateway]:
        count = {"none": 0, "one": 1, "zone": len(public)}[self._args.nat]
        gateways: list[aws.ec2.NatGateway] = []
        for zone, subnet in list(zip(self._args.zones, public, strict=True))[:count]:
            name = f"{self._base}-nat-{zone}"
            address = aws.ec2.Eip(name, domain="vpc", tags={"Name": name}, opts=self._child)
            gateways.append(
                aws.ec2.NatGateway(
                    name,
                    allocation_id=address.allocation_id,
                    subnet_id=subnet.id,
                    tags={"Name": name},
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[self._gateway]),
                )
            )
        return gateways

    def _private_routes(
        self,
        private: list[aws.ec2.Subnet],
        gateways: list[aws.ec2.NatGateway],
        ways: list[pulumi.Resource],
    ) -> list[aws.ec2.RouteTable]:
        tables: list[aws.ec2.RouteTable] = []
        for index, zone in enumerate(self._args.zones):
            name = f"{self._base}-private-{zone}"
            table = aws.ec2.RouteTable(name, vpc_id=self._vpc.id, tags={"Name": name}, opts=self._child)
            tables.append(table)
            if gateways:
                ways.append(
                    aws.ec2.Route(
                        name,
                        route_table_id=table.id,
                        destination_cidr_block="0.0.0.0/0",
                        nat_gateway_id=gateways[min(index, len(gateways) - 1)].id,
                        opts=self._child,
                    )
                )
        ways += self._associate("private", private, tables)
        return tables

    def _endpoints(
        self,
        private: list[aws.ec2.Subnet],
        tables: list[aws.ec2.RouteTable],
        ways: list[pulumi.Resource],
    ) -> None:
        scope = self._scope
        ways.append(
            aws.ec2.VpcEndpoint(
                f"{self._base}-s3",
                vpc_id=self._vpc.id,
                service_name=scope.partition.endpoint(scope.region, "s3"),
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables],
                opts=self._child,
            )
        )
        name = f"{self._base}-endpoints"
        group = aws.ec2.SecurityGroup(
            name,
            vpc_id=self._vpc.id,
            description="AWS services, called from inside the VPC",
            opts=self._child,
        )
        ways.append(
            aws.vpc.SecurityGroupIngressRule(
                name,
                security_group_id=group.id,
                description="HTTPS from the VPC",
                cidr_ipv4=self._args.cidr,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                opts=self._child,
            )
        )
        services = _SERVICES + (_SERVICES_ALONE if self._args.nat == "none" else ())
        ways += [
            aws.ec2.VpcEndpoint(
                f"{self._base}-{service.replace('.', '-')}",
                vpc_id=self._vpc.id,
                service_name=scope.partition.endpoint(scope.region, service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in private],
                security_group_ids=[group.id],
                opts=self._child,
            )
            for service in services
        ]

    def _flow_logs(self) -> None:
        scope, name = self._scope, f"{self._base}-flow"
        group_name = f"/{scope.prefix}/flow"
        group = aws.cloudwatch.LogGroup(
            name,
            name=group_name,
            retention_in_days=scope.log_days,
            kms_key_id=self._args.key_arn,
            opts=self._child,
        )
        arn = scope.arn("logs", f"log-group:{group_name}")
        writer = granted(
            name,
            scope,
            trust("vpc-flow-logs.amazonaws.com", condition=from_account(scope.account)),
            self._child,
            document(
                allow(("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"), [f"{arn}:*"]),
                # Has no narrower resource.
                allow(("logs:DescribeLogGroups",), ["*"]),
            ),
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=self._vpc.id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=writer.arn,
            max_aggregation_interval=600,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(writer.ready)),
        )
