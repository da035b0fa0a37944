"""What is asked of callers: of the file, of what is declared for Envoy Gateway, and where it can't be had."""

from __future__ import annotations

from typing import Any

import pytest

from components.environment import ApiKeys, ConfigError, Jwt, KubernetesPlatform, parse
from tests.unit.graph import Declared, Graph
from tests.unit.kubernetes import PLATFORM, ROUTE, kubernetes

STABLE = {"stable": {"version": 3}}
SECURE: dict[str, Any] = {"url": "https://models.example.com", "gateway": {"tlsSecret": "tls"}}
TOKEN: dict[str, Any] = {
    "issuer": "https://login.example.com/acme",
    "jwks": "https://login.example.com/acme/keys",
    "audience": "models",
}
KEYS = {"apiKeys": {"secret": "callers"}}
SECURITY = "kubernetes:gateway.envoyproxy.io/v1alpha1:SecurityPolicy"
TRAFFIC = "kubernetes:gateway.envoyproxy.io/v1alpha1:BackendTrafficPolicy"
ROUTE_REF = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "churn"}


def declared(model: dict[str, Any], **platform: Any) -> Graph:
    return kubernetes({"churn": {**STABLE, **model}}, **(SECURE | platform))[0]


def policies(graph: Graph) -> list[Declared]:
    return [found for found in graph.resources if found.type in (SECURITY, TRAFFIC)]


def mistakes(platform: dict[str, Any], **model: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        parse(platform, {"churn": {**STABLE, **model}})
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_without_a_word_nothing_is_asked() -> None:
    assert policies(declared({})) == []


def test_a_token_is_checked_by_issuer_audience_and_claims_and_only_in_the_header() -> None:
    graph = declared({"authentication": {"jwt": {**TOKEN, "claims": {"team": "risk", "env": "prod"}}}})
    policy = graph.one(SECURITY, "churn").inputs
    assert policy["metadata"]["namespace"] == "models"
    assert policy["spec"] == {
        "targetRefs": [ROUTE_REF],
        "jwt": {
            "providers": [
                {
                    "name": "issuer",
                    "issuer": "https://login.example.com/acme",
                    "audiences": ["models"],
                    "remoteJWKS": {"uri": "https://login.example.com/acme/keys"},
                    "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
                }
            ]
        },
        "authorization": {
            "defaultAction": "Deny",
            "rules": [
                {
                    "name": "bearers",
                    "action": "Allow",
                    "principal": {
                        "jwt": {
                            "provider": "issuer",
                            "claims": [
                                {"name": "env", "values": ["prod"]},
                                {"name": "team", "values": ["risk"]},
                            ],
                        }
                    },
                }
            ],
        },
    }


def test_an_issuer_whose_tokens_are_its_own_users_needs_no_claims() -> None:
    spec = declared({"authentication": {"jwt": TOKEN}}).one(SECURITY, "churn").inputs["spec"]
    # An empty list of rules would be dropped by the API server, and added again by each update.
    assert "authorization" not in spec


def test_keys_are_in_a_secret_that_is_only_named() -> None:
    graph = declared({"authentication": KEYS})
    assert graph.one(SECURITY, "churn").inputs["spec"] == {
        "targetRefs": [ROUTE_REF],
        "apiKeyAuth": {
            "credentialRefs": [{"name": "callers"}],
            "extractFrom": [{"headers": ["x-api-key"]}],
            "sanitize": True,
        },
    }
    assert not [found for found in graph.resources if found.type == "kubernetes:core/v1:Secret"]


def test_the_gateway_asks_for_every_route_and_a_model_may_ask_otherwise_or_for_nothing() -> None:
    models = {
        "churn": STABLE,
        "fraud": {**STABLE, "authentication": {"jwt": TOKEN}},
        "weather": {**STABLE, "authentication": "none"},
    }
    gateway = {"tlsSecret": "tls", "authentication": KEYS}
    graph, _ = kubernetes(models, url=SECURE["url"], gateway=gateway)
    specs = {found.name: found.inputs["spec"] for found in policies(graph)}
    assert sorted(specs) == ["fraud", "models-callers", "weather"]
    # Whatever route comes, also another stack's, is asked.
    assert specs["models-callers"]["targetRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "models"}
    ]
    assert "apiKeyAuth" in specs["models-callers"] and "apiKeyAuth" not in specs["fraud"]
    assert specs["weather"]["authorization"] == {"defaultAction": "Allow"}


def test_a_model_called_like_the_gateway_has_a_policy_of_its_own() -> None:
    gateway = {"tlsSecret": "tls", "authentication": KEYS}
    models = {"models": {**STABLE, "authentication": "none"}}
    graph, _ = kubernetes(models, url=SECURE["url"], gateway=gateway)
    names = [found.inputs["metadata"]["name"] for found in policies(graph)]
    assert sorted(names) == ["models", "models.gateway"]


@pytest.mark.parametrize(("limit", "each"), [(1, 1), (100, 50), (101, 51)])
def test_a_limit_is_shared_by_the_proxies(limit: int, each: int) -> None:
    graph = declared({"rateLimit": {"requestsPerSecond": limit}})
    assert graph.one(TRAFFIC, "churn").inputs["spec"] == {
        "targetRefs": [ROUTE_REF],
        "rateLimit": {"local": {"rules": [{"limit": {"requests": each, "unit": "Second"}}]}},
    }
    proxies = graph.one("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy", "models-proxy").inputs
    assert proxies["spec"]["provider"]["kubernetes"]["envoyDeployment"]["replicas"] == 2


def test_a_route_never_stands_open() -> None:
    graph = declared({"authentication": KEYS, "rateLimit": {"requestsPerSecond": 10}})
    assert len(policies(graph)) == 2
    assert {found.urn for found in policies(graph)} <= graph.one(ROUTE, "churn").needs
    gateway = {"tlsSecret": "tls", "authentication": KEYS}
    graph = declared({}, gateway=gateway)
    (policy,) = policies(graph)
    assert policy.name in graph.waits_for(ROUTE, "churn")


@pytest.mark.parametrize("http", [{"url": "http://models.example.com", "gateway": {}}])
def test_nothing_is_shown_in_the_clear(http: dict[str, Any]) -> None:
    clear = "only over https: tokens and keys would be sent in the clear"
    platform = {**PLATFORM, **http}
    assert mistakes(platform, authentication=KEYS) == [("models.churn.authentication", clear)]
    asking = {**platform, "gateway": {"authentication": {"jwt": TOKEN}}}
    assert mistakes(asking) == [("platform.gateway.authentication", clear)]
    # What is shown to nobody may be.
    assert parse(
        platform, {"churn": {**STABLE, "authentication": "none", "rateLimit": {"requestsPerSecond": 1}}}
    )


def test_a_gateway_that_is_there_is_asked_for_nothing() -> None:
    existing = {"name": "public", "namespace": "gateways"}
    platform = {**PLATFORM, **SECURE, "gateway": existing}
    message = "needs Envoy Gateway as it is installed here: another gateway may not know its policies"
    assert mistakes(platform, authentication=KEYS, rateLimit={"requestsPerSecond": 1}) == [
        ("models.churn.authentication", message),
        ("models.churn.rateLimit", message),
    ]
    asking = {**platform, "gateway": {**existing, "authentication": KEYS}}
    assert mistakes(asking) == [("platform.gateway.authentication", message)]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("authentication", KEYS, "the local gateway answers on this machine alone"),
        ("authentication", "none", "the local gateway answers on this machine alone"),
        ("rateLimit", {"requestsPerSecond": 5}, "the local gateway counts no requests"),
    ],
)
def test_what_a_runtime_cannot_ask_is_a_mistake_at_its_key(key: str, value: object, message: str) -> None:
    found = mistakes({"kind": "local"}, **{key: value})
    assert found == [(f"models.churn.{key}", f"not on the runtime local: {message}")]


