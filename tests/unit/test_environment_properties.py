"""What holds for every configuration, whatever stands in it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.environment import ConfigError, Environment, parse, parse_json, read
from tests.unit.environments import configuration, environments

KEYS = [
    "platform", "models", "kind", "ports", "gateway", "tracking", "prometheus", "stack", "runtime", "stable",
    "canary", "version", "weight", "shadow", "autoscaling", "min", "max", "owner", "riskClass", "churn",
    "resources", "local", "aws", "secure", "kubernetes", "context", "image", "registry", "url", "namespace",
    "gateway", "name", "tlsSecret", "monitoring", "gpu", "cpu", "memory", "requestsPerSecond", "protectData",
    "metricsServer", "storage",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(1, 100)
    | st.floats()
    | st.text()
    | st.sampled_from(KEYS)
    | st.dates()
    | st.binary()
)
keys = (
    st.sampled_from(KEYS) | st.text() | st.integers() | st.none() | st.booleans() | st.tuples(st.integers())
)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=12,
)
json_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.sampled_from(KEYS)
json_junk = st.recursive(
    json_scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6)
    ),
    max_leaves=12,
)
files = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=100
)


def problems(platform: object, models: object) -> list[tuple[str, str]]:
    """Return path and message of every mistake, an empty list if there is none."""
    try:
        parse(platform, models)
    except ConfigError as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


@given(junk, junk, st.none() | st.dictionaries(st.text(), junk))
@settings(max_examples=200, deadline=None)
def test_junk_is_an_environment_or_a_readable_error(platform: object, models: object, others: Any):
    try:
        assert isinstance(parse(platform, models, others), Environment)
    except ConfigError as error:
        assert error.problems
        assert len(str(error).splitlines()) == 1 + len(error.problems)


@given(
    st.sampled_from(
        ["runtime", "stable", "canary", "autoscaling", "resources", "owner", "riskClass", "drift"]
    ),
    junk,
)
@settings(max_examples=200, deadline=None)
def test_junk_further_down_is_too(key: str, value: object):
    problems({"kind": "local", "ports": value}, {"churn": {"stable": {"version": 3}, key: value}})


@given(environments())
@settings(deadline=None)
def test_what_is_written_is_what_is_read(environment: Environment):
    written = configuration(environment)
    assert parse(written["platform"], written["models"]) == environment


@given(environments())
@settings(deadline=None)
def test_json_from_pulumi_says_the_same(environment: Environment):
    written = configuration(environment)
    texts = {f"model-delivery:{key}": json.dumps(value) for key, value in written.items()}
    assert parse_json(texts, "any-project") == environment


@given(environments())
@files
def test_the_file_says_the_same(tmp_path: Path, environment: Environment):
    file = tmp_path / "Pulumi.local.yaml"
    written = {f"model-delivery:{key}": value for key, value in configuration(environment).items()}
    file.write_text(yaml.safe_dump({"config": written}, allow_unicode=True), encoding="utf-8")
    assert read(file) == environment


@given(json_junk, json_junk)
@files
def test_junk_is_the_same_mistake_in_a_file_and_in_json(tmp_path: Path, platform: object, models: object):
    file = tmp_path / "Pulumi.local.yaml"
    written = {"model-delivery:platform": platform, "model-delivery:models": models}
    # Escaped: U+0085 is a line break to this writer, and none of its own making.
    file.write_text(yaml.safe_dump({"config": written}), encoding="utf-8")
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in written.items()}
    texts = {key: None if text == "null" else text for key, text in texts.items()}

    def outcome(action: Any) -> object:
        try:
            return action()
        except ConfigError as error:
            return [(problem.path, problem.message, problem.suggestion) for problem in error.problems]

    assert outcome(lambda: read(file)) == outcome(lambda: parse_json(texts, "model-delivery"))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@files
def test_any_file_is_an_environment_or_a_readable_error(tmp_path: Path, content: bytes):
    file = tmp_path / "Pulumi.local.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value).startswith("Pulumi.local.yaml has ")


def maps(written: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """List every map whose keys are ours, with its path; the keys of `models` are the user's."""
    found: list[tuple[str, dict[str, Any]]] = [] if path in ("", "models") else [(path, written)]
    for key, value in written.items():
        if isinstance(value, dict):
            found += maps(value, f"{path}.{key}" if path else key)
    return found


