"""A model's endpoint on Cloud Run: what each release has, who may call it, and the order of things."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.unit.gcp import (
    CALLERS,
    DEV,
    INVOKER,
    PREFIX,
    PROD,
    PROJECT,
    SERVICE,
    URL_MAP,
    google,
    model_part,
)

TWO: dict[str, Any] = {
    "runtime": "cloud-run",
    "stable": {"version": 3},
    "canary": {"version": 4, "weight": 10},
}
FRONT = "delivery:gcp:Front"
SETTLED = "delivery:gcp:Settled"


def churn(**keys: Any) -> dict[str, Any]:
    return {"churn": {**TWO, **keys}}


def test_each_release_is_a_service_behind_one_balancer() -> None:
    graph, endpoints, _ = google(churn(), cloudRun={"invokers": [CALLERS]})
    assert Counter(r.type for r in model_part(graph, "churn")) == {
        "delivery:registry:Release": 2,
        SERVICE: 2,
        INVOKER: 2,
        "gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup": 2,
        "gcp:compute/regionBackendService:RegionBackendService": 2,
        "gcp:monitoring/alertPolicy:AlertPolicy": 2,
        URL_MAP: 1,
        "gcp:compute/regionTargetHttpProxy:RegionTargetHttpProxy": 1,
        "gcp:compute/forwardingRule:ForwardingRule": 1,
        "gcp:dns/recordSet:RecordSet": 1,
        "gcp:serviceaccount/account:Account": 1,
        "gcp:storage/bucketIAMMember:BucketIAMMember": 1,
        SETTLED: 3,
    }
    assert endpoints["churn"] == {
        "url": f"http://churn.{PREFIX}.internal",
        "releases": [
            {"version": 3, "digest": "sha256:churn-v3", "weight": 90, "shadow": False},
            {"version": 4, "digest": "sha256:churn-v4", "weight": 10, "shadow": False},
        ],
    }


def test_no_release_needs_a_right_before_google_has_made_it_known() -> None:
    """IAM's changes take 2 minutes typically, and 7 or more potentially ("Access change propagation")."""
    graph, _, _ = google(churn(), cloudRun={"invokers": [CALLERS]})
    waits = {r.name: r.inputs for r in graph.resources if r.type == SETTLED}
    assert {name: found["seconds"] for name, found in waits.items()} == {
        "key-rights": 120,
        "churn-rights": 120,
        "churn-v3-callers": 120,
        "churn-v4-callers": 120,
    }
    # To fetch its artifact, and to be called.
    assert "churn" in graph.waits_for(SETTLED, "churn-rights")
    assert "churn-rights" in graph.waits_for(SERVICE, "churn-v4")
    assert any("group" in name for name in graph.waits_for(SETTLED, "churn-v4-callers"))
    assert {"churn-v3-callers", "churn-v4-callers"} <= graph.waits_for(URL_MAP, "churn")
    none, _, _ = google(churn(), cloudRun={"invokers": [CALLERS]}, settleSeconds=0)
    assert not [r for r in none.resources if r.type == SETTLED]


def test_only_the_map_changes_when_a_share_moves() -> None:
    before, _, _ = google(churn())
    after, _, _ = google(churn(canary={"version": 4, "weight": 50}))
    old = {(r.type, r.name): r.inputs for r in before.resources}
    new = {(r.type, r.name): r.inputs for r in after.resources}
    assert old.keys() == new.keys()
    assert {key for key in old if old[key] != new[key]} == {(URL_MAP, "churn")}


def weights(**keys: Any) -> dict[str, int]:
    graph, _, _ = google(churn(**keys))
    (action,) = [r.inputs["defaultRouteAction"] for r in graph.resources if r.type == URL_MAP]
    # A mock's id is its name.
    return {b["backendService"]: b["weight"] for b in action["weightedBackendServices"]}


def test_a_release_without_traffic_is_ready_and_not_in_the_map() -> None:
    """Google's provider would leave its weight of 0 out of the request."""
    assert weights() == {"churn-v3-id": 90, "churn-v4-id": 10}
    assert weights(canary={"version": 4, "weight": 0}) == {"churn-v3-id": 100}
    assert weights(canary={"version": 4, "weight": 100}) == {"churn-v4-id": 100}
    graph, _, _ = google(churn(canary={"version": 4, "weight": 0}))
    backend = "gcp:compute/regionBackendService:RegionBackendService"
    assert graph.names(backend) == {"churn-v3", "churn-v4"}
    assert graph.one(backend, "churn-v4").urn in graph.one(URL_MAP, "churn").needs


def test_a_model_called_as_the_nodes_has_an_account_of_its_own() -> None:
    graph, _, _ = google(dict.fromkeys(("nodes", "n" * 40), TWO))
    names = [r.inputs["accountId"] for r in graph.resources if r.type.endswith("account:Account")]
    assert len(names) == len(set(names)) == 3
    assert all(6 <= len(name) <= 30 for name in names), "what Google takes"


def test_a_share_that_has_warm_instances_makes_no_new_revision() -> None:
    warm = {"autoscaling": {"min": 10, "max": 40}}
    before, _, _ = google(churn(**warm))
    after, _, _ = google(churn(**warm, canary={"version": 4, "weight": 50}))
    for name, instances in (("churn-v3", (9, 5)), ("churn-v4", (1, 5))):
        old, new = (graph.one(SERVICE, name).inputs for graph in (before, after))
        assert (old["scaling"]["minInstanceCount"], new["scaling"]["minInstanceCount"]) == instances
        assert old["template"] == new["template"], "a changed template is another revision"
        assert new["template"]["scaling"] == {"maxInstanceCount": 40}


