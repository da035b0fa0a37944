"""NVIDIA's device plugin: it makes the GPUs of a cluster's nodes something that pods can ask for."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.kubernetes.charts import NVIDIA_DEVICE_PLUGIN, install


def device_plugin(opts: pulumi.ResourceOptions) -> k8s.helm.v3.Release:
    """Install the device plugin, with node feature discovery, which finds the nodes that it is to run on.

    The nodes have NVIDIA's driver already: their image brings it.
    """
    values = {"gfd": {"enabled": True}, "allowDefaultNamespace": False}
    return install("nvidia-device-plugin", NVIDIA_DEVICE_PLUGIN, "nvidia-device-plugin", values, opts)
