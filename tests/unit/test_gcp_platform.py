"""What a platform on GCP declares around its models."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pulumi
import pytest

from components.environment import Model, ReleaseRef
from components.environment.gcp import Pool
from components.gcp.artifacts import located
from components.gcp.network import ranges
from components.gcp.nodes import first_nodes
from components.gcp.scope import Scope, model_labels, prefix, shortened
from tests.unit.gcp import (
    AGENT,
    BUCKET_MEMBER,
    BUILD,
    CLUSTER,
    DEPLOYER,
    DEV,
    DIGEST,
    NUMBER,
    POOL,
    PREFIX,
    PROD,
    PROJECT,
    google,
    only_gcp,
)
from tests.unit.graph import Declared

MODEL: dict[str, Any] = {"churn": {"stable": {"version": 3}}}


def test_a_small_platform_has_this_and_nothing_else() -> None:
    graph, _, outputs = google()
    counts = {kind: count for kind, count in graph.counts().items() if kind.startswith("gcp:")}
    assert counts == {
        "gcp:artifactregistry/repository:Repository": 1,
        "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": 1,
        "gcp:compute/firewall:Firewall": 1,
        "gcp:compute/network:Network": 1,
        "gcp:compute/router:Router": 1,
        "gcp:compute/routerNat:RouterNat": 1,
        "gcp:compute/subnetwork:Subnetwork": 1,
        CLUSTER: 1,
        POOL: 1,
        "gcp:kms/cryptoKey:CryptoKey": 1,
        "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": 7,
        "gcp:kms/keyRing:KeyRing": 1,
        "gcp:logging/projectBucketConfig:ProjectBucketConfig": 1,
        "gcp:logging/projectSink:ProjectSink": 1,
        "gcp:projects/iAMMember:IAMMember": 2,
        "gcp:projects/service:Service": 15,
        "gcp:projects/serviceIdentity:ServiceIdentity": 5,
        "gcp:serviceaccount/account:Account": 1,
        "gcp:storage/bucket:Bucket": 1,
    }
    assert outputs["clusterName"] == PREFIX
    assert outputs["gatewayAddress"] == "10.20.0.9"
    assert outputs["artifactsBucket"] == f"{PREFIX}-artifacts-{NUMBER}"
    assert outputs["imageRepository"] == (f"europe-west4-docker.pkg.dev/{PROJECT}/{PREFIX}-images/serving")


def test_everything_is_declared_by_the_provider_of_its_project_and_region() -> None:
    graph, _, _ = google(MODEL, PROD)
    provider = graph.one("pulumi:providers:gcp", "gcp")
    assert provider.inputs["project"] == PROJECT
    assert provider.inputs["region"] == "europe-west4"
    assert json.loads(provider.inputs["defaultLabels"]) == {
        "cost-centre": "ml",
        "model-delivery-stack": PREFIX,
    }
    assert all("pulumi:providers:gcp::gcp" in r.provider for r in only_gcp(graph))


def test_data_outlives_a_mistake_only_where_it_is_asked() -> None:
    data = {
        "gcp:artifactregistry/repository:Repository",
        "gcp:kms/cryptoKey:CryptoKey",
        "gcp:kms/keyRing:KeyRing",
        "gcp:logging/projectBucketConfig:ProjectBucketConfig",
        "gcp:secretmanager/secret:Secret",
        "gcp:secretmanager/secretVersion:SecretVersion",
        "gcp:sql/database:Database",
        "gcp:sql/databaseInstance:DatabaseInstance",
        "gcp:sql/user:User",
        "gcp:storage/bucket:Bucket",
    }
    protected, _, _ = google(MODEL, PROD)
    assert {r.type for r in only_gcp(protected) if r.retained} == data
    assert {r.type for r in only_gcp(protected) if r.protect} == data | {CLUSTER}
    plain, _, _ = google(MODEL, {**PROD, "protectData": False})
    assert not any(r.protect or r.retained for r in plain.resources)
    assert plain.one(CLUSTER, "cluster").inputs["deletionProtection"] is False
    assert (
        plain.one("gcp:sql/databaseInstance:DatabaseInstance", "tracking").inputs["deletionProtection"]
        is False
    )


def test_nobody_without_a_name_and_no_basic_role_has_any_right() -> None:
    graph, _, _ = google(MODEL, PROD)
    members = [r for r in only_gcp(graph) if "member" in r.inputs and "role" in r.inputs]
    assert len(members) > 10
    for resource in members:
        assert resource.inputs["member"] not in ("allUsers", "allAuthenticatedUsers")
        assert resource.inputs["role"] not in ("roles/owner", "roles/editor", "roles/viewer")
    # Of the whole project there are two rights: to find the cluster, and what a node needs.
    project = [r for r in members if r.type == "gcp:projects/iAMMember:IAMMember"]
    assert {r.inputs["role"] for r in project} == {
        "roles/container.clusterViewer",
        "roles/container.defaultNodeServiceAccount",
    }


def key_of(resource: Declared) -> set[str]:
    """The keys that stand anywhere in a resource's inputs."""
    text = json.dumps(resource.inputs)
    return {name for name in ("key-id", "keyRings/own") if name in text}


