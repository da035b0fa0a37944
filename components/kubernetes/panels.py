"""What the dashboards show: graphs with their PromQL, for the model that Grafana's variable names. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from components.environment import Prices

Unit = Literal["reqps", "percentunit", "percent", "s", "short", "bytes", "decmbytes", "watt"]
"""Units as Grafana names them."""

_RELEASE = "version, role"
_NAME = "version {{version}} ({{role}})"
_HOURS = 730
"""A month, as clouds bill it."""
_POD = "[a-z0-9]+-[a-z0-9]{5}"
"""What a pod's name has after its Deployment's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A graph over time: each query with the legend of its lines."""

    title: str
    text: str
    unit: Unit
    queries: Mapping[str, str]
    """PromQL by legend, which may use labels: ``{{version}}``."""
    stacked: bool = False
    width: int = 12


def delivery(namespace: str) -> Sequence[Panel]:
    """How a model's versions share the traffic, and how each does."""
    here = _here(namespace)
    requests = _rate("model_requests_total", _RELEASE, here)
    failed = _rate("model_requests_total", _RELEASE, f'{here}, code=~"5.."')
    everything = f'sum(rate(model_requests_total{{{here}, role!="shadow"}}[5m]))'
    answered = _rate("model_requests_total", _RELEASE, f'{here}, role!="shadow"')
    errors = _rate("model_errors_total", "version, reason", here)
    return (
        Panel(
            title="Traffic split",
            text="The share of the requests that each version answers. A shadow answers none.",
            unit="percentunit",
            queries={_NAME: f"{answered} / on() group_left() {everything}"},
            stacked=True,
        ),
        Panel(
            title="Requests",
            text="Requests a second, those that a shadow gets a copy of too.",
            unit="reqps",
            queries={_NAME: requests},
        ),
        Panel(
            title="Latency",
            text="The time that half, and that 99 in 100 of the requests take at most, in the server.",
            unit="s",
            queries={
                f"{_NAME}, {legend}": _quantile(
                    which, _rate("model_request_duration_seconds_bucket", f"{_RELEASE}, le", here)
                )
                for legend, which in (("median", "0.5"), ("99 %", "0.99"))
            },
        ),
        Panel(
            title="Failures",
            text="The share of the requests that the server itself failed on (5xx).",
            unit="percentunit",
            queries={_NAME: f"({failed} or {requests} * 0) / {requests}"},
        ),
        Panel(
            title="Requests without a prediction",
            text="By reason: most are the callers' own mistakes.",
            unit="reqps",
            queries={"version {{version}}: {{reason}}": f"{errors} > 0"},
        ),
        Panel(
            title="Servers",
            text="Servers that take requests. A version has those of its share before it gets it.",
            unit="short",
            queries={_NAME: f"sum by ({_RELEASE}) (model_ready{{{here}}})"},
        ),
        Panel(
            title="CPU",
            text="Cores that the servers of a version use.",
            unit="short",
            queries={_NAME: _rate("process_cpu_seconds_total", _RELEASE, _services(namespace))},
        ),
        Panel(
            title="Memory",
            text="Memory that the servers of a version hold.",
            unit="bytes",
            queries={_NAME: f"sum by ({_RELEASE}) (process_resident_memory_bytes{{{_services(namespace)}}})"},
        ),
    )


def inputs(namespace: str) -> Sequence[Panel]:
    """What comes in and goes out, which is where drift shows first."""
    here = _here(namespace)
    feature, output = "version, feature", "version, output"
    values = _rate("model_feature_values_total", feature, here, "1h")
    missing = _rate("model_feature_missing_total", feature, here, "1h")
    classes = _rate("model_predictions_total", f"{output}, class", here, "1h")
    of_all = _rate("model_predictions_total", output, here, "1h")
    buckets = _rate("model_feature_distribution_bucket", f"{feature}, le", here, "1h")
    dropped = f"sum by (version) (increase(model_log_records_dropped_total{{{here}}}[5m]))"
    return (
        Panel(
            title="Mean of each feature",
            text="Over the last hour.",
            unit="short",
            queries={"version {{version}}: {{feature}}": _mean("model_feature", feature, here)},
        ),
        Panel(
            title="Median of each feature",
            text="Over the last hour, by the training quantiles.",
            unit="short",
            queries={"version {{version}}: {{feature}}": _quantile("0.5", buckets)},
        ),
        Panel(
            title="Missing values",
            text="The share of each feature's values that are missing.",
            unit="percentunit",
            queries={"version {{version}}: {{feature}}": f"{missing} / ({missing} + {values} > 0)"},
        ),
        Panel(
            title="Predictions of each class",
            text="The share of a version's predictions. Two versions on the same traffic should be close.",
            unit="percentunit",
            queries={
                "version {{version}}: {{output}} {{class}}": (
                    f"{classes} / on(version, output) group_left() ({of_all} > 0)"
                )
            },
        ),
        Panel(
            title="Mean of each numeric output",
            text="Over the last hour.",
            unit="short",
            queries={"version {{version}}: {{output}}": _mean("model_output", output, here)},
        ),
        Panel(
            title="Log records lost",
            text="To a slow or full disk. Requests are not affected.",
            unit="short",
            queries={"version {{version}}": dropped},
        ),
    )


