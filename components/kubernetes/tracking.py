"""MLflow in the cluster: tracking server and model registry."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.kubernetes.labels import PART_OF
from components.kubernetes.quantities import binary
from components.kubernetes.server import container_security, pod_security
from components.kubernetes.settings import Identity, TrackingStore
from components.kubernetes.tracking_door import Door, publish

_PORT = 5000
_NAME = "tracking"
_SELECTOR = {"app.kubernetes.io/name": _NAME}
# A server refuses a database whose schema is of another version than its own. On an empty one it makes the
# tables by itself, which two servers do at once (mlflow/store/db/utils.py, 3.17.2): their lock is a file of
# one machine's. Kubernetes fills in the variable, so that the password is not in the declaration.
_UPGRADE = ("mlflow", "db", "upgrade", "$(MLFLOW_BACKEND_STORE_URI)")
_UPGRADE_SECONDS = 3600
_LIMITS = {"cpu": "1", "memory": "2Gi"}
_TMP: k8s.core.v1.VolumeArgsDict = {"name": "tmp", "empty_dir": {}}
_TMP_MOUNT: k8s.core.v1.VolumeMountArgsDict = {"name": "tmp", "mount_path": "/tmp"}  # noqa: S108


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingArgs:
    """An MLflow server."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    """MLflow's image by its digest."""
    storage: str
    """The size of the volume, where there is no ``store``."""
    storage_class: str | None
    store: TrackingStore | None
    identity: Identity | None
    protect: bool
    """Whether the volume, which is data, is protected and outlives its declaration."""
    door: Door | None = None
    """None: nobody outside the cluster reaches it."""


