"""A Pulumi program that declares images alone: the variants of the model server's, for one test stack.

A copy of the checkout has it as ``__main__.py``. What to build is in the stack's configuration: ``base``,
``adapter`` and ``repository``.
"""

from __future__ import annotations

import pulumi

from components.environment import ImageBuild
from components.image import Destination, sagemaker_image, serving_image


def program() -> None:
    """Export each variant's reference under its name."""
    config = pulumi.Config()
    base, repository = config.require("base"), config.require("repository")

    def to() -> Destination:
        return Destination(repository=repository)

    def under(name: str) -> pulumi.ResourceOptions:
        # The images have one name; their parent's type is what tells them apart.
        return pulumi.ResourceOptions(parent=pulumi.ComponentResource(f"tests:image:{name}", name))

    for flavor in ("onnx", "sklearn"):
        build = ImageBuild(base=base, flavors=(flavor,))
        pulumi.export(flavor, serving_image(build, to, under(flavor)))
    adapted = ImageBuild(base=base, adapter=config.require("adapter"))
    pulumi.export("lambda", serving_image(adapted, to, under("lambda")))
    pulumi.export("sagemaker", sagemaker_image(ImageBuild(base=base), to, under("sagemaker")))


if __name__ == "__main__":
    program()