def hardware(namespace: str, prices: Prices | None) -> Sequence[Panel]:
    """What a model's pods reserve and their GPUs do, and, with prices, what that costs."""
    pods = f'namespace="{namespace}", pod=~"$model-v[0-9]+-{_POD}"'

    def gpu(how: str, metric: str) -> dict[str, str]:
        return {"{{release}}": f"{how} by (release) ({_released(f'{metric}{{{pods}}}')})"}

    # Pods that have ended keep what they asked for until they are removed.
    running = f'(kube_pod_status_phase{{{pods}, phase=~"Pending|Running"}} == 1)'

    def reserved(resource: str) -> str:
        asked = f'kube_pod_container_resource_requests{{{pods}, resource="{resource}"}}'
        return f"{asked} * on(namespace, pod) group_left() {running}"

    panels = [
        Panel(
            title="GPU load",
            text="The mean percentage of time in which the GPUs of a version are busy.",
            unit="percent",
            queries=gpu("avg", "DCGM_FI_DEV_GPU_UTIL"),
        ),
        Panel(
            title="GPU memory",
            text="Memory in use on all GPUs of a version.",
            unit="decmbytes",
            queries=gpu("sum", "DCGM_FI_DEV_FB_USED"),
        ),
        Panel(
            title="GPU power",
            text="What all GPUs of a version draw.",
            unit="watt",
            queries=gpu("sum", "DCGM_FI_DEV_POWER_USAGE"),
        ),
        Panel(
            title="Cores reserved",
            text="What the pods of a version ask for, used or not.",
            unit="short",
            queries={"{{release}}": f"sum by (release) ({_released(reserved('cpu'))})"},
        ),
    ]
    if prices is None:
        return panels
    parts = (
        f"({reserved('cpu')}) * {_hourly(prices.cpu)}",
        f"({reserved('memory')}) / 2^30 * {_hourly(prices.memory)}",
        f"({reserved('nvidia_com_gpu')}) * {_hourly(prices.gpu)}",
    )
    cost = f"sum by (release) ({_released(' or '.join(parts))})"
    whole = f"sum({_released(' or '.join(parts))})"
    answered = f'sum(rate(model_requests_total{{{_here(namespace)}, role!="shadow"}}[1h])) * 3600'
    honest = "By platform.prices: not a bill. Idle nodes, storage, traffic and discounts are not in it."
    return [
        *panels,
        Panel(
            title=f"Cost an hour, {prices.currency}",
            text=f"What the pods of a version reserve. {honest}",
            unit="short",
            queries={"{{release}}": cost},
            stacked=True,
        ),
        Panel(
            title=f"Cost of 1,000 requests, {prices.currency}",
            text=f"What all pods reserve now, over the requests of the last hour. {honest}",
            unit="short",
            queries={"all versions": f"{whole} * 1000 / ({answered} > 0)"},
        ),
    ]


def _here(namespace: str) -> str:
    return f'namespace="{namespace}", model="$model"'


def _services(namespace: str) -> str:
    # A process' own metrics don't name its model; the pod's Service does.
    return f'namespace="{namespace}", service=~"$model-v[0-9]+"'


def _rate(metric: str, by: str, matchers: str, window: str = "5m") -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[{window}]))"


def _quantile(which: str, buckets: str) -> str:
    return f"histogram_quantile({which}, {buckets})"


def _mean(name: str, by: str, matchers: str) -> str:
    # A sum may fall, so it is a gauge: its growth over an hour is a difference.
    growth = f"sum by ({by}) (delta({name}_sum{{{matchers}}}[1h]))"
    return f"{growth} / (sum by ({by}) (increase({name}_values_total{{{matchers}}}[1h])) > 0)"


def _released(query: str) -> str:
    """A query over pods, with the label ``release``: the Deployment that a pod is of."""
    return f'label_replace({query}, "release", "$1", "pod", "(.*)-{_POD}")'


def _hourly(monthly: float) -> str:
    return f"{monthly / _HOURS:.8f}"
