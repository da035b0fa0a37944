"""KEDA and its HTTP add-on: autoscaling down to no server, and by what a GPU does."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.kubernetes.charts import KEDA_CHART, KEDA_HTTP, install
from components.kubernetes.interceptor import INTERCEPTOR, KEDA
from components.kubernetes.labels import PART_OF

# Without this Helm would delete the definitions with the chart, and with them every ScaledObject of the
# cluster. The add-on's chart has no such value.
_VALUES = {"crds": {"additionalAnnotations": {"helm.sh/resource-policy": "keep"}}}


class Keda(pulumi.ComponentResource):
    """KEDA by its charts, or the one that the cluster has in the namespace ``keda``.

    The models' routes may name the interceptor, and nothing else of that namespace.
    """

    def __init__(
        self, name: str, namespace: str, install_charts: bool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``namespace`` is the models'."""
        super().__init__("delivery:kubernetes:Keda", name, None, opts)
        after = child = pulumi.ResourceOptions(parent=self)
        if install_charts:
            core = install(KEDA, KEDA_CHART, KEDA, _VALUES, child)
            after = pulumi.ResourceOptions(parent=self, depends_on=[core])
            add_on = install("keda-add-ons-http", KEDA_HTTP, KEDA, {}, after)
            after = pulumi.ResourceOptions(parent=self, depends_on=[add_on])
        k8s.apiextensions.CustomResource(
            "models-grant",
            api_version="gateway.networking.k8s.io/v1beta1",
            kind="ReferenceGrant",
            # In KEDA's namespace, which may serve several platforms of one cluster.
            metadata={"name": f"model-delivery-{namespace}", "namespace": KEDA, "labels": PART_OF},
            spec={
                "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace}],
                "to": [{"group": "", "kind": "Service", "name": INTERCEPTOR}],
            },
            opts=after,
        )
        self.register_outputs({"namespace": KEDA})
