"""The variants of the model server's image, and how the platforms run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Built = Mapping[str, str]
"""The reference of each variant's image, with its digest."""
ADAPTER: Final = "adapter"
"""The image that stands in for AWS' Lambda Web Adapter."""
SERVES: Final[Mapping[str, tuple[str, ...]]] = {
    "both": ("sklearn", "onnx"),
    "onnx": ("onnx",),
    "sklearn": ("sklearn",),
    "lambda": ("sklearn", "onnx"),
    "sagemaker": ("sklearn", "onnx"),
}
"""The flavours that each variant serves."""
MEMORY: Final = "512m"

# components/kubernetes/server.py: not root, no capabilities, and nothing to write to but volumes.
POD: Final = (
    *("--user", "10001:10001", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", "/tmp:mode=1777", "--tmpfs", "/artifact:uid=10001,gid=10001"),
    *("--memory", MEMORY, "--memory-swap", MEMORY),
)
# Lambda: a user of its own, a read-only file system but for /tmp (AWS' guide, "Create a Lambda function using
# a container image", requirements; the user's numbers are those of AWS' own base images).
FUNCTION: Final = (
    *("--user", "993:990", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", "/tmp:mode=1777", "--memory", MEMORY, "--memory-swap", MEMORY),
)
