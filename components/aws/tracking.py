"""MLflow's database: PostgreSQL on RDS, reached from the cluster alone."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.cluster import Cluster
from components.aws.network import Network
from components.aws.scope import Scope
from components.environment.aws import Database

_PORT = 5432
_USER = "mlflow"
_DATABASE = "mlflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingArgs:
    """Where MLflow's database is."""

    network: Network
    cluster: Cluster
    key_arn: pulumi.Input[str]


class Tracking(pulumi.ComponentResource):
    """An encrypted PostgreSQL without a public address, and its password in Secrets Manager.

    The password is made once, when its secret is; afterwards what Secrets Manager has counts. RDS could
    manage it by itself, but changes it every seven days then, and MLflow reads its database's address only
    when it starts. TLS is asked for by both sides.
    """

    uri: pulumi.Output[str]
    """The SQLAlchemy URI with the password; a secret of the stack."""

    def __init__(
        self,
        name: str,
        scope: Scope,
        database: Database,
        args: TrackingArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:aws:Tracking", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._scope, self._args = scope, args
        password = self._password(name)
        self.instance = self._database(name, database, password)
        uri = pulumi.Output.all(self.instance.address, password).apply(
            lambda known: (
                f"postgresql+psycopg2://{_USER}:{known[1]}@{known[0]}:{_PORT}/{_DATABASE}?sslmode=require"
            )
        )
        self.uri = pulumi.Output.secret(uri)
        self.register_outputs({})

    def _password(self, name: str) -> pulumi.Output[str]:
        secret = aws.secretsmanager.Secret(
            name,
            name=f"{self._scope.prefix}/mlflow-database",
            description="User and password of MLflow's database",
            kms_key_id=self._args.key_arn,
            # While a deleted secret can be recovered, its name can't be used again.
            recovery_window_in_days=30 if self._scope.protect else 0,
            opts=self._scope.data(self),
        )
        # A new one at every run, of which only the first counts.
        made = json.dumps({"username": _USER, "password": secrets.token_urlsafe(32)})
        version = aws.secretsmanager.SecretVersion(
            name,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(made),
            opts=pulumi.ResourceOptions.merge(
                self._scope.data(self), pulumi.ResourceOptions(ignore_changes=["secretString"])
            ),
        )
        return version.secret_string.apply(lambda text: str(json.loads(str(text))["password"]))

    def _database(self, name: str, database: Database, password: pulumi.Output[str]) -> aws.rds.Instance:
        scope, args = self._scope, self._args
        identifier = f"{scope.prefix}-mlflow"
        subnets = aws.rds.SubnetGroup(
            name, subnet_ids=list(args.network.private_subnet_ids), opts=self._child
        )
        group = aws.ec2.SecurityGroup(
            name,
            vpc_id=args.network.vpc_id,
            description="The database of MLflow, from the cluster alone",
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            description="PostgreSQL from the cluster",
            referenced_security_group_id=args.cluster.resource.vpc_config.cluster_security_group_id,
            ip_protocol="tcp",
            from_port=_PORT,
            to_port=_PORT,
            opts=self._child,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/rds/instance/{identifier}/postgresql",
            retention_in_days=scope.log_days,
            kms_key_id=args.key_arn,
            opts=self._child,
        )
        return aws.rds.Instance(
            name,
            identifier=identifier,
            engine="postgres",
            engine_version="17",
            instance_class=database.instance_class,
            allocated_storage=database.storage_gb,
            max_allocated_storage=database.storage_gb * 5,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            db_name=_DATABASE,
            username=_USER,
            password=password,
            port=_PORT,
            multi_az=database.multi_zone,
            publicly_accessible=False,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            backup_retention_period=30 if scope.protect else 7,
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            deletion_protection=scope.protect,
            skip_final_snapshot=not scope.protect,
            final_snapshot_identifier=f"{identifier}-final" if scope.protect else None,
            delete_automated_backups=not scope.protect,
            enabled_cloudwatch_logs_exports=["postgresql"],
            opts=pulumi.ResourceOptions.merge(scope.data(self), pulumi.ResourceOptions(depends_on=[logs])),
        )
