"""docs/serving.md names the metrics that the server renders, all of them and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.serving.rendered import IDENTITY, Found, rendered, series, unknown_labels
from tests.unit import promtool

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def documented() -> Found:
    found: Found = {}
    for line in PAGE.read_text().splitlines():
        row = re.fullmatch(r"\| `(\w+)` \| (counter|gauge|histogram) \|(.*?)\|.*\|", line)
        if row:
            name, kind, labels = row.groups()
            assert name not in found, f"{name} is in the table twice"
            identity = IDENTITY if name.startswith("model_") else set[str]()
            found[name] = (kind, frozenset({*identity, *re.findall(r"`(\w+)`", labels)}))
    return found


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return rendered(tmp_path_factory.mktemp("metrics"))


def test_the_page_has_every_metric_of_the_server_and_no_other(metrics: Found) -> None:
    assert len(metrics) > 20
    assert documented() == metrics


def test_whatever_the_page_speaks_of_exists(metrics: Found) -> None:
    named = set(re.findall(r"\b(?:model|process|python)_[a-z_]+[a-z]\b", PAGE.read_text()))
    reasons = {"model_failed"}
    assert len(named) > 20
    assert named - series(metrics) - metrics.keys() == reasons


def test_the_pages_query_reads_labels_that_its_metrics_have(metrics: Found) -> None:
    (query,) = re.findall(r"```promql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert unknown_labels(query, metrics) == []


@pytest.mark.real
def test_the_pages_query_gives_the_share_up_to_each_quantile(tmp_path: Path) -> None:
    (query,) = re.findall(r"```promql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    buckets = {"25.0": "0+1x90", "+Inf": "0+4x90"}
    given = [
        promtool.series("model_feature_distribution_bucket", values, feature="age", le=le)
        for le, values in buckets.items()
    ]
    given.append(promtool.series("model_feature_values_total", "0+4x90", feature="age"))
    wanted = [
        {"labels": f'{{feature="age", le="{le}"}}', "value": value}
        for le, value in (("25.0", 0.25), ("+Inf", 1))
    ]
    asked = [{"expr": query, "eval_time": "80m", "exp_samples": wanted}]
    promtool.check(tmp_path, {"input_series": given, "promql_expr_test": asked})
