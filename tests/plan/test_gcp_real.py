"""Production on GCP, as the engine plans it from its file, and what each step of a release changes.

`UPDATE_GOLDEN=1 make test TESTS=tests/plan/test_gcp_real.py` writes golden/gcp*.txt anew.
"""

from __future__ import annotations

import re

import pytest

from tests.plan.planned import GOLDEN, Models, Planned, golden, outputs_only, touched

pytestmark = pytest.mark.real

URL_MAP = "gcp:compute/regionUrlMap:RegionUrlMap"
TRAFFIC = {URL_MAP, "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"}
ROLLOUT = {"delivery:registry:Rollout", "delivery:registry:Step"}


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return Planned(tmp_path_factory.mktemp("gcp"), "gcp")


def test_promoting_a_canary_on_cloud_run_changes_its_map_and_no_more(prod: Planned) -> None:
    steps = prod.edited(lambda models: models["address-match"]["canary"].update(weight=50))
    assert touched(steps) == {"update": {URL_MAP} | ROLLOUT}
    (moved,) = [step for step in steps if step.type.endswith(URL_MAP) and step.op == "update"]
    assert moved.paths == {
        "defaultRouteAction.weightedBackendServices[0].weight",
        "defaultRouteAction.weightedBackendServices[1].weight",
    }
    weights = [b["weight"] for b in moved.inputs["defaultRouteAction"]["weightedBackendServices"]]
    assert weights == [50, 50]
    golden("gcp-promote", prod.changes(steps))


def test_a_promotion_is_finished_by_naming_the_version_stable(prod: Planned) -> None:
    def edit(models: Models) -> None:
        for name in ("fraud", "address-match"):
            models[name]["stable"] = {"version": models[name].pop("canary")["version"]}

    steps = prod.edited(edit)
    assert "replace" not in touched(steps)
    kept = [s for s in steps if s.op == "delete" and re.search(r"-v(4|13)(-|$)", s.name)]
    assert kept == [], "the version that becomes stable keeps all that it has"
    golden("gcp-finish", prod.changes(steps))


def test_a_rollback_gives_everything_back_to_the_stable_version(prod: Planned) -> None:
    def edit(models: Models) -> None:
        for name in ("fraud", "address-match"):
            del models[name]["canary"]

    steps = prod.edited(edit)
    done = touched(steps)
    assert "replace" not in done and "create" not in done and done["update"] >= TRAFFIC | ROLLOUT
    lost = [s for s in steps if s.op == "delete" and re.search(r"-v(3|12|7)$", s.name)]
    assert lost == [], "the stable version keeps all that it has"
    golden("gcp-rollback", prod.changes(steps))


def test_a_new_model_and_a_removed_one_touch_no_other(prod: Planned) -> None:
    def edit(models: Models) -> None:
        del models["address-match"]
        models["tariff"] = {"runtime": "cloud-run", "stable": {"version": 1}, "owner": "pricing-team"}

    steps = prod.edited(edit)
    changed = [s for s in steps if s.op != "same" and not outputs_only(s)]
    assert {s.op for s in changed} == {"create", "delete"}
    assert all(("tariff" if s.op == "create" else "address-match") in s.name for s in changed)
    golden("gcp-new-and-removed-model", prod.changes(steps))


def test_an_applied_file_plans_nothing_and_every_input_is_known(prod: Planned) -> None:
    steps = prod.edited(lambda models: None)
    assert {step.op for step in steps} == {"same"}
    golden("gcp", prod.graph(steps))
    assert "<known after apply>" not in (GOLDEN / "gcp.txt").read_text()
