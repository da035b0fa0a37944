"""MLflow's database: PostgreSQL on Cloud SQL, reached from the VPC alone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.environment.gcp import Database
from components.gcp.key import Key
from components.gcp.network import Network
from components.gcp.scope import Scope

_PORT = 5432
_USER = "mlflow"
_DATABASE = "mlflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingArgs:
    """Where MLflow's database is."""

    network: Network
    key: Key


class Tracking(pulumi.ComponentResource):
    """An encrypted PostgreSQL without a public address, and its password in Secret Manager.

    The password is made once, when its secret is; afterwards what Secret Manager has counts. TLS is asked for
    by both sides.
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
        super().__init__("delivery:gcp:Tracking", name, None, opts)
        self._scope, self._args = scope, args
        password = self._password(name)
        instance = self._instance(name, database)
        # The instance takes them along: PostgreSQL drops no user who owns tables, and no database in use.
        inside = pulumi.ResourceOptions.merge(scope.data(self), pulumi.ResourceOptions(deleted_with=instance))
        inner = gcp.sql.Database(name, name=_DATABASE, instance=instance.name, opts=inside)
        user = gcp.sql.User(name, name=_USER, instance=instance.name, password=password, opts=inside)
        # Of all four, so that what uses it waits for user and database too.
        uri = pulumi.Output.all(user.name, password, instance.private_ip_address, inner.name).apply(
            lambda known: (
                f"postgresql+psycopg2://{known[0]}:{known[1]}@{known[2]}:{_PORT}/{known[3]}?sslmode=require"
            )
        )
        self.uri = pulumi.Output.secret(uri)
        self.register_outputs({})

    def _password(self, name: str) -> pulumi.Output[str]:
        scope = self._scope
        secret = gcp.secretmanager.Secret(
            name,
            secret_id=scope.short("mlflow-database", 255),
            replication={
                "user_managed": {
                    "replicas": [
                        {
                            "location": scope.region,
                            "customer_managed_encryption": {"kms_key_name": self._args.key.name},
                        }
                    ]
                }
            },
            deletion_protection=scope.protect,
            opts=pulumi.ResourceOptions.merge(
                scope.data(self), pulumi.ResourceOptions(depends_on=list(self._args.key.ready))
            ),
        )
        version = gcp.secretmanager.SecretVersion(
            name,
            secret=secret.id,
            # A new one at every run, of which only the first counts.
            secret_data=pulumi.Output.secret(secrets.token_urlsafe(32)),
            opts=pulumi.ResourceOptions.merge(
                scope.data(self), pulumi.ResourceOptions(ignore_changes=["secretData"])
            ),
        )
        return version.secret_data.apply(str)

    def _instance(self, name: str, database: Database) -> gcp.sql.DatabaseInstance:
        scope, network = self._scope, self._args.network
        child = pulumi.ResourceOptions(parent=self)
        address, _, length = network.ranges.database.partition("/")
        reserved = gcp.compute.GlobalAddress(
            name,
            purpose="VPC_PEERING",
            address_type="INTERNAL",
            address=address,
            prefix_length=int(length),
            network=network.network.id,
            opts=child,
        )
        peering = gcp.servicenetworking.Connection(
            name,
            network=network.network.id,
            service="servicenetworking.googleapis.com",
            reserved_peering_ranges=[reserved.name],
            opts=child,
        )
        fast = database.tier.startswith("db-perf-optimized")
        return gcp.sql.DatabaseInstance(
            name,
            region=scope.region,
            database_version="POSTGRES_17",
            encryption_key_name=self._args.key.name,
            deletion_protection=scope.protect,
            settings={
                "tier": database.tier,
                "edition": "ENTERPRISE_PLUS" if fast else "ENTERPRISE",
                "availability_type": "REGIONAL" if database.multi_zone else "ZONAL",
                "disk_type": "PD_SSD",
                "disk_size": database.storage_gb,
                "disk_autoresize": True,
                "disk_autoresize_limit": database.storage_gb * 5,
                "ip_configuration": {
                    "ipv4_enabled": False,
                    "private_network": network.network.id,
                    "ssl_mode": "ENCRYPTED_ONLY",
                },
                "backup_configuration": {
                    "enabled": True,
                    "point_in_time_recovery_enabled": True,
                    "backup_retention_settings": {"retained_backups": 30 if scope.protect else 7},
                },
                "deletion_protection_enabled": scope.protect,
                "retain_backups_on_delete": scope.protect,
                "user_labels": dict(scope.labels),
            },
            opts=pulumi.ResourceOptions.merge(
                scope.data(self),
                pulumi.ResourceOptions(
                    depends_on=[peering, *self._args.key.ready],
                    # It grows by itself.
                    ignore_changes=["settings.diskSize"],
                ),
            ),
        )
