"""What a month costs, by a small table and by the embedded one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.cost import Item, charged, monthly
from policy.prices import EMBEDDED, PriceError, Prices, load, parse
from tests.unit.aws import PROD as AWS_PROD
from tests.unit.aws import amazon
from tests.unit.gcp import PROD, google
from tests.unit.test_aws_golden import MODELS as AWS_MODELS
from tests.unit.test_gcp_golden import MODELS

NODES = "aws:eks/nodeGroup:NodeGroup"
DATABASE = "aws:rds/instance:Instance"
VARIANTS = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
CONCURRENCY = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"


POOL = "gcp:container/nodePool:NodePool"
SQL = "gcp:sql/databaseInstance:DatabaseInstance"
RUN = "gcp:cloudrunv2/service:Service"
AZURE = "azure-native:machinelearningservices:OnlineDeployment"


def pool(least: int, machine: str, **nodes: Any) -> dict[str, Any]:
    return {"autoscaling": {"totalMinNodeCount": least}, "nodeConfig": {"machineType": machine, **nodes}}


def sql(tier: str, **settings: Any) -> dict[str, Any]:
    return {"settings": {"tier": tier, "diskSize": 10, "availabilityType": "ZONAL", **settings}}


def run(warm: int, **limits: str) -> dict[str, Any]:
    container = {"resources": {"limits": limits, "cpuIdle": True}}
    return {"scaling": {"minInstanceCount": warm}, "template": {"containers": [container]}}


@pytest.fixture
def prices() -> Prices:
    return load()


def cost(prices: Prices, type_: str, **inputs: Any) -> float | None:
    estimate = monthly([Item(type=type_, name="x", inputs=inputs)], prices)
    if estimate.unpriced:
        assert estimate.unpriced == (f"{type_}::x",)
        return None
    return round(estimate.total, 2)


@pytest.mark.parametrize(
    ("type_", "inputs", "expected"),
    [
        ("aws:eks/cluster:Cluster", {}, 73.0),
        ("aws:kms/key:Key", {}, 1.0),
        (NODES, {"instanceTypes": ["m7i.xlarge"], "scalingConfig": {"desiredSize": 3}}, 441.5),
        (NODES, {"instanceTypes": ["m7i.xlarge"], "scalingConfig": {"minSize": 1}}, 147.17),
        (NODES, {"instanceTypes": ["unheard-of"], "scalingConfig": {"desiredSize": 0}}, 0.0),
        (NODES, {"instanceTypes": ["unheard-of"], "scalingConfig": {"desiredSize": 1}}, None),
        (NODES, {"instanceTypes": "later", "scalingConfig": {"desiredSize": 1}}, None),
        (NODES, {"instanceTypes": ["m7i.xlarge"]}, None),
        (NODES, {"instanceTypes": [], "scalingConfig": {"desiredSize": 1}}, None),
        (NODES, {"scalingConfig": {"desiredSize": 1}}, None),
        (DATABASE, {"instanceClass": "db.t4g.micro", "allocatedStorage": 20, "storageType": "gp3"}, 13.98),
        (
            DATABASE,
            {"instanceClass": "db.t4g.micro", "allocatedStorage": 20, "storageType": "gp3", "multiAz": True},
            27.96,
        ),
        (DATABASE, {"instanceClass": "db.t4g.micro", "allocatedStorage": 20, "storageType": "io9"}, None),
        (DATABASE, {"instanceClass": "db.t4g.micro", "allocatedStorage": 20}, 13.98),  # AWS takes gp2
        (DATABASE, {"instanceClass": "db.t4g.micro"}, None),
        (
            VARIANTS,
            {"productionVariants": [{"instanceType": "ml.m5.large", "initialInstanceCount": 2}]},
            167.9,
        ),
        (VARIANTS, {"productionVariants": [{"serverlessConfig": {"memorySizeInMb": 2048}}]}, 0.0),
        (VARIANTS, {"shadowProductionVariants": [{"instanceType": "ml.m5.large"}]}, 83.95),
        (
            VARIANTS,
            {
                "productionVariants": [{"instanceType": "ml.m5.large"}, {"instanceType": "ml.m5.large"}],
                "shadowProductionVariants": [{"instanceType": "ml.m5.large"}],
            },
            251.85,
        ),
        (
            VARIANTS,
            {"productionVariants": [{"serverlessConfig": {}}, {"instanceType": "ml.m5.large"}]},
            83.95,
        ),
        (VARIANTS, {"productionVariants": [{"instanceType": "unheard-of"}]}, None),
        (
            VARIANTS,
            {"productionVariants": [{"instanceType": "ml.m5.large", "initialInstanceCount": "later"}]},
            None,
        ),
        (VARIANTS, {"productionVariants": "later"}, None),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Interface", "subnetIds": ["a", "b"]}, 14.6),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Interface", "subnetIds": "later"}, None),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Gateway"}, 0.0),
        ("aws:ec2/instance:Instance", {"instanceType": "t3.medium"}, 30.37),
        ("aws:ec2/instance:Instance", {"instanceType": "unheard-of"}, None),
        (CONCURRENCY, {"provisionedConcurrentExecutions": 0}, 0.0),
        (CONCURRENCY, {"provisionedConcurrentExecutions": 1}, None),
        ("aws:iam/role:Role", {}, 0.0),
        ("kubernetes:apps/v1:Deployment", {}, 0.0),
        ("aws:opensearch/domain:Domain", {}, None),
        ("gcp:container/cluster:Cluster", {}, 73.0),
        ("gcp:compute/forwardingRule:ForwardingRule", {}, 18.25),
        ("gcp:bigtable/instance:Instance", {}, None),
        ("gcp:compute/regionDisk:RegionDisk", {}, None),
        (POOL, pool(3, "n2-standard-4", diskSizeGb=50), 440.3),
        (POOL, pool(1, "g2-standard-8"), 633.13),
        (POOL, pool(0, "unheard-of"), 0.0),
        (POOL, pool(1, "unheard-of"), None),
        (POOL, pool(1, "n2-standard-4", diskType="hyperdisk-ml"), None),
        (POOL, {"nodeConfig": {"machineType": "n2-standard-4"}}, None),
        (
            POOL,
            {**pool(0, "n2-standard-4"), "autoscaling": {"minNodeCount": 1}, "nodeLocations": ["a", "b"]},
            303.53,
        ),
        (SQL, sql("db-custom-2-7680"), 100.32),
        (SQL, sql("db-custom-2-7680", availabilityType="REGIONAL", diskSize=100), 231.25),
        (SQL, sql("db-g1-small"), 27.25),
        (SQL, sql("db-perf-optimized-N-2", edition="ENTERPRISE_PLUS"), None),
        (SQL, sql("db-custom-2-7680", edition="ENTERPRISE_PLUS"), None),
        (SQL, sql("db-custom-2-7680", diskType="PD_HDD"), None),
        (RUN, run(0, cpu="4", memory="16384Mi"), 0.0),
        (RUN, run(2, cpu="1", memory="512Mi"), 19.71),
        (RUN, {"template": {"containers": [{}]}}, 0.0),
        (RUN, {"scaling": {"minInstanceCount": 2}, "template": {"containers": [{}]}}, 19.71),
        (RUN, run(1, cpu="a few"), None),
        (RUN, {"scaling": {"minInstanceCount": 1}, "template": {"containers": "later"}}, None),
        (AZURE, {"sku": {"capacity": 2}, "properties": {"instanceType": "Standard_DS3_v2"}}, 427.78),
        (AZURE, {"sku": {"capacity": 2}, "properties": {"instanceType": "Standard_X1"}}, None),
        ("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}}, 0.0),
        ("kubernetes:core/v1:Service", {"spec": {"type": "LoadBalancer"}}, None),
    ],
)
def test_a_resource(prices: Prices, type_: str, inputs: dict[str, Any], expected: float | None) -> None:
    assert cost(prices, type_, **inputs) == expected


def test_an_instance_of_cloud_run_with_a_gpu_pays_for_its_cores_between_requests_too(prices: Prices) -> None:
    said = run(1, cpu="4", memory="16Gi", **{"nvidia.com/gpu": "1"})
    said["template"]["containers"][0]["resources"]["cpuIdle"] = False
    assert cost(prices, RUN, **said) == round(730 * (4 * 0.0648 + 16 * 0.0072 + 0.67212), 2)


def test_every_type_of_the_platforms_is_priced_free_or_named(prices: Prices) -> None:
    """A type that is in no list shows as not priced: none that the platforms declare does."""
    for graph in (google(MODELS, PROD)[0], amazon(AWS_MODELS, AWS_PROD)[0]):
        types = {r.type for r in graph.resources if ":" in r.type}
        assert {name for name in types if charged(name, prices) == "unknown"} == set()


def test_all_that_the_file_for_google_cloud_runs_has_a_price(prices: Prices) -> None:
    resources = [Item(type=r.type, name=r.name, inputs=r.inputs) for r in google(MODELS, PROD)[0].resources]
    estimate = monthly(resources, prices)
    # The tier of the database is one of Enterprise Plus.
    assert estimate.unpriced == ("gcp:sql/databaseInstance:DatabaseInstance::tracking",)
    assert estimate.lines["gcp:container/nodePool:NodePool::cpu"] > 400
    assert estimate.lines["gcp:container/nodePool:NodePool::gpu-l4"] == 0
    assert "gcp:artifactregistry/repository:Repository" in estimate.by_use


def test_what_is_charged_by_use_is_named_and_not_counted(prices: Prices) -> None:
    estimate = monthly([Item(type="aws:lambda/function:Function", name="f", inputs={})], prices)
    assert (estimate.total, estimate.unpriced) == (0, ())
    assert estimate.by_use == ("aws:lambda/function:Function",)


def test_resources_add_up(prices: Prices) -> None:
    items = [Item(type="aws:kms/key:Key", name=str(i), inputs={}) for i in range(3)]
    assert monthly(items, prices).total == 3
    # Two of a name are two, as a replacement before the old one goes.
    assert monthly([items[0], items[0]], prices).lines == {"aws:kms/key:Key::0": 2.0}


def test_the_embedded_table_says_of_when_and_where_it_is(prices: Prices) -> None:
    assert (prices.date, prices.currency) == ("2026-06-17", "USD")
    assert prices.regions == {"aws": "us-east-1", "gcp": "us-central1", "azure-native": "eastus"}
    assert prices.sources


def table(**changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(EMBEDDED.read_text()), **changes}


def test_a_table_of_ones_own_is_read_whole() -> None:
    own = table(
        date="2026-11-01",
        regions={"aws": "eu-central-1"},
        currency="EUR",
        hoursPerMonth=700,
        hourly={"a:b/c:D": 0.5},
        monthly={"a:b/e:F": 0},
        instances={"big": 2},
        storage={"gp3": 1},
        usage=["a:b/g:H"],
        free=["a:b/i:J", "k:*"],
        sources=["our contract"],
    )
    read = parse(own, "prices")
    assert (read.date, read.currency, read.hours) == ("2026-11-01", "EUR", 700)
    assert read.regions == {"aws": "eu-central-1"}
    assert (read.instances, read.storage, read.sources) == ({"big": 2}, {"gp3": 1}, ("our contract",))
    types = ("a:b/c:D", "a:b/e:F", "a:b/g:H", "a:b/i:J", "a:b/i:Jx", "k:l/m:N")
    estimate = monthly([Item(type=type_, name="x", inputs={}) for type_ in types], read)
    assert estimate.lines == {"a:b/c:D::x": 350, "a:b/e:F::x": 0}
    assert (estimate.by_use, estimate.unpriced) == (("a:b/g:H",), ("a:b/i:Jx::x",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (table(hourlly={}), "hourlly: unknown; accepted: currency"),
        ({"date": "x"}, "currency, free, hourly"),
        (table(instances={"m5.large": "cheap"}), "instances.m5.large: 'cheap' is no price"),
        (table(instances={"m5.large": -1}), "instances.m5.large: -1"),
        (table(instances={"m5.large": float("nan")}), "instances.m5.large: nan"),
        (table(instances={"m5.large": float("inf")}), "instances.m5.large: inf"),
        (table(hoursPerMonth="many"), "hoursPerMonth: 'many'"),
        (table(free="all"), "free: a list"),
        (table(instances={"m5.large": True}), "instances.m5.large: True"),
        (table(hoursPerMonth=True), "hoursPerMonth: True"),
        (table(usage=None), "usage: a list"),
        ([], "missing"),
    ],
)
def test_a_wrong_table_is_refused(content: Any, says: str) -> None:
    with pytest.raises(PriceError, match=f"^prices: .*{says}"):
        parse(content, "prices")


def test_a_table_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="can't be read: No such file"):
        load(tmp_path / "none.yaml")