ENCRYPTED = {
    ("gcp:artifactregistry/repository:Repository", "images"),
    (CLUSTER, "cluster"),
    (POOL, "cpu"),
    (POOL, "gpu-l4"),
    ("gcp:secretmanager/secret:Secret", "tracking"),
    ("gcp:sql/databaseInstance:DatabaseInstance", "tracking"),
    ("gcp:storage/bucket:Bucket", "artifacts"),
}


def test_everything_that_keeps_data_is_encrypted_with_the_key_that_its_service_may_use() -> None:
    graph, _, _ = google(MODEL, PROD)
    using = {(r.type, r.name) for r in only_gcp(graph) if "key-id" in key_of(r)}
    assert {pair for pair in using if not pair[0].startswith("gcp:kms/")} == ENCRYPTED
    for type, name in ENCRYPTED:
        assert {"key-compute", "key-storage", "key-cloudsql"} <= graph.waits_for(type, name)
        assert "key-rights" in graph.waits_for(type, name), "nothing is encrypted before they are in effect"
    agents = {
        r.inputs["member"].partition("@")[2].partition(".")[0]
        for r in graph.resources
        if r.type == "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
    }
    assert agents == {
        "compute-system",
        "container-engine-robot",
        "gcp-sa-artifactregistry",
        "gcp-sa-cloud-sql",
        "gcp-sa-secretmanager",
        "gs-project-accounts",
        "serverless-robot-prod",
    }


def test_a_key_that_is_there_is_used_and_not_made() -> None:
    own = f"projects/{PROJECT}/locations/europe-west4/keyRings/own/cryptoKeys/data"
    graph, _, _ = google(MODEL, PROD, kmsKey=own)
    assert graph.names("gcp:kms/cryptoKey:CryptoKey") == set()
    assert {(r.type, r.name) for r in only_gcp(graph) if "keyRings/own" in key_of(r)} >= ENCRYPTED
    granted = [r for r in graph.resources if r.type == "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"]
    assert {r.inputs["cryptoKeyId"] for r in granted} == {own}


def test_services_are_on_before_anything_of_them_and_stay_on() -> None:
    graph, _, _ = google(MODEL, PROD)
    services = [r for r in graph.resources if r.type == "gcp:projects/service:Service"]
    assert all(r.inputs["disableOnDestroy"] is False for r in services)
    on = {r.inputs["service"] for r in services}
    # `gcp:compute/…` is a part of compute.googleapis.com, and so on.
    of = {"artifactregistry", "compute", "container", "dns", "logging", "secretmanager", "servicenetworking"}
    used = {r.type.split(":")[1].split("/")[0] for r in only_gcp(graph)} & of
    assert {f"{name}.googleapis.com" for name in used} <= on
    more = ("cloudkms", "cloudresourcemanager", "iam", "run", "sqladmin", "storage")
    assert {f"{name}.googleapis.com" for name in more} <= on
    for resource in only_gcp(graph):
        if not resource.type.startswith("gcp:projects/service"):
            assert "services-compute" in graph.waits_for(resource.type, resource.name), resource.name


def test_an_agent_is_there_before_it_is_given_the_key() -> None:
    """Google refuses a right for a member that isn't there yet."""
    graph, _, _ = google(MODEL, PROD)
    made = {
        r.inputs["service"].partition(".")[0]: r.name
        for r in graph.resources
        if r.type == "gcp:projects/serviceIdentity:ServiceIdentity"
    }
    # Compute Engine's comes with the service, Cloud Storage's when it is asked for.
    assert made.keys() == {"artifactregistry", "container", "run", "secretmanager", "sqladmin"}
    granted = {
        r.name: r.inputs["member"]
        for r in graph.resources
        if r.type == "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
    }
    assert granted["key-storage"] == AGENT
    for name in granted:
        before = graph.waits_for("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember", name)
        assert set(made.values()) <= before and "services-compute" in before