@given(
    environments(at_least=1),
    st.data(),
    st.from_regex(r"[a-zA-Z_][-_a-zA-Z0-9]{0,20}", fullmatch=True).filter(lambda key: key not in KEYS),
    json_junk,
)
@settings(deadline=None)
def test_one_wrong_key_is_one_mistake_where_it_stands(
    environment: Environment, data: st.DataObject, key: str, value: object
):
    written = configuration(environment)
    path, place = data.draw(st.sampled_from(maps(written)))
    if key in ("analysis", "drift", "prompt", "region", "requestsPerSecond") or path.endswith(".claims"):
        return
    place[key] = value
    ((found, message),) = problems(written["platform"], written["models"])
    assert found == f"{path}.{key}"
    assert message.startswith("unknown key; accepted: ")


BREACHES: list[tuple[str, str, Any]] = [
    ("platform", "kind", "nowhere"),
    ("platform", "stack", "prod"),
    ("platform", "namespace", "A"),
    ("platform.ports", "gateway", 80),
    ("platform.tracking", "image", "mlflow:latest"),
    ("models.{}", "runtime", "moon"),
    ("models.{}", "owner", ""),
    ("models.{}", "riskClass", "low"),
    ("models.{}.stable", "version", 0),
    ("models.{}.autoscaling", "requestsPerSecond", 0),
    ("models.{}.resources", "cpu", 0),
    ("models.{}.canary", "weight", 101),
    ("models.{}.canary", "version", None),
]


@given(environments(at_least=1), st.sets(st.sampled_from(range(len(BREACHES))), min_size=1), st.data())
@settings(deadline=None)
def test_independent_mistakes_are_reported_together(
    environment: Environment, chosen: set[int], data: st.DataObject
):
    written = configuration(environment)
    expected: set[str] = set()
    for index in chosen:
        template, key, value = BREACHES[index]
        path = template.format(data.draw(st.sampled_from(environment.models)).name)
        place = dict(maps(written)).get(path)
        if place is None or key not in place:
            continue
        place[key] = value
        expected.add(f"{path}.{key}")
    if "platform.kind" in expected:  # by what the other keys would be judged
        expected -= {path for path in expected if path.startswith("platform.")} - {"platform.kind"}
    assert {path for path, _ in problems(written["platform"], written["models"])} == expected


@given(environments(at_least=1), st.data())
@settings(deadline=None)
def test_without_any_one_key_it_is_valid_or_one_mistake_names_that_key(
    environment: Environment, data: st.DataObject
):
    written = configuration(environment)
    path, place = data.draw(st.sampled_from(maps(written)))
    key = data.draw(st.sampled_from(sorted(place)))
    del place[key]
    found = [path for path, _ in problems(written["platform"], written["models"])]
    required = key in (
        *("kind", "stack", "context", "image", "registry", "url"),
        *("stable", "version", "weight", "name", "namespace", "tlsSecret"),
        *("host", "issuer", "jwks", "audience", "secret"),
        *("build", "base", "repository"),
    )
    required = required or (path, key) in (
        *(("platform.prices", "cpu"), ("platform.prices", "memory"), ("platform.tracking.access", "claims")),
    )
    required = required or path.endswith(".rateLimit")
    if path.endswith("canary") and key == "shadow":
        assert found == [f"{path}.weight"]
    elif path.endswith("autoscaling") and key == "min":
        # One server is the default, and what may sleep may scale by what others can't.
        assert set(found) <= {f"{path}.max", f"{path}.requestsPerSecond"}
    elif path == "platform.ports":  # the default may be another's
        assert len(found) <= 1
    elif (path, key) == ("platform", "stack"):
        assert found == ["platform.kind"]
    elif (path, key) == ("platform", "namespace"):
        assert found == []
    elif (path, key) == ("platform", "gateway"):  # a certificate is due
        assert found in ([], ["platform.gateway"])
    elif (path, key) == ("platform", "gpu"):  # of what use the default isn't
        assert all(name.endswith(".resources.gpu") for name in found)
    elif path.endswith(".claims"):
        assert found in ([], [path])
    elif path.endswith(".authentication"):
        assert found == [path]
    elif (path, key) in (("platform", "keda"), ("platform", "monitoring"), ("platform", "prometheus")):
        wanted = (".autoscaling.min", ".autoscaling.gpuUtilization", ".autoscaling.requestsPerSecond")
        assert all(name.endswith((*wanted, "platform.prometheus")) for name in found)
    elif key in ("resources", "gpu") and path.startswith("models."):
        assert all(name.endswith(".autoscaling.gpuUtilization") for name in found)
    else:
        assert found == ([f"{path}.{key}"] if required else [])


@given(environments())
@settings(deadline=None)
def test_reading_changes_nothing(environment: Environment):
    written = configuration(environment)
    before = copy.deepcopy(written)
    parse(written["platform"], written["models"])
    assert written == before
