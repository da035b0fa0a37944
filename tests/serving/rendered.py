"""The metrics that the model server renders, and whether a query in PromQL can read them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.serving import folders
from tests.serving.client import serve

IDENTITY = {"model", "version"}
# What a query may find besides: labels that Prometheus adds to what it scrapes from a pod.
SCRAPED = {"namespace", "pod", "service", "role"}
Found = dict[str, tuple[str, frozenset[str]]]
"""Type and labels of each metric, by its name; a counter's with ``_total``."""


def rendered(folder: Path) -> Found:
    """What the server renders of two models, whose outputs are numbers and labels."""
    numbers = folders.sklearn(folder / "numbers", folders.Sum(), folders.columns("double", "double"))
    reference = {"features": {"a": {"quantiles": [0.0]}}, "predictions": {"quantiles": [1.0]}}
    (numbers / "reference.json").write_text(json.dumps(reference))
    labels = folders.sklearn(folder / "labels", folders.Sign(), folders.columns("double", "double"))
    found: Found = {}
    for model in (numbers, labels):
        with serve(model) as client:
            client.predict([[1, 2]])
            client.predict([])
            text = client.get("/metrics").text
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            for sample in family.samples:
                found[name] = (family.type, frozenset(sample.labels.keys() - {"le"}))
    return found


def series(metrics: Found) -> set[str]:
    """The names that a query may read."""
    endings = {"histogram": ("_bucket", "_sum", "_count")}
    return {f"{name}{ending}" for name, (kind, _) in metrics.items() for ending in endings.get(kind, ("",))}


def unknown_labels(query: str, metrics: Found) -> list[str]:
    """The labels that a PromQL query wants of a metric which doesn't have them."""
    wrong: list[str] = []
    for by, name, matchers in re.findall(
        r"(?:by \(([\w, ]+)\) \()?(?:\w+\()?\b((?:model|process)_[a-z_]+)\{(.*?)\}", query
    ):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        kind, labels = metrics[name] if name in metrics else metrics[base]
        le = {"le"} if kind == "histogram" else set[str]()
        # A process' own metrics don't say whose they are; the pod's Service and relabelling do.
        added = SCRAPED | (IDENTITY if name.startswith("process_") else set[str]())
        wanted = {*re.findall(r"(\w+)(?:=|!=)", matchers), *re.findall(r"\w+", by)}
        wrong += [f"{name}: {label}" for label in sorted(wanted - labels - le - added)]
    return wrong
