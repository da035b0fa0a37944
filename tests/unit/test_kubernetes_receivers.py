"""Who is told of a cluster's alerts, as Alertmanager itself understands what is declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.kubernetes.alerts import groups
from components.kubernetes.receivers import ALERTMANAGER, Receivers, configuration, values
from tests.unit.amtool import amtool
from tests.unit.aws import ACCOUNT, DEV, PROD, amazon
from tests.unit.gcp import google
from tests.unit.kubernetes import CHART, kubernetes

TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:oncall"
WEBHOOK = {"alerts": {"webhookSecret": "on-call"}}
BOTH = Receivers(topic_arn=TOPIC, webhook_secret="on-call")
# What the chart adds, where it isn't told otherwise (values.yaml of kube-prometheus-stack 81.6.2).
CHARTS_OWN: dict[str, Any] = {
    "global": {"resolve_timeout": "5m"},
    "inhibit_rules": [
        {
            "source_matchers": ["severity = critical"],
            "target_matchers": ["severity =~ warning|info"],
            "equal": ["namespace", "alertname"],
        },
    ],
    "templates": ["/etc/alertmanager/config/*.tmpl"],
}


def alertmanager(graph: Any) -> dict[str, Any]:
    return graph.one(CHART, "monitoring").inputs["values"].get("alertmanager", {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "alertmanager.yaml"
    found.write_text(yaml.safe_dump({**CHARTS_OWN, **configuration(BOTH)}))
    return found


class TestDeclared:
    def test_without_a_receiver_the_chart_is_as_it_was(self) -> None:
        graph, _ = kubernetes({})
        assert alertmanager(graph) == {} == values(Receivers())

    @pytest.mark.parametrize("on", [kubernetes, google], ids=["kubernetes", "gcp"])
    def test_a_webhook_by_a_secret(self, on: Any) -> None:
        graph, *_ = on({}, **WEBHOOK)
        found = alertmanager(graph)
        assert found["config"]["receivers"][1] == {
            "name": "platform",
            "webhook_configs": [{"url_file": "/etc/alertmanager/webhook/url", "send_resolved": True}],
        }
        spec = found["alertmanagerSpec"]
        assert spec["volumes"] == [{"name": "webhook", "secret": {"secretName": "on-call", "optional": True}}]
        assert spec["volumeMounts"] == [
            {"name": "webhook", "mountPath": "/etc/alertmanager/webhook", "readOnly": True}
        ]
        # The address is nowhere: not in the plan, not in the state.
        assert "url:" not in yaml.safe_dump(found)

    def test_the_topic_of_the_alarms_on_aws(self) -> None:
        graph, _, _ = amazon({}, PROD)
        found = alertmanager(graph)
        (sns,) = found["config"]["receivers"][1]["sns_configs"]
        assert (sns["topic_arn"], sns["sigv4"]) == (TOPIC, {"region": "eu-central-1"})
        assert found["serviceAccount"] == {"name": ALERTMANAGER}
        identity = graph.one("aws:eks/podIdentityAssociation:PodIdentityAssociation", "pod-alertmanager")
        assert (identity.inputs["namespace"], identity.inputs["serviceAccount"]) == (
            "monitoring",
            ALERTMANAGER,
        )
        # A pod gets credentials when it is made, or never.
        assert "pod-alertmanager" in graph.waits_for(CHART, "monitoring")

    def test_it_may_publish_to_that_topic_alone(self) -> None:
        graph, _, _ = amazon({}, PROD)
        policy = json.loads(graph.one("aws:iam/rolePolicy:RolePolicy", "pod-alertmanager").inputs["policy"])
        publish, key = policy["Statement"]
        assert (publish["Action"], publish["Resource"]) == (["sns:Publish"], [TOPIC])
        # Of keys, what SNS asks in its name for this topic.
        assert key["Condition"] == {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": TOPIC}}
        assert key["Resource"] == [f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/*"]

    def test_both(self) -> None:
        graph, _, _ = amazon({}, PROD, **WEBHOOK)
        assert alertmanager(graph)["config"]["receivers"][1].keys() == {
            "name",
            "sns_configs",
            "webhook_configs",
        }

    @pytest.mark.parametrize("monitoring", ["existing", "none"])
    def test_a_topic_without_an_alertmanager_of_ours_needs_no_role(self, monitoring: str) -> None:
        graph, _, _ = amazon({}, {**DEV, "alarmTopicArn": TOPIC, "monitoring": monitoring})
        assert "pod-alertmanager" not in {resource.name for resource in graph.resources}


@pytest.mark.real
class TestAlertmanager:
    """What amtool, which reads the file as the server does, makes of it."""

    def test_it_takes_the_file(self, file: Path) -> None:
        said = amtool("check-config", str(file))
        assert "SUCCESS" in said and "2 receivers" in said

    @pytest.mark.parametrize(
        ("labels", "receiver"),
        [
            ("alertname=Watchdog severity=none", "null"),
            ("alertname=InfoInhibitor severity=none", "null"),
            ("alertname=CPUThrottlingHigh severity=info", "null"),
            ("alertname=KubeJobFailed severity=warning", "platform"),
            ("alertname=Unlabelled", "platform"),
            *(
                (f"alertname={rule['alert']} severity={rule['labels']['severity']}", "platform")
                for rule in groups("models")[0]["rules"]
            ),
        ],
    )
    def test_an_alert_goes_to(self, file: Path, labels: str, receiver: str) -> None:
        assert amtool("config", "routes", "test", f"--config.file={file}", *labels.split()) == f"{receiver}\n"

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            ({"alertname": "ModelErrors", "model": "churn"}, "FIRING: ModelErrors churn"),
            ({"alertname": "KubeJobFailed"}, "FIRING: KubeJobFailed "),
            ({"alertname": "A" * 200}, f"FIRING: {'A' * 91}"),
        ],
        ids=["model", "cluster", "long"],
    )
    def test_a_subject_that_sns_takes(self, tmp_path: Path, labels: dict[str, str], expected: str) -> None:
        """Under 100 characters (docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""
        data = tmp_path / "data.json"
        data.write_text(json.dumps({"status": "firing", "groupLabels": labels, "alerts": []}))
        (sns,) = configuration(BOTH)["receivers"][1]["sns_configs"]
        empty = tmp_path / "none.tmpl"
        empty.write_text("")
        said = amtool(
            *("template", "render", f"--template.glob={empty}", f"--template.data={data}"),
            f"--template.text={sns['subject']}",
        )
        assert said.removesuffix("\n") == expected
        assert len(expected) < 100