def test_nobody_may_call_unless_the_file_says_who() -> None:
    graph, _, _ = google(churn())
    assert graph.names(INVOKER) == set()
    for name in ("churn-v3", "churn-v4"):
        inputs = graph.one(SERVICE, name).inputs
        assert inputs["ingress"] == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
        assert (inputs["defaultUriDisabled"], inputs["invokerIamDisabled"]) == (True, False)


def test_callers_may_call_every_release_with_one_token() -> None:
    graph, endpoints, _ = google(churn(), PROD)
    found = {(r.inputs["name"], r.inputs["member"]) for r in graph.resources if r.type == INVOKER}
    assert found == {(f"{PREFIX}-churn-v3", CALLERS), (f"{PREFIX}-churn-v4", CALLERS)}
    audiences = {tuple(graph.one(SERVICE, f"churn-v{v}").inputs["customAudiences"]) for v in (3, 4)}
    assert audiences == {(endpoints["churn"]["url"],)} == {("https://churn.run.models.example.com",)}


def test_a_release_can_answer_before_it_is_asked() -> None:
    graph, _, _ = google(churn(), PROD)
    before = graph.waits_for(URL_MAP, "churn")
    for name in ("churn-v3", "churn-v4"):
        assert {name, f"{name}-group-callers@example.com"} <= before
    # Who serves may read the artifact first, and the key may be used.
    assert {"churn", "key-run"} <= graph.waits_for(SERVICE, "churn-v4")


def test_a_certificate_makes_it_tls() -> None:
    plain, _, _ = google(churn())
    secure, _, _ = google(churn(), PROD)
    rule = "gcp:compute/forwardingRule:ForwardingRule"
    assert plain.one(rule, "churn").inputs["portRange"] == "80"
    assert secure.one(rule, "churn").inputs["portRange"] == "443"
    proxy = secure.one("gcp:compute/regionTargetHttpsProxy:RegionTargetHttpsProxy", "churn").inputs
    assert proxy["certificateManagerCertificates"] == [
        f"projects/{PROJECT}/locations/europe-west4/certificates/models"
    ]
    for graph in (plain, secure):
        assert graph.one(rule, "churn").inputs["loadBalancingScheme"] == "INTERNAL_MANAGED"


def test_a_model_has_a_name_in_a_zone_that_only_the_network_sees() -> None:
    graph, _, _ = google(churn())
    zone = graph.one("gcp:dns/managedZone:ManagedZone", "front").inputs
    assert (zone["visibility"], zone["dnsName"]) == ("private", f"{PREFIX}.internal.")
    record = graph.one("gcp:dns/recordSet:RecordSet", "churn").inputs
    assert (record["name"], record["rrdatas"]) == (f"churn.{PREFIX}.internal.", ["address-of-churn"])


def test_the_front_comes_with_the_first_model_and_once() -> None:
    assert google()[0].names(FRONT) == set()
    graph, _, _ = google({**churn(), "fraud": {"runtime": "cloud-run", "stable": {"version": 1}}})
    assert graph.names(FRONT) == {"front"}
    assert graph.names(URL_MAP) == {"churn", "fraud"}
    assert not any("fraud" in name for name in graph.waits_for(URL_MAP, "churn"))


def test_what_a_server_is_told() -> None:
    graph, _, _ = google(churn(), PROD)
    (container,) = graph.one(SERVICE, "churn-v4").inputs["template"]["containers"]
    assert {e["name"]: e["value"] for e in container["envs"]} == {
        "SERVING_MODEL": "churn",
        "SERVING_VERSION": "4",
        "SERVING_DIGEST": "sha256:churn-v4",
        "SERVING_SOURCE": f"gs://{PREFIX}-artifacts-123456789012/mlflow/churn-v4",
        "SERVING_ARTIFACT": "/tmp/model",
        "SERVING_HOST": "0.0.0.0",
        "SERVING_PORT": "8080",
        "SERVING_THREADS": "1",
        "SERVING_GRACE": "9",
    }
    assert container["image"] == DEV["image"]
    assert container["startupProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8080}
    seconds = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
    assert seconds <= 240, "Cloud Run refuses more"


@pytest.mark.parametrize(
    ("resources", "limits", "idle"),
    [
        ({"cpu": 2, "memory": "4Gi"}, {"cpu": "2", "memory": "4096Mi"}, True),
        ({"gpu": 1}, {"cpu": "4", "memory": "16384Mi", "nvidia.com/gpu": "1"}, False),
    ],
)
def test_resources(resources: dict[str, Any], limits: dict[str, str], idle: bool) -> None:
    graph, _, _ = google(churn(resources=resources), {**DEV, "imageUsesGpu": True})
    template = graph.one(SERVICE, "churn-v3").inputs["template"]
    (container,) = template["containers"]
    device = [e["value"] for e in container["envs"] if e["name"] == "SERVING_DEVICE"]
    assert device == ([] if idle else ["gpu"])
    assert container["resources"]["limits"] == limits
    assert container["resources"]["cpuIdle"] is idle
    assert template.get("nodeSelector") == (None if idle else {"accelerator": "nvidia-l4"})


def test_an_alarm_on_each_release_goes_where_the_file_says() -> None:
    graph, _, _ = google(churn(), PROD)
    policy = graph.one("gcp:monitoring/alertPolicy:AlertPolicy", "churn-v4").inputs
    assert policy["notificationChannels"] == [PROD["alarmChannel"]]
    (condition,) = policy["conditions"]
    assert f'resource.labels.service_name = "{PREFIX}-churn-v4"' in condition["conditionThreshold"]["filter"]
    silent, _, _ = google(churn())
    assert (
        "notificationChannels" not in silent.one("gcp:monitoring/alertPolicy:AlertPolicy", "churn-v4").inputs
    )
