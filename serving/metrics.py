"""Prometheus metrics of one server: plain counters while it serves, rendered when they are scraped.

The client library's own counters take a lock and a label look-up each; here a request costs a few additions
on the event loop, and the library only writes the text.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.signature import Array
from serving.statistics import Moments, Statistics

LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_IDENTITY = ("model", "version")


class Histogram:
    """Counts of values below upper bounds, with their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Metrics(Collector):
    """The metrics of one model version. All methods are called on the event loop."""

    def __init__(self, model: str, version: str, digest: str) -> None:
        self._labels = [model, version]
        self._digest = digest
        self.statistics: Statistics | None = None
        self.flavour = ""
        self.ready = False
        self.in_flight = 0
        self.log_dropped = 0
        self.requests: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.latency = Histogram(LATENCY_SECONDS)
        self.batches = Histogram(BATCH_ROWS)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def predicted(self, array: Array, outputs: Sequence[Array]) -> None:
        """Count one call of the model."""
        self.batches.add(len(array))
        if self.statistics is not None:
            self.statistics.add(array, outputs)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        if self.statistics is not None:
            self.statistics.settle()
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing: it keeps the registry from collecting before there is something."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "model_info", "The model version that is served.", labels=[*_IDENTITY, "digest", "flavour"]
        )
        info.add_metric([*self._labels, self._digest, self.flavour], 1)
        yield info
        yield self._gauge("model_ready", "1 when the model takes requests.", float(self.ready))
        yield self._gauge("model_requests_in_flight", "Inference requests being answered.", self.in_flight)
        requests = self._counter("model_requests", "Answered inference requests by HTTP status.", "code")
        for code, count in self.requests.items():
            requests.add_metric([*self._labels, str(code)], count)
        yield requests
        errors = self._counter(
            "model_errors", "Inference requests that got no prediction, by reason.", "reason"
        )
        for reason, count in self.errors.items():
            errors.add_metric([*self._labels, reason], count)
        yield errors
        yield self._histogram(
            "model_request_duration_seconds", "Time to answer inference requests.", self.latency
        )
        yield self._histogram("model_batch_rows", "Rows in one call of the model.", self.batches)
        dropped = self._counter(
            "model_log_records_dropped", "Request log records lost to a slow or full disk."
        )
        dropped.add_metric(self._labels, self.log_dropped)
        yield dropped
        if self.statistics is not None:
            yield from self._moments("model_feature", "feature", [self.statistics.features])
            yield from self._moments("model_output", "output", list(self.statistics.outputs.values()))
            yield self._classes(self.statistics)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=_IDENTITY)
        family.add_metric(self._labels, value)
        return family

    def _counter(self, name: str, text: str, *labels: str) -> CounterMetricFamily:
        return CounterMetricFamily(name, text, labels=[*_IDENTITY, *labels])

    def _histogram(self, name: str, text: str, histogram: Histogram) -> Metric:
        family = HistogramMetricFamily(name, text, labels=_IDENTITY)
        family.add_metric(self._labels, _buckets(histogram.bounds, histogram.counts), histogram.sum)
        return family

    def _moments(self, name: str, label: str, all_moments: Sequence[Moments]) -> Iterator[Metric]:
        count = self._counter(f"{name}_values", f"Values of each {label}, missing ones not counted.", label)
        # Values may be negative, so their sum is no counter: it is a gauge that only this process resets.
        total = GaugeMetricFamily(
            f"{name}_sum", f"Sum of the values of each {label}.", labels=[*_IDENTITY, label]
        )
        squares = self._counter(f"{name}_squares", f"Sum of the squared values of each {label}.", label)
        missing = self._counter(f"{name}_missing", f"Missing values of each {label}.", label)
        histogram = HistogramMetricFamily(
            f"{name}_distribution",
            f"Values of each {label} by training quantiles.",
            labels=[*_IDENTITY, label],
        )
        for moments in all_moments:
            for index, item in enumerate(moments.names):
                labels = [*self._labels, item]
                count.add_metric(labels, int(moments.count[index]))
                total.add_metric(labels, float(moments.sum[index]))
                squares.add_metric(labels, float(moments.squares[index]))
                missing.add_metric(labels, int(moments.missing[index]))
                if (edges := moments.edges.get(item)) is not None:
                    buckets = _buckets(edges.tolist(), moments.buckets[item].tolist())
                    total_or_none = float(moments.sum[index]) if edges[0] >= 0 else None
                    histogram.add_metric(labels, buckets, total_or_none)
        yield from (count, total, squares, missing, histogram)

    def _classes(self, statistics: Statistics) -> Metric:
        family = self._counter("model_predictions", "Predictions of each class.", "output", "class")
        for output, counter in statistics.classes.items():
            for label, count in counter.items():
                family.add_metric([*self._labels, output, label], count)
        return family


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return cumulative buckets as the text format has them."""
    names = [*(repr(float(bound)) for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))