def test_parts_of_a_range_share_no_address() -> None:
    for cidr in ("10.20.0.0/16", "192.168.16.0/20"):
        found = ranges(cidr)
        parts = [IPv4Network(p) for p in (found.nodes, found.proxies, found.database, found.control_plane)]
        assert all(part.subnet_of(IPv4Network(cidr)) for part in parts)
        assert not any(one.overlaps(other) for one, other in combinations(parts, 2))
        assert parts[3].prefixlen == 28, "what GKE takes"
        # Google asks for a /26 of proxies, and for a /24 of Cloud SQL.
        assert parts[1].prefixlen <= 26 and parts[2].prefixlen <= 24


def test_the_cluster_is_private_unless_ranges_are_let_in() -> None:
    graph, _, _ = google()
    inputs = graph.one(CLUSTER, "cluster").inputs
    assert inputs["privateClusterConfig"] == {
        "enablePrivateNodes": True,
        "enablePrivateEndpoint": True,
        "masterIpv4CidrBlock": "10.20.224.0/28",
    }
    let = {"cidrBlocks": [{"cidrBlock": "10.20.0.0/16", "displayName": "cidr"}]}
    assert inputs["masterAuthorizedNetworksConfig"] == {**let, "gcpPublicCidrsAccessEnabled": False}
    graph, _, _ = google(apiAccess=["203.0.113.7/32"])
    inputs = graph.one(CLUSTER, "cluster").inputs
    assert inputs["privateClusterConfig"]["enablePrivateEndpoint"] is False
    assert inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"] == [
        {"cidrBlock": "203.0.113.7/32", "displayName": "apiAccess"}
    ]


def test_without_nat_there_is_no_way_out() -> None:
    graph, _, _ = google(nat="none")
    assert not graph.names("gcp:compute/routerNat:RouterNat") | graph.names("gcp:compute/router:Router")
    (subnet,) = [r for r in graph.resources if r.type == "gcp:compute/subnetwork:Subnetwork"]
    assert subnet.inputs["privateIpGoogleAccess"] is True


def test_pools() -> None:
    graph, _, _ = google({}, PROD)
    cpu, gpu = (graph.one(POOL, name).inputs for name in ("cpu", "gpu-l4"))
    assert cpu["autoscaling"] == {
        "totalMinNodeCount": 3,
        "totalMaxNodeCount": 12,
        "locationPolicy": "BALANCED",
    }
    assert gpu["autoscaling"] == {"totalMinNodeCount": 0, "totalMaxNodeCount": 4, "locationPolicy": "ANY"}
    assert "guestAccelerators" not in cpu["nodeConfig"] and "taints" not in cpu["nodeConfig"]
    assert gpu["nodeConfig"]["guestAccelerators"] == [
        {
            "type": "nvidia-l4",
            "count": 2,
            "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"},
        }
    ]
    assert gpu["nodeConfig"]["taints"] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
    ]
    assert (cpu["nodeConfig"]["spot"], gpu["nodeConfig"]["spot"]) == (False, True)
    # GKE installs driver and device plugin by itself.
    charts = {r.name for r in graph.resources if r.type == "kubernetes:helm.sh/v3:Release"}
    assert not any("nvidia" in name for name in charts)


def test_the_first_pool_which_gke_makes_has_our_account_too() -> None:
    """The project's default account may have no rights, or not be there."""
    graph, _, _ = google({}, PROD)
    cluster = graph.one(CLUSTER, "cluster")
    pool = graph.one(POOL, "cpu")
    for key in ("serviceAccount", "oauthScopes", "bootDiskKmsKey"):
        assert cluster.inputs["nodeConfig"][key] == pool.inputs["nodeConfig"][key]
    assert "nodeConfig" in cluster.ignores
    rights = {r.urn for r in only_gcp(graph) if r.name == "nodes" and r.type.lower().endswith("iammember")}
    assert len(rights) == 2 and rights <= cluster.needs


@pytest.mark.parametrize(
    ("least", "most", "zones", "each"),
    [(3, 12, 3, 1), (2, 6, 3, 1), (4, 6, 3, 2), (4, 5, 3, 1), (1, 1, 3, 0), (2, 2, 1, 2), (0, 4, 3, 0)],
)
def test_a_pool_begins_with_its_least_nodes_as_far_as_its_most_allow(
    least: int, most: int, zones: int, each: int
) -> None:
    assert first_nodes(Pool(machine_type="n2-standard-2", min=least, max=most), zones) == each
    assert each * zones <= most


