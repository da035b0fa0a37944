"""NVIDIA's device plugin, by which pods get GPUs, and its exporter, by which one sees what these do."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.kubernetes.charts import DCGM_EXPORTER, NVIDIA_DEVICE_PLUGIN, install


def device_plugin(opts: pulumi.ResourceOptions) -> k8s.helm.v3.Release:
    """Install the device plugin, with node feature discovery, which finds the nodes that it is to run on.

    The nodes have NVIDIA's driver already: their image brings it.
    """
    values = {"gfd": {"enabled": True}, "allowDefaultNamespace": False}
    return install("nvidia-device-plugin", NVIDIA_DEVICE_PLUGIN, "nvidia-device-plugin", values, opts)


def exporter(opts: pulumi.ResourceOptions) -> k8s.helm.v3.Release:
    """Install NVIDIA's DCGM exporter on the GPU nodes, with a ServiceMonitor: its definition must be there.

    Its metrics keep the namespace and the pod that use a GPU; Prometheus would else put the exporter's there.
    """
    values = {
        "serviceMonitor": {"enabled": True, "interval": "15s", "honorLabels": True},
        "nodeSelector": {"nvidia.com/gpu.present": "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
    return install("dcgm-exporter", DCGM_EXPORTER, "dcgm-exporter", values, opts)
