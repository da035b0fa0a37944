"""What every object of a model is labelled with."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model

PART_OF = {"app.kubernetes.io/part-of": "model-delivery"}


def selector(model: Model, version: int) -> dict[str, str]:
    """The labels that the pods of one release have, and no other pod."""
    return {"model-delivery/model": model.name, "model-delivery/version": str(version)}


def pod_labels(model: Model, version: int) -> dict[str, str]:
    """The labels of a release's pods. What a person may change without a restart isn't among them."""
    return {
        "app.kubernetes.io/name": model.name,
        "app.kubernetes.io/version": str(version),
        **PART_OF,
        **selector(model, version),
    }


def release_metadata(
    name: str, namespace: pulumi.Input[str], model: Model, version: int, **more: str
) -> k8s.meta.v1.ObjectMetaArgsDict:
    """Metadata of one of a release's objects; ``more`` are further labels."""
    labels = {**pod_labels(model, version), **_class(model), **more}
    return _metadata(name, namespace, labels, model)


def model_metadata(name: str, namespace: pulumi.Input[str], model: Model) -> k8s.meta.v1.ObjectMetaArgsDict:
    """Metadata of an object that belongs to a model as a whole."""
    labels = {
        "app.kubernetes.io/name": model.name,
        **PART_OF,
        "model-delivery/model": model.name,
        **_class(model),
    }
    return _metadata(name, namespace, labels, model)


def annotated(
    metadata: k8s.meta.v1.ObjectMetaArgsDict, name: str, value: str
) -> k8s.meta.v1.ObjectMetaArgsDict:
    """Metadata of this module with one more annotation."""
    found = metadata.get("annotations")
    before: Mapping[str, pulumi.Input[str]] = found if isinstance(found, dict) else {}
    return {**metadata, "annotations": {**before, name: value}}


def _class(model: Model) -> dict[str, str]:
    return {"model-delivery/riskClass": model.risk_class} if model.risk_class else {}


def _metadata(
    name: str, namespace: pulumi.Input[str], labels: Mapping[str, str], model: Model
) -> k8s.meta.v1.ObjectMetaArgsDict:
    found: k8s.meta.v1.ObjectMetaArgsDict = {"name": name, "namespace": namespace, "labels": labels}
    # The API server drops an empty map, and each later preview would add it again. An annotation, as a label
    # has no spaces and 63 characters.
    return annotated(found, "model-delivery/owner", model.owner) if model.owner else found
