"""What the models' pods write, kept in CloudWatch: Kubernetes has it only for as long as the pod is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws.cluster import Cluster
from components.aws.iam import allow, document, granted, pod_trust
from components.aws.scope import Scope
from components.kubernetes.charts import Chart, install

_CHART = Chart(chart="fluent-bit", version="0.58.1", repository="https://fluent.github.io/helm-charts")
_NAME = "fluent-bit"
_NAMESPACE = "logging"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLogsArgs:
    """Whose logs are kept."""

    cluster: Cluster
    nodes: Sequence[pulumi.Resource]
    """The groups whose nodes carry the pods."""
    kubernetes: k8s.Provider
    namespace: str
    """The namespace of the models, and of MLflow."""
    key_arn: pulumi.Input[str]
    """Encrypts the logs."""


class PodLogs(pulumi.ComponentResource):
    """Fluent Bit on every node, which sends the models' logs to one log group.

    The group is here before it, so that it has an end and a key. Fluent Bit reads the logs of one namespace,
    asks Kubernetes for nothing, and may write into this group alone. A stream is a container of a pod: its
    name has the model and the version. What can't be sent yet waits on the node's disk.
    """

    group_name: str

    def __init__(
        self, name: str, scope: Scope, args: PodLogsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("delivery:aws:PodLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.group_name = f"/{scope.prefix}/pods"
        group = aws.cloudwatch.LogGroup(
            name,
            name=self.group_name,
            retention_in_days=scope.log_days,
            kms_key_id=args.key_arn,
            opts=scope.data(self),
        )
        arn = scope.arn("logs", f"log-group:{self.group_name}")
        role = granted(
            name,
            scope,
            pod_trust(),
            child,
            document(allow(("logs:CreateLogStream", "logs:PutLogEvents"), [f"{arn}:*"])),
        )
        identity = aws.eks.PodIdentityAssociation(
            name,
            cluster_name=args.cluster.resource.name,
            namespace=_NAMESPACE,
            service_account=_NAME,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(role.ready)),
        )
        install(
            _NAME,
            _CHART,
            _NAMESPACE,
            _values(configuration(args.namespace, scope.region, self.group_name)),
            pulumi.ResourceOptions(
                parent=self, provider=args.kubernetes, depends_on=[group, identity, *args.nodes]
            ),
        )
        self.register_outputs({"groupName": self.group_name})


def configuration(namespace: str, region: str, group: str) -> dict[str, str]:
    """The chart's ``config``: each line of the namespace's containers, as it was written, to ``group``."""
    return {
        "service": """\
[SERVICE]
    Daemon Off
    Flush 5
    Log_Level warn
    Parsers_File /fluent-bit/etc/parsers.conf
    Parsers_File /fluent-bit/etc/conf/custom_parsers.conf
    HTTP_Server On
    HTTP_Listen 0.0.0.0
    HTTP_Port {{ .Values.metricsPort }}
    Health_Check On
    storage.path /var/fluent-bit/chunks
    storage.sync normal
""",
        # The kubelet names the files POD_NAMESPACE_CONTAINER-ID.log.
        "inputs": f"""\
[INPUT]
    Name tail
    Path /var/log/containers/*_{namespace}_*.log
    Tag <pod>.<container>
    Tag_Regex (?<pod>[^_/]+)_[^_]+_(?<container>.+)-[0-9a-f]{{64}}\\.log$
    multiline.parser cri
    DB /var/fluent-bit/position.db
    Read_from_Head On
    Buffer_Max_Size 1M
    Skip_Long_Lines On
    storage.type filesystem
""",
        "filters": "",
        "outputs": f"""\
[OUTPUT]
    Name cloudwatch_logs
    Match *
    region {region}
    log_group_name {group}
    log_stream_prefix pods/
    log_key log
    auto_create_group Off
    Retry_Limit no_limits
    storage.total_limit_size 1G
""",
    }


def _values(config: dict[str, str]) -> dict[str, object]:
    return {
        "image": {"pullPolicy": "IfNotPresent"},
        "testFramework": {"enabled": False},
        "serviceAccount": {"name": _NAME, "automountServiceAccountToken": False},
        "rbac": {"create": False},
        # Logs belong to root, and so does the state beside them; nothing else of root's is needed.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "daemonSetVolumes": [
            {"name": "logs", "hostPath": {"path": "/var/log"}},
            {"name": "state", "hostPath": {"path": "/var/fluent-bit", "type": "DirectoryOrCreate"}},
        ],
        "daemonSetVolumeMounts": [
            {"name": "logs", "mountPath": "/var/log", "readOnly": True},
            {"name": "state", "mountPath": "/var/fluent-bit"},
        ],
        # GPU nodes too.
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "system-node-critical",
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "256Mi"},
        },
        "config": config,
    }
