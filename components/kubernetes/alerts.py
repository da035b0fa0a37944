"""Alerts about models, as Prometheus rules. Pure."""

from __future__ import annotations

from typing import Any

_BY = "model, version, role"
_FAILED = 'code=~"5.."'


def groups(namespace: str) -> list[dict[str, Any]]:
    """The alerts on the models of a namespace, each for every model and version on its own."""
    here = f'namespace="{namespace}"'
    failed = _rate("model_requests_total", f"{here}, {_FAILED}", _BY)
    failures = f"{failed} / {_rate('model_requests_total', here, _BY)}"
    rules = [
        _alert(
            "ModelErrors",
            f"{failures} > 0.01",
            "5m",
            "critical",
            "{{ $labels.model }} version {{ $labels.version }} ({{ $labels.role }}) fails on"
            " {{ $value | humanizePercentage }} of its requests",
        ),
        _alert(
            "ModelSlow",
            f"{_quantile(here, _BY)} > 1",
            "10m",
            "warning",
            "{{ $labels.model }} version {{ $labels.version }} ({{ $labels.role }}): one request in a hundred"
            " takes {{ $value | humanizeDuration }} or more",
        ),
        _alert(
            "ModelUnavailable",
            # A Deployment that has been scaled to nothing on purpose wants none.
            f'kube_deployment_status_replicas_available{{{here}, deployment!="tracking"}} == 0'
            f" and kube_deployment_spec_replicas{{{here}}} > 0",
            "2m",
            "critical",
            "{{ $labels.deployment }} has no server that is ready",
        ),
        _alert(
            "CanaryFails",
            canary_fails(here),
            "5m",
            "critical",
            "the canary of {{ $labels.model }} fails on {{ $value | humanizePercentage }} of its requests,"
            " far more than the stable version: set its weight to 0",
        ),
        _alert(
            "CanarySlow",
            canary_slow(here),
            "10m",
            "warning",
            "one request in a hundred takes the canary of {{ $labels.model }}"
            " {{ $value | humanizeDuration }}, far longer than the stable version",
        ),
    ]
    return [{"name": "models", "rules": rules}]


def canary_fails(here: str) -> str:
    """The share of a canary's requests that fail, where it is over twice the stable version's and 1 %."""

    def failing(role: str) -> str:
        matcher = f'{here}, role="{role}"'
        failed = _rate("model_requests_total", f"{matcher}, {_FAILED}", "model")
        every = _rate("model_requests_total", matcher, "model")
        # A version that never failed has no series of failures.
        return f"(({failed} or {every} * 0) / {every})"

    return f"{failing('canary')} > 0.01 + 2 * {failing('stable')}"


def canary_slow(here: str) -> str:
    """A canary's 99th percentile in seconds, where it is over 1.5 times the stable version's and 50 ms."""
    canary = _quantile(f'{here}, role="canary"', "model")
    stable = _quantile(f'{here}, role="stable"', "model")
    return f"{canary} > 0.05 + 1.5 * {stable}"


def _rate(metric: str, matchers: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[5m]))"


def _quantile(matchers: str, by: str) -> str:
    buckets = _rate("model_request_duration_seconds_bucket", matchers, f"{by}, le")
    return f"histogram_quantile(0.99, {buckets})"


def _alert(name: str, expression: str, wait: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }
