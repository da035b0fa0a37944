"""Alarms on what a release on Cloud Run answers."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from components.gcp.scope import Scope


def alarm_on_errors(
    name: str, service: gcp.cloudrunv2.Service, scope: Scope, opts: pulumi.ResourceOptions
) -> gcp.monitoring.AlertPolicy:
    """Declare an alarm on 5 or more failed requests a minute, for 3 minutes."""
    condition = pulumi.Output.concat(
        'resource.type = "cloud_run_revision" AND metric.type = "run.googleapis.com/request_count"'
        ' AND metric.labels.response_code_class = "5xx" AND resource.labels.service_name = "',
        service.name,
        '"',
    )
    return gcp.monitoring.AlertPolicy(
        name,
        display_name=f"{scope.prefix} {name}: 5 or more requests a minute fail",
        combiner="OR",
        severity="ERROR",
        conditions=[
            {
                "display_name": "5xx",
                "condition_threshold": {
                    "filter": condition,
                    "comparison": "COMPARISON_GT",
                    "threshold_value": 4.5,
                    "duration": "180s",
                    # A release that is asked nothing fails nothing. Otherwise the incident of one that was
                    # taken back stays open for the seven days after which Google closes it.
                    "evaluation_missing_data": "EVALUATION_MISSING_DATA_INACTIVE",
                    "aggregations": [
                        {
                            "alignment_period": "60s",
                            "per_series_aligner": "ALIGN_DELTA",
                            "cross_series_reducer": "REDUCE_SUM",
                        }
                    ],
                },
            }
        ],
        notification_channels=[scope.alarm_channel] if scope.alarm_channel else None,
        user_labels=dict(scope.labels),
        opts=opts,
    )
