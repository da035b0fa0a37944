"""When a provider of Kubernetes takes its configuration for another cluster, and replaces every object.

Source: `DiffConfig` in provider/pkg/provider/provider.go and `getActiveClusterFromConfig` in util.go of
pulumi-kubernetes at 9497796 (2026-07-01), where they say the same as at f47bc2d (2026-01-15).
"""

from __future__ import annotations

import json
from typing import Any

from provider.resource import UNKNOWN, Properties

_IDENTIFIER = "clusterIdentifier"


def moved(olds: Properties, news: Properties) -> frozenset[str]:
    """Return the properties by which the provider is replaced; empty: it is updated."""
    before, now = olds.get(_IDENTIFIER), news.get(_IDENTIFIER)
    if before is not None and before == now and now is not UNKNOWN:
        return frozenset()
    named = {_IDENTIFIER} if before is not None and now is not None and before != now else set[str]()
    for key in ("kubeconfig", "context", "cluster"):
        if news.get(key) is UNKNOWN:
            return frozenset({*named, key})
    old, new = _cluster(olds), _cluster(news)
    if old and new and old != new:
        named |= {key for key in ("kubeconfig", "context", "cluster") if olds.get(key) != news.get(key)}
    if olds.get("renderYamlToDirectory") != news.get("renderYamlToDirectory"):
        named.add("renderYamlToDirectory")
    return frozenset(named)


def _named(kubeconfig: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return kubeconfig.get(key) or []


def _cluster(config: Properties) -> dict[str, Any] | None:
    """Return the cluster that a configuration leads to; None where it names none in the kubeconfig's text."""
    text = config.get("kubeconfig")
    if not isinstance(text, str):
        return None
    found: dict[str, Any] = json.loads(text)
    clusters: dict[str, Any] = {named["name"]: named["cluster"] for named in _named(found, "clusters")}
    contexts: dict[str, Any] = {named["name"]: named["context"] for named in _named(found, "contexts")}
    context = contexts.get(str(config.get("context") or found.get("current-context")))
    return context and clusters.get(config.get("cluster") or context["cluster"])