@pytest.mark.parametrize(
    ("authentication", "path", "message"),
    [
        ({}, "", "must have one of jwt and apiKeys"),
        (
            {"jwt": TOKEN, **KEYS},
            "",
            "must have one of jwt and apiKeys, not both: a caller would have to show both",
        ),
        ("open", "", "must be a map such as {apiKeys: {secret: callers}}"),
        (None, "", "must be a map such as {apiKeys: {secret: callers}}"),
        ({"apiKeys": {}}, ".apiKeys.secret", "required, "),
        ({"apiKeys": {"secret": "A key!"}}, ".apiKeys.secret", "must be a name of lower-case letters"),
        (
            {"jwt": {**TOKEN, "issuer": "http://login.example.com"}},
            ".jwt.issuer",
            "must be the https:// address",
        ),
        ({"jwt": {**TOKEN, "claims": {}}}, ".jwt.claims", "must be a map of claims"),
        (
            {"jwt": {**TOKEN, "issuer": "https://token.actions.githubusercontent.com"}},
            ".jwt.claims",
            "required, what a token must say, such as {repository_owner: acme}: this issuer gives anyone",
        ),
    ],
)
def test_what_a_value_must_be(authentication: object, path: str, message: str) -> None:
    ((found, said),) = mistakes({**PLATFORM, **SECURE}, authentication=authentication)
    assert found == f"models.churn.authentication{path}" and said.startswith(message)


def test_the_file_is_understood() -> None:
    gateway = {"tlsSecret": "tls", "authentication": KEYS}
    found = parse(
        {**PLATFORM, **SECURE, "gateway": gateway},
        {"churn": {**STABLE, "authentication": {"jwt": TOKEN}, "rateLimit": {"requestsPerSecond": 7}}},
    )
    (model,) = found.models
    assert model.authentication == Jwt(**TOKEN) and model.rate_limit == 7
    assert isinstance(found.platform, KubernetesPlatform)
    assert found.platform.cluster.gateway.authentication == ApiKeys(secret="callers")
