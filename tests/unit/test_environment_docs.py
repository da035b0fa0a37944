"""docs/configuration.md says what the code does: its keys, its defaults, and the errors that it shows."""

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.environment import (
    CAPABILITIES,
    Access,
    Alerts,
    ApiKeys,
    Autoscaling,
    AwsPlatform,
    AzurePlatform,
    BorrowedPlatform,
    Canary,
    Capability,
    Cluster,
    ConfigError,
    Gateway,
    GcpPlatform,
    Jwt,
    KubernetesPlatform,
    LocalPlatform,
    Model,
    Ports,
    Prices,
    ReleaseRef,
    Resources,
    Tracking,
    parse,
    read,
)
from components.environment.gcp import CloudRun, Database, Nodes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^##+ (.*)\n((?:(?!##).*\n)*)", PAGE, flags=re.MULTILINE))
ROW = re.compile(r"^\| `((?:platform|models)[\w.]*)` \| (.*?) \| (.*?) ?\|$", flags=re.MULTILINE)
TABLE = ROW.findall(PAGE)
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
LOCAL, KUBERNETES, AWS, GCP, AZURE = (
    f"`kind: {kind}`" for kind in ("local", "kubernetes", "aws", "gcp", "azure")
)
CLUSTER, BORROWED, MODELS = "Every cluster", "`stack`: a borrowed platform", "The models"
IMAGE = "registry.example.com/serving@sha256:" + "a" * 64
CLUSTER_KEYS = {
    "image": IMAGE,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
    "tracking": {
        "image": IMAGE,
        "access": {
            "host": "mlflow.example.com",
            "tlsSecret": "mlflow-tls",
            "issuer": "https://login.example.com",
            "jwks": "https://login.example.com/keys",
            "audience": "mlflow",
            "claims": {"sub": "ci"},
        },
    },
    "prices": {"cpu": 25, "memory": 3.4},
    "alerts": {"webhookSecret": "on-call"},
}
# A platform of each section with everything that is required in it.
WHOLE: dict[str, dict[str, Any]] = {
    LOCAL: {"kind": "local"},
    KUBERNETES: {"kind": "kubernetes", "context": "prod", **CLUSTER_KEYS},
    AWS: {
        "kind": "aws",
        "account": "123456789012",
        "region": "eu-central-1",
        "admins": ["arn:aws:iam::123456789012:role/deploy"],
        **CLUSTER_KEYS,
        "image": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/{IMAGE.rpartition('/')[2]}",
    },
    GCP: {
        "kind": "gcp",
        "project": "acme-models",
        "projectNumber": "123456789012",
        "region": "europe-west4",
        "admins": ["serviceAccount:deploy@acme-models.iam.gserviceaccount.com"],
        **CLUSTER_KEYS,
        "image": f"europe-west4-docker.pkg.dev/acme-models/serving/{IMAGE.rpartition('/')[2]}",
    },
    AZURE: {
        "kind": "azure",
        "subscription": "01234567-89ab-cdef-0123-456789abcdef",
        "resourceGroup": "ml-prod",
        "region": "westeurope",
        "workspace": "models",
        "image": f"acmemodels.azurecr.io/{IMAGE.rpartition('/')[2]}",
        "registry": "https://mlflow.example.com",
    },
    CLUSTER: {"kind": "kubernetes", "context": "prod", **CLUSTER_KEYS},
    MODELS: {"kind": "kubernetes", "context": "prod", **CLUSTER_KEYS},
}


def keys(of: type[Any]) -> set[str]:
    """Return the keys of a class as they are written in YAML."""
    names = {field.name for field in dataclasses.fields(of)}
    return {re.sub("_(.)", lambda found: found[1].upper(), name) for name in names}


def documented(section: str, above: str) -> set[str]:
    found = [key for key, _, _ in ROW.findall(SECTIONS[section])]
    return {key.removeprefix(f"{above}.") for key in found if re.fullmatch(rf"{above}\.\w+", key)}


# A token's keys stand beside the host's.
AS_WRITTEN = dataclasses.make_dataclass(
    "AS_WRITTEN", [f.name for of in (Access, Jwt) for f in dataclasses.fields(of) if f.name != "jwt"]
)


@pytest.mark.parametrize(
    ("section", "above", "of", "but"),
    [
        (LOCAL, "platform", LocalPlatform, set[str]()),
        (LOCAL, "platform.ports", Ports, set[str]()),
        (KUBERNETES, "platform", KubernetesPlatform, {"cluster"}),
        (AWS, "platform", AwsPlatform, {"cluster"}),
        (GCP, "platform", GcpPlatform, {"cluster"}),
        (GCP, "platform.nodes", Nodes, set[str]()),
        (GCP, "platform.database", Database, set[str]()),
        (GCP, "platform.cloudRun", CloudRun, set[str]()),
        (AZURE, "platform", AzurePlatform, set[str]()),
        (CLUSTER, "platform", Cluster, set[str]()),
        (CLUSTER, "platform.gateway", Gateway, set[str]()),
        (CLUSTER, "platform.tracking", Tracking, set[str]()),
        (CLUSTER, "platform.tracking.access", AS_WRITTEN, set[str]()),
        (CLUSTER, "platform.prices", Prices, set[str]()),
        (CLUSTER, "platform.alerts", Alerts, set[str]()),
        (BORROWED, "platform", BorrowedPlatform, {"kind"}),
        (MODELS, "models.NAME", Model, {"name"}),
        (MODELS, "models.NAME.stable", ReleaseRef, set[str]()),
        (MODELS, "models.NAME.canary", Canary, set[str]()),
        (MODELS, "models.NAME.resources", Resources, set[str]()),
        (MODELS, "models.NAME.autoscaling", Autoscaling, set[str]()),
    ],
)
def test_every_key_is_documented_and_no_other(section: str, above: str, of: type[Any], but: set[str]):
    assert documented(section, above) == keys(of) - but


