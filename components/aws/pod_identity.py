"""The sign that an association of EKS Pod Identity holds: a pod that has got what it takes to use it."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.kubernetes.labels import PART_OF
from components.kubernetes.server import container_security, pod_security

_TRIES = 6
_SEEN = "import os, sys; sys.exit('AWS_CONTAINER_CREDENTIALS_FULL_URI' not in os.environ)"


def effective(
    name: str,
    namespace: pulumi.Input[str],
    account: str,
    image: pulumi.Input[str],
    association: pulumi.Resource,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """Declare a Job that is done once a pod of the service account has its AWS credentials.

    An association holds some seconds after it is made, and a pod gets its credentials when it is made or
    never (API_CreatePodIdentityAssociation.html): a server that starts too early would fail until it is
    deleted by hand. Each try of the Job is another pod, ten seconds later, then twenty, and so on.
    """
    limits = {"cpu": "100m", "memory": "64Mi"}
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "wait",
        "image": image,
        "command": ["python", "-c", _SEEN],
        "resources": {"requests": limits, "limits": limits},
        "security_context": container_security(),
    }
    return k8s.batch.v1.Job(
        name,
        metadata={"name": name, "namespace": namespace, "labels": PART_OF},
        spec={
            "backoff_limit": _TRIES,
            "template": {
                "metadata": {"labels": {"model-delivery/waits-for": account}},
                "spec": {
                    "restart_policy": "Never",
                    "service_account_name": account,
                    "automount_service_account_token": False,
                    "enable_service_links": False,
                    "security_context": pod_security(),
                    "containers": [container],
                },
            },
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[association])),
    )