def test_pools_begin_in_the_zones_of_the_file_and_the_autoscaler_goes_on() -> None:
    graph, _, _ = google({}, PROD, zones=["europe-west4-a"])
    assert graph.one(POOL, "cpu").inputs["initialNodeCount"] == 3
    assert graph.one(POOL, "gpu-l4").inputs["initialNodeCount"] == 0
    assert {"initialNodeCount", "nodeCount"} <= graph.one(POOL, "cpu").ignores
    graph, _, _ = google({}, {key: value for key, value in PROD.items() if key != "zones"})
    assert graph.one(POOL, "cpu").inputs["initialNodeCount"] == 1, "GKE takes three zones"


def test_workloads_wait_for_nodes_and_not_for_gpus() -> None:
    graph, _, _ = google(MODEL, PROD)
    before = graph.waits_for("kubernetes:apps/v1:Deployment", "churn-v3")
    assert "cpu" in before and "gpu-l4" not in before


def test_admins_are_named_in_the_cluster_and_may_find_it() -> None:
    graph, _, _ = google(admins=[DEPLOYER, "user:ada@example.com"])
    binding = graph.one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", "admins").inputs
    assert [s["name"] for s in binding["subjects"]] == [
        f"deploy@{PROJECT}.iam.gserviceaccount.com",
        "ada@example.com",
    ]
    assert binding["roleRef"]["name"] == "cluster-admin"
    found = {
        r.inputs["member"] for r in graph.resources if r.inputs.get("role") == "roles/container.clusterViewer"
    }
    assert found == {DEPLOYER, "user:ada@example.com"}


def pod(account: str) -> str:
    pool = f"projects/{NUMBER}/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog"
    return f"principal://iam.googleapis.com/{pool}/subject/ns/models/sa/{account}"


def rights(graph: Any) -> set[tuple[str, str]]:
    return {(r.inputs["member"], r.inputs["role"]) for r in graph.resources if r.type == BUCKET_MEMBER}


def test_pods_read_artifacts_themselves_only_where_mlflow_is_elsewhere() -> None:
    elsewhere, _, _ = google(MODEL)
    assert rights(elsewhere) == {(pod("churn-v3"), "roles/storage.objectViewer")}
    inside, _, _ = google(MODEL, PROD)
    assert rights(inside) == {
        (pod("tracking"), "roles/storage.objectViewer"),
        (pod("tracking"), "roles/storage.objectCreator"),
    }


def test_the_database_is_inside_and_its_password_is_nowhere_to_read() -> None:
    graph, _, _ = google({}, PROD)
    instance = graph.one("gcp:sql/databaseInstance:DatabaseInstance", "tracking")
    settings = instance.inputs["settings"]
    assert settings["ipConfiguration"]["ipv4Enabled"] is False
    assert settings["ipConfiguration"]["sslMode"] == "ENCRYPTED_ONLY"
    assert (settings["availabilityType"], settings["edition"]) == ("REGIONAL", "ENTERPRISE_PLUS")
    assert "settings.diskSize" in instance.ignores
    assert "tracking" in graph.names("gcp:servicenetworking/connection:Connection")
    version = graph.one("gcp:secretmanager/secretVersion:SecretVersion", "tracking")
    assert version.secrets == {"secretData"} and version.ignores == {"secretData"}
    assert graph.one("gcp:sql/user:User", "tracking").secrets == {"password"}
    secret = graph.one("kubernetes:core/v1:Secret", "tracking")
    assert "stringData" in secret.secrets
    uri = secret.inputs["stringData"]["value"]["database"]
    assert (
        uri.startswith("postgresql+psycopg2://mlflow:") and "@10.20.212.3:5432/mlflow?sslmode=require" in uri
    )
    plain, _, _ = google({}, {**DEV, "tracking": PROD["tracking"]})
    small = plain.one("gcp:sql/databaseInstance:DatabaseInstance", "tracking").inputs["settings"]
    assert (small["availabilityType"], small["edition"]) == ("ZONAL", "ENTERPRISE")


def test_user_and_database_go_with_their_instance() -> None:
    """PostgreSQL drops no user who owns tables, so a deletion of the user alone would stop a destroy."""
    graph, _, _ = google({}, PROD)
    instance = graph.one("gcp:sql/databaseInstance:DatabaseInstance", "tracking").urn
    for type in ("gcp:sql/user:User", "gcp:sql/database:Database"):
        assert graph.one(type, "tracking").gone_with == instance


def test_the_gateway_stays_inside() -> None:
    graph, _, _ = google()
    proxy = graph.one("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy", "models-proxy").inputs
    assert '"networking.gke.io/load-balancer-type": "Internal"' in json.dumps(proxy)


