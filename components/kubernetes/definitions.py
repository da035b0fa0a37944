"""Definitions of the custom resources that charts work with, at the version that the charts need.

Helm installs what is in a chart's folder ``crds/`` once and never upgrades it. As resources of the stack the
definitions would make every update half a minute slower (docs/decisions/0024). So a Job applies them: once
for each version, before the charts.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import pulumi
import pulumi_kubernetes as k8s

from components.kubernetes.labels import PART_OF
from components.kubernetes.server import container_security, pod_security

FOLDER: Final = Path(__file__).parent / "crds"
Name: TypeAlias = Literal["gateway-api", "envoy-gateway", "prometheus-operator"]
"""A project whose definitions are in ``crds/``."""
_GROUP, _KIND = "apiextensions.k8s.io", "customresourcedefinitions"
_NAME = "definitions"
_MOUNT = "/definitions"
_SECONDS = 600
_LIMITS = {"cpu": "200m", "memory": "256Mi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionsArgs:
    """Definitions that a cluster needs."""

    namespace: str
    """Where the Job runs."""
    image: pulumi.Input[str]
    """An image with Python: the model server's."""
    names: Sequence[Name]
    least: str
    """The oldest Kubernetes that what needs them supports, such as ``1.33``."""


class Definitions(pulumi.ComponentResource):
    """Definitions of custom resources, brought to the cluster by a Job and never deleted: with a definition
    the API server deletes every object of its kind. ``crds/apply.py`` says what it does with those that are
    there.

    The Job may read, create and patch these definitions, and create others, for which a right can't be
    narrowed to names.
    """

    def __init__(self, name: str, args: DefinitionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:kubernetes:Definitions", name, None, opts)
        self._namespace = args.namespace
        child = pulumi.ResourceOptions(parent=self)
        account = k8s.core.v1.ServiceAccount(
            _NAME, metadata=self._metadata(_NAME), automount_service_account_token=False, opts=child
        )
        rights = self._rights(args, child)
        files = [self._file("program", FOLDER / "apply.py", child)]
        files += [self._file(each, FOLDER / f"{each}.json.xz", child) for each in args.names]
        # It has no name of its own: another version is another Job, beside the last one.
        k8s.batch.v1.Job(
            _NAME,
            metadata={
                "namespace": args.namespace,
                "labels": PART_OF,
                # What a reader of a plan sees of a change.
                "annotations": {
                    "model-delivery/definitions": ", ".join(f"{each} {version(each)}" for each in args.names)
                },
            },
            spec=_job(args, [name for name, _ in files]),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account, *rights, *(file for _, file in files)],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{_SECONDS}s"),
            ),
        )
        self.register_outputs({})

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {"name": name, "namespace": self._namespace, "labels": PART_OF}

    def _file(self, part: str, file: Path, opts: pulumi.ResourceOptions) -> tuple[str, k8s.core.v1.ConfigMap]:
        """Declare a ConfigMap that is named after its content, so that the last one is there until the Job of
        the next one has run. Returns its name as well."""
        content = file.read_bytes()
        name = f"{_NAME}-{part}-{hashlib.sha256(content).hexdigest()[:8]}"
        fields: dict[str, Any] = (
            {"data": {file.name: content.decode()}}
            if file.suffix == ".py"
            else {"binary_data": {file.name: base64.b64encode(content).decode()}}
        )
        resource = k8s.core.v1.ConfigMap(
            f"{_NAME}-{part}", metadata=self._metadata(name), immutable=True, **fields, opts=opts
        )
        return name, resource

    def _rights(self, args: DefinitionsArgs, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        named = [str(name) for each in args.names for name in index()[each]["names"]]
        # Several platforms may share a cluster.
        title = f"model-delivery-{_NAME}-{args.namespace}"
        role = k8s.rbac.v1.ClusterRole(
            _NAME,
            metadata={"name": title, "labels": PART_OF},
            rules=[
                {"api_groups": [_GROUP], "resources": [_KIND], "verbs": ["create"]},
                {
                    "api_groups": [_GROUP],
                    "resources": [_KIND],
                    "resource_names": named,
                    "verbs": ["get", "patch"],
                },
            ],
            opts=opts,
        )
        binding = k8s.rbac.v1.ClusterRoleBinding(
            _NAME,
            metadata={"name": title, "labels": PART_OF},
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": title},
            subjects=[{"kind": "ServiceAccount", "name": _NAME, "namespace": args.namespace}],
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[role])),
        )
        return [role, binding]


@cache
def index() -> dict[str, Any]:
    """What ``crds/`` has: by name the ``version``, the ``names`` of the definitions and the ``module`` that
    they are from."""
    return json.loads((FOLDER / "index.json").read_text())


def version(name: Name) -> str:
    """The version of a project's definitions, without a leading v."""
    return str(index()[name]["version"])


def _job(args: DefinitionsArgs, files: Sequence[str]) -> k8s.batch.v1.JobSpecArgsDict:
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "apply",
        "image": args.image,
        "command": ["python", f"{_MOUNT}/apply.py", "--least", args.least, _MOUNT],
        "resources": {"requests": _LIMITS, "limits": _LIMITS},
        "security_context": container_security(),
        "volume_mounts": [{"name": "definitions", "mount_path": _MOUNT, "read_only": True}],
        # What it says of a refusal is then in the pod's status, where `up` shows it.
        "termination_message_policy": "FallbackToLogsOnError",
    }
    return {
        "backoff_limit": 2,
        "active_deadline_seconds": _SECONDS - 60,
        "template": {
            # It isn't one of the pods that may ask MLflow.
            "metadata": {"labels": {"app.kubernetes.io/name": _NAME}},
            "spec": {
                "restart_policy": "Never",
                "service_account_name": _NAME,
                "automount_service_account_token": True,
                "enable_service_links": False,
                "security_context": pod_security(),
                "containers": [container],
                "volumes": [
                    {
                        "name": "definitions",
                        "projected": {"sources": [{"config_map": {"name": name}} for name in files]},
                    }
                ],
            },
        },
    }