def test_every_key_that_is_asked_of_callers_is_documented_and_no_other():
    found = re.findall(r"^\| `(\w+)\.(\w+)` \|", SECTIONS["Callers"], flags=re.MULTILINE)
    asked = {"jwt": Jwt, "apiKeys": ApiKeys}
    assert sorted(found) == sorted((above, key) for above, of in asked.items() for key in keys(of))


REQUIRED = [
    (section, key)
    for section, text in SECTIONS.items()
    for key, _, absent in ROW.findall(text)
    if absent == "required"
]


@pytest.mark.parametrize(("section", "key"), REQUIRED)
def test_what_is_required_is(section: str, key: str):
    written: dict[str, Any] = copy.deepcopy(
        {
            "platform": WHOLE[section],
            "models": {"name": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 1}}},
        }
    )
    if section == MODELS:
        written["models"]["name"]["rateLimit"] = {"requestsPerSecond": 5}
    assert parse(written["platform"], written["models"])
    key = key.replace("NAME", "name")
    *above, last = key.split(".")
    place = written
    for name in above:
        place = place[name]
    del place[last]
    with pytest.raises(ConfigError) as caught:
        parse(written.get("platform"), written.get("models"))
    assert any(problem.path == key and "required" in problem.message for problem in caught.value.problems)


def test_every_runtime_is_told_as_it_is():
    platforms = {
        "local": LocalPlatform,
        "kubernetes": KubernetesPlatform,
        "aws": AwsPlatform,
        "gcp": GcpPlatform,
        "azure": AzurePlatform,
        "stack": BorrowedPlatform,
    }
    offered: dict[str, list[str]] = {}
    for kind, platform in platforms.items():
        for runtime in platform.runtimes:
            offered.setdefault(runtime, []).append(f"`{kind}`")
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", SECTIONS["Runtimes"], flags=re.MULTILINE)
    assert dict(rows) == {
        runtime: " | ".join([", ".join(kinds), *told(CAPABILITIES[runtime])])
        for runtime, kinds in offered.items()
    }


def told(able: Capability) -> list[str]:
    reasons = (
        *(able.shadow, able.gpu, able.resources, able.scaling),
        *(able.requests_per_second, able.gpu_utilization, able.authentication, able.rate_limit),
    )
    words = ["yes" if reason is None else f"no: {reason}" for reason in reasons]
    waits = str(able.longest) if able.shortest == able.longest else f"{able.shortest} to {able.longest}"
    return [*words, str(able.fewest), str(able.first), str(able.usual), str(able.most), waits]


def test_the_defaults_of_ports():
    rows = ROW.findall(SECTIONS[LOCAL])
    absent = {key: int(value) for key, _, value in rows if key.startswith("platform.ports.")}
    assert {f"platform.ports.{name}": port for name, port in dataclasses.asdict(Ports()).items()} == absent


def test_ranges_are_those_that_are_checked():
    ranges = {key: re.match(r"([\d.]+) to (\d+)", accepted) for key, accepted, _ in TABLE}
    for key, found in ranges.items():
        if found is None:
            continue
        *above, last = key.removeprefix("models.NAME.").split(".")
        for value in (float(found[1]) - 1, int(found[2]) + 1):
            written: dict[str, Any] = {last: value}
            for name in reversed(above):
                written = {name: written}
            ours = key.startswith("platform")
            platform = WHOLE[LOCAL] | written["platform"] if ours else WHOLE[KUBERNETES]
            with pytest.raises(ConfigError) as caught:
                parse(platform, {} if ours else {"a": written})
            message = f"must be a (whole )?number from {found[1]} to {found[2]}(, in steps of 0.001)?"
            assert any(re.fullmatch(message, problem.message) for problem in caught.value.problems), key


def test_the_first_example_is_valid():
    config = yaml.safe_load(BLOCKS[0])["config"]
    environment = parse(config["model-delivery:platform"], config["model-delivery:models"])
    assert [model.name for model in environment.models] == ["tumour"]


def test_the_example_of_callers_is_valid():
    (block,) = [yaml.safe_load(block) for block in BLOCKS if "authentication: none" in block]
    environment = parse({**WHOLE[KUBERNETES], **block["platform"]}, block["models"])
    assert [bool(model.rate_limit) for model in environment.models] == [True, False, False]


def test_the_errors_shown_are_the_errors_given(tmp_path: Path):
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    file = tmp_path / "Pulumi.local.yaml"
    file.write_text(BLOCKS[-1])
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value) + "\n" == shown