class Tracking(pulumi.ComponentResource):
    """An MLflow server with a Service inside the cluster. MLflow itself asks nobody who they are: the network
    lets only the models in, and the gateway only who has a token, where there is a ``door``.

    It hands out artifacts itself, so that pods and people need no rights on the store. With a volume there is
    one server, and an update stops the old one first; with a database there are two.

    The schema of the database is brought to the image's version before a server of that image starts: with a
    database by a Job, which runs again for each new image or database and whose failure leaves the old
    servers as they are; with a volume, which is one pod's at a time, by that pod itself.
    """

    url: pulumi.Output[str]
    """Where pods reach it."""

    def __init__(self, name: str, args: TrackingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:kubernetes:Tracking", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        account = k8s.core.v1.ServiceAccount(
            _NAME, metadata=self._metadata(), automount_service_account_token=False, opts=child
        )
        acting = args.identity(args.namespace, _NAME, child) if args.identity else ()
        store = self._secret(args.store) if args.store else self._volume()
        needed = [account, store, *acting]
        if args.store:
            needed.append(self._upgrade(store, account))
        server = k8s.apps.v1.Deployment(
            _NAME,
            metadata=self._metadata(),
            spec={
                "replicas": 2 if args.store else 1,
                "strategy": {"type": "RollingUpdate" if args.store else "Recreate"},
                "selector": {"match_labels": _SELECTOR},
                "template": {"metadata": {"labels": {**_SELECTOR, **PART_OF}}, "spec": self._pod()},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=needed),
        )
        service = k8s.core.v1.Service(
            _NAME,
            metadata=self._metadata(),
            spec={
                "selector": _SELECTOR,
                "ports": [{"name": "http", "port": _PORT, "target_port": "http"}],
            },
            # The provider waits 10 minutes for the pods behind a Service. These wait for their database,
            # whose creation takes longer where it has a standby.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[server]),
        )
        self._policy()
        if args.door:
            publish(_NAME, args.namespace, _PORT, args.door, service, child)
        self.url = pulumi.Output.concat("http://", _NAME, ".", args.namespace, f".svc:{_PORT}")
        self.register_outputs({"url": self.url})

    def _metadata(self) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {"name": _NAME, "namespace": self._args.namespace, "labels": {**_SELECTOR, **PART_OF}}

    def _secret(self, store: TrackingStore) -> pulumi.Resource:
        return k8s.core.v1.Secret(
            _NAME,
            metadata=self._metadata(),
            string_data={"database": pulumi.Output.secret(store.database)},
            opts=self._child,
        )

    def _volume(self) -> pulumi.Resource:
        keep = self._args.protect
        spec: k8s.core.v1.PersistentVolumeClaimSpecArgsDict = {
            "access_modes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": binary(self._args.storage)}},
        }
        if self._args.storage_class:
            spec["storage_class_name"] = self._args.storage_class
        return k8s.core.v1.PersistentVolumeClaim(
            _NAME,
            # Volumes that bind with their first pod would be waited for before there is one.
            metadata={**self._metadata(), "annotations": {"pulumi.com/skipAwait": "true"}},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, protect=keep, retain_on_delete=keep),
        )

    def _upgrade(self, secret: pulumi.Resource, account: pulumi.Resource) -> pulumi.Resource:
        """Declare the Job that upgrades the schema. It has no name of its own: another image or another
        database is another Job, beside the last one."""
        # The Service must not take its pod for a server.
        labels = {"app.kubernetes.io/name": f"{_NAME}-schema", **PART_OF}
        return k8s.batch.v1.Job(
            f"{_NAME}-schema",
            metadata={"namespace": self._args.namespace, "labels": labels},
            spec={
                "backoff_limit": 3,
                "active_deadline_seconds": _UPGRADE_SECONDS,
                "template": {
                    "metadata": {
                        "labels": labels,
                        # A node that is not needed waits for it.
                        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
                    },
                    "spec": {
                        **self._identity(),
                        "restart_policy": "Never",
                        "containers": [self._upgrading([_TMP_MOUNT])],
                        "volumes": [_TMP],
                    },
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account],
                replace_with=[secret],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{_UPGRADE_SECONDS}s"),
            ),
        )

    def _upgrading(self, mounts: list[k8s.core.v1.VolumeMountArgsDict]) -> k8s.core.v1.ContainerArgsDict:
        return {
            "name": "schema",
            "image": self._args.image,
            "command": list(_UPGRADE),
            "env": self._variables(),
            "resources": {"requests": _LIMITS, "limits": _LIMITS},
            "security_context": container_security(),
            "volume_mounts": mounts,
        }

    def _identity(self) -> k8s.core.v1.PodSpecArgsDict:
        """What makes a pod MLflow's."""
        return {
            "service_account_name": _NAME,
            "automount_service_account_token": False,
            "enable_service_links": False,
            "security_context": pod_security(),
            "containers": [],
        }

    def _variables(self) -> list[k8s.core.v1.EnvVarArgsDict]:
        database: k8s.core.v1.EnvVarArgsDict = {"name": "MLFLOW_BACKEND_STORE_URI"}
        if self._args.store:
            database["value_from"] = {"secret_key_ref": {"name": _NAME, "key": "database"}}
        else:
            database["value"] = "sqlite:////data/mlflow.db"
        return [
            database,
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"},
        ]

    def _pod(self) -> k8s.core.v1.PodSpecArgsDict:
        mounts, volumes = [_TMP_MOUNT], [_TMP]
        artifacts: pulumi.Input[str]
        if store := self._args.store:
            artifacts = store.artifacts
        else:
            artifacts = "/data/artifacts"
            mounts.append({"name": "data", "mount_path": "/data"})
            volumes.append({"name": "data", "persistent_volume_claim": {"claim_name": _NAME}})
        hosts = pulumi.Output.concat(
            f"{_NAME}.", self._args.namespace, f".svc:{_PORT},localhost:*,127.0.0.1:*"
        )
        if door := self._args.door:
            hosts = pulumi.Output.concat(hosts, ",", door.access.host)
        words: list[pulumi.Input[str]] = [
            *("mlflow", "server", "--host", "0.0.0.0", "--port", str(_PORT)),  # noqa: S104
            *("--artifacts-destination", artifacts, "--serve-artifacts", "--workers", "2"),
            *("--allowed-hosts", hosts),
        ]
        probe: k8s.core.v1.ProbeArgsDict = {
            "http_get": {
                "path": "/health",
                "port": "http",
                "http_headers": [{"name": "Host", "value": f"localhost:{_PORT}"}],
            },
            "period_seconds": 5,
            "timeout_seconds": 3,
        }
        first: k8s.core.v1.PodSpecArgsDict = {**self._identity()}
        if not self._args.store:
            first["init_containers"] = [self._upgrading(mounts)]
        return {
            **first,
            "containers": [
                {
                    "name": "mlflow",
                    "image": self._args.image,
                    "command": words,
                    "env": self._variables(),
                    "ports": [{"name": "http", "container_port": _PORT}],
                    "resources": {"requests": _LIMITS, "limits": _LIMITS},
                    "security_context": container_security(),
                    "startup_probe": {**probe, "failure_threshold": 60},
                    "readiness_probe": {**probe, "failure_threshold": 2},
                    "liveness_probe": {**probe, "failure_threshold": 6},
                    "volume_mounts": mounts,
                }
            ],
            "volumes": volumes,
        }

    def _policy(self) -> None:
        # Port-forwarding comes from the node itself, which no policy stops.
        peers: list[k8s.networking.v1.NetworkPolicyPeerArgsDict] = [
            {"pod_selector": {"match_labels": PART_OF}}
        ]
        if door := self._args.door:
            proxies = {"kubernetes.io/metadata.name": door.proxies}
            peers.append({"namespace_selector": {"match_labels": proxies}})
        k8s.networking.v1.NetworkPolicy(
            _NAME,
            metadata=self._metadata(),
            spec={
                "pod_selector": {"match_labels": _SELECTOR},
                "policy_types": ["Ingress"],
                "ingress": [
                    {
                        "from_": peers,
                        "ports": [{"protocol": "TCP", "port": _PORT}],
                    }
                ],
            },
            opts=self._child,
        )