def test_an_image_that_is_built_goes_to_the_platforms_registry_and_nodes_may_pull_it() -> None:
    graph, _, _ = google({"churn": {"runtime": "cloud-run", "stable": {"version": 3}}}, image=BUILD)
    image = graph.one("docker-build:index:Image", "serving")
    repository = f"europe-west4-docker.pkg.dev/{PROJECT}/{PREFIX}-images/serving"
    assert image.inputs["tags"][0].startswith(f"{repository}:")
    assert "images" in graph.waits_for("docker-build:index:Image", "serving")
    service = graph.one("gcp:cloudrunv2/service:Service", "churn-v3").inputs
    assert service["template"]["containers"][0]["image"] == f"{image.inputs['tags'][0]}@{DIGEST}"
    reader = graph.one("gcp:artifactregistry/repositoryIamMember:RepositoryIamMember", "nodes").inputs
    assert (reader["project"], reader["repository"]) == (PROJECT, f"{PREFIX}-images")


def test_nodes_may_pull_from_the_repository_that_the_file_names() -> None:
    image = f"europe-docker.pkg.dev/another/common/serving@{DIGEST}"
    graph, _, _ = google(image=image)
    reader = graph.one("gcp:artifactregistry/repositoryIamMember:RepositoryIamMember", "nodes").inputs
    assert (reader["project"], reader["location"], reader["repository"]) == ("another", "europe", "common")
    assert reader["role"] == "roles/artifactregistry.reader"


def test_the_control_plane_reaches_metrics_apis_and_webhooks_where_their_pods_listen() -> None:
    graph, _, _ = google()
    rule = graph.one("gcp:compute/firewall:Firewall", "network-webhooks").inputs
    # 443 and 10250 are GKE's own rule's. 6443: prometheus-adapter and KEDA's metrics server.
    assert rule["allows"] == [{"protocol": "tcp", "ports": ["6443", "9443"]}]
    control_plane = graph.one(CLUSTER, "cluster").inputs["privateClusterConfig"]["masterIpv4CidrBlock"]
    assert rule["sourceRanges"] == [control_plane]


def test_mlflows_database_is_used_once_its_user_and_its_database_are_there() -> None:
    graph, _, _ = google(platform=PROD)
    needed = {urn.split("::")[-2] for urn in graph.one("kubernetes:core/v1:Secret", "tracking").needs}
    kinds = {kind.rpartition("$")[2] for kind in needed}
    assert kinds >= {"gcp:sql/user:User", "gcp:sql/database:Database"}


def test_the_kubeconfig_has_no_secret() -> None:
    graph, _, _ = google()
    text = graph.one("pulumi:providers:kubernetes", "kubernetes").inputs["kubeconfig"]
    config = json.loads(text)
    assert config["clusters"][0]["cluster"] == {
        "server": "https://10.20.240.2",
        "certificate-authority-data": "Y2E=",
    }
    assert set(config["users"][0]["user"]) == {"exec"}
    assert config["users"][0]["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("gs://other/models/3/", "gs://other/models/3"),
        ("mlflow-artifacts:/1/abc/artifacts", "gs://b/mlflow/1/abc/artifacts"),
    ],
)
def test_where_an_artifact_is(uri: str, found: str) -> None:
    assert located(uri, "gs://b/mlflow") == found


def test_an_artifact_elsewhere_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match=r"s3://x/y is not in Cloud Storage.* in gs://b/mlflow"):
        located("s3://x/y", "gs://b/mlflow")


def test_names_and_labels_are_what_google_takes() -> None:
    assert prefix("Model Delivery", "Prod_1") == "model-delivery-prod-1"
    # GKE and IAM take no name that begins with a digit.
    assert prefix("2026-models", "prod") == "m-2026-models-prod"
    assert shortened("a" * 30, 30) == "a" * 30
    long = shortened("model-delivery-prod-" + "b" * 40, 30)
    assert len(long) == 30 and long != shortened("model-delivery-prod-" + "b" * 41, 30)
    model = Model(
        name="churn",
        runtime="cloud-run",
        stable=ReleaseRef(version=3),
        owner="Risk & Fraud",
        risk_class="high",
    )
    assert model_labels(model, 3) == {
        "model-delivery-model": "churn",
        "model-delivery-version": "3",
        "model-delivery-owner": "risk---fraud",
        "model-delivery-risk-class": "high",
    }
    scope = Scope(prefix="p", project="acme-models", number="1", region="europe-west4")
    assert scope.agent("gke") == "serviceAccount:service-1@container-engine-robot.iam.gserviceaccount.com"
