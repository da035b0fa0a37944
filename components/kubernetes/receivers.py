"""Who is told of an alert: Alertmanager's part of the values of kube-prometheus-stack. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

ALERTMANAGER: Final = "alertmanager"
"""The service account of Alertmanager, where it has a topic."""
_NONE, _ALL = "null", "platform"
_WEBHOOK = "/etc/alertmanager/webhook"
# SNS refuses a subject of 100 characters or more. Alertmanager's own lists every label.
_SUBJECT = (
    '{{ printf "%.99s" (printf "%s: %s %s" (.Status | toUpper) .GroupLabels.alertname .GroupLabels.model) }}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """Where alerts go; with neither they show in Alertmanager and Grafana alone."""

    topic_arn: str | None = None
    """An SNS topic, to which the service account ``ALERTMANAGER`` may publish."""
    webhook_secret: str | None = None
    """A Secret in Alertmanager's namespace whose ``url`` gets a POST for each group of alerts."""

    def __bool__(self) -> bool:
        return bool(self.topic_arn or self.webhook_secret)


NOBODY: Final = Receivers()


def values(receivers: Receivers) -> dict[str, Any]:
    """The chart's values under ``alertmanager``; what they don't name stays as the chart has it, such as the
    rules by which a critical alert silences the warning of the same name.

    The webhook's URL stays in its Secret: the configuration names a file. The Secret may come later than
    Alertmanager, and what is told by other ways doesn't wait for it.
    """
    if not receivers:
        return {}
    found: dict[str, Any] = {"config": configuration(receivers)}
    if receivers.topic_arn:
        found["serviceAccount"] = {"name": ALERTMANAGER}
    if receivers.webhook_secret:
        secret = {"secretName": receivers.webhook_secret, "optional": True}
        found["alertmanagerSpec"] = {
            "volumes": [{"name": "webhook", "secret": secret}],
            "volumeMounts": [{"name": "webhook", "mountPath": _WEBHOOK, "readOnly": True}],
        }
    return found


def configuration(receivers: Receivers) -> dict[str, Any]:
    """Alertmanager's configuration: critical alerts at once and every 4 hours, other alerts with the rest of
    their group and once a day, what is for information never.

    https://prometheus.io/docs/alerting/latest/configuration/ (read on 28 November 2026).
    """
    told: dict[str, Any] = {"name": _ALL}
    if receivers.topic_arn:
        region = receivers.topic_arn.split(":")[3]
        told["sns_configs"] = [
            {
                "topic_arn": receivers.topic_arn,
                "sigv4": {"region": region},
                "subject": _SUBJECT,
                "send_resolved": True,
            }
        ]
    if receivers.webhook_secret:
        told["webhook_configs"] = [{"url_file": f"{_WEBHOOK}/url", "send_resolved": True}]
    return {
        "route": {
            "receiver": _ALL,
            "group_by": ["alertname", "namespace", "model"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "24h",
            "routes": [
                # `Watchdog` always fires, and `InfoInhibitor` is for inhibition: both have this severity.
                {"receiver": _NONE, "matchers": ['severity =~ "none|info"']},
                {
                    "receiver": _ALL,
                    "matchers": ['severity = "critical"'],
                    "group_wait": "10s",
                    "repeat_interval": "4h",
                },
            ],
        },
        "receivers": [{"name": _NONE}, told],
    }
