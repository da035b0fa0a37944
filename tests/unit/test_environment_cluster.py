"""What a cluster's platform may say of its parts, and every mistake in it."""

from __future__ import annotations

from typing import Any

import pytest

from components.environment import (
    Access,
    Alerts,
    ConfigError,
    Jwt,
    KubernetesPlatform,
    Prices,
    Tracking,
    parse,
)

IMAGE = "registry.example.com/serving@sha256:" + "a" * 64
CLUSTER: dict[str, Any] = {
    "kind": "kubernetes",
    "context": "prod",
    "image": IMAGE,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
}
ACCESS: dict[str, Any] = {
    "host": "mlflow.example.com",
    "tlsSecret": "mlflow-tls",
    "issuer": "https://token.actions.githubusercontent.com",
    "jwks": "https://token.actions.githubusercontent.com/.well-known/jwks",
    "audience": "mlflow",
    "claims": {"repository_owner": "acme"},
}


def platform(**keys: Any) -> KubernetesPlatform:
    found = parse({**CLUSTER, **keys}, {}).platform
    assert isinstance(found, KubernetesPlatform)
    return found


def mistakes(**keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse({**CLUSTER, **keys}, {})
    return [str(problem) for problem in caught.value.problems]


def access(**keys: Any) -> dict[str, Any]:
    return {"image": IMAGE, "access": {**ACCESS, **keys}}


class TestAccess:
    def test_every_key(self) -> None:
        tracking = platform(tracking=access()).cluster.tracking
        assert tracking and tracking.access == Access(
            host="mlflow.example.com",
            tls_secret="mlflow-tls",
            jwt=Jwt(
                issuer="https://token.actions.githubusercontent.com",
                jwks="https://token.actions.githubusercontent.com/.well-known/jwks",
                audience="mlflow",
                claims={"repository_owner": "acme"},
            ),
        )

    def test_absent_is_nobody(self) -> None:
        tracking = platform(tracking={"image": IMAGE}).cluster.tracking
        assert tracking == Tracking(image=IMAGE, storage="20Gi", access=None)

    @pytest.mark.parametrize("key", sorted(ACCESS))
    def test_everything_is_required(self, key: str) -> None:
        given = {name: value for name, value in ACCESS.items() if name != key}
        (found,) = mistakes(tracking={"image": IMAGE, "access": given})
        assert found.startswith(f"platform.tracking.access.{key}: required, ") and "None" not in found

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"host": "https://mlflow.example.com"}, "host"),
            ({"tlsSecret": "A"}, "tlsSecret"),
            ({"issuer": "http://login.example.com"}, "issuer"),
            ({"issuer": "https://ann:pw@login.example.com"}, "issuer"),
            ({"jwks": "login.example.com/keys"}, "jwks"),
            ({"audience": " "}, "audience"),
            ({"claims": {"sub": 3}}, "claims.sub"),
            ({"host": "models.example.com"}, "host"),
        ],
    )
    def test_what_a_value_must_be(self, keys: dict[str, Any], path: str) -> None:
        (found,) = mistakes(tracking=access(**keys))
        assert found.startswith(f"platform.tracking.access.{path} is ")

    @pytest.mark.parametrize("claims", [{}, "acme", ["acme"], None])
    def test_a_token_without_claims_may_be_anybodys(self, claims: object) -> None:
        (found,) = mistakes(tracking=access(claims=claims))
        assert "must be a map of claims to what they must be, with at least one" in found

    def test_another_gateway_may_not_ask_for_tokens(self) -> None:
        (found,) = mistakes(tracking=access(), gateway={"name": "a", "namespace": "b"})
        assert found.startswith("platform.tracking.access is a map of 6 keys: needs Envoy Gateway")


class TestPrices:
    def test_every_key(self) -> None:
        given = {"cpu": 25, "memory": 3.4, "gpu": 600, "currency": "EUR"}
        assert platform(prices=given).cluster.prices == Prices(
            cpu=25.0, memory=3.4, gpu=600.0, currency="EUR"
        )
        assert platform(prices={"cpu": 0, "memory": 0}).cluster.prices == Prices(cpu=0.0, memory=0.0)
        assert platform().cluster.prices is None

    @pytest.mark.parametrize(
        ("prices", "start"),
        [
            ({"cpu": 25}, "platform.prices.memory: required, "),
            ({"memory": 3}, "platform.prices.cpu: required, "),
            ({"cpu": -1, "memory": 3}, "platform.prices.cpu is -1: must be a number from 0 to 10000"),
            (
                {"cpu": "25", "memory": 3},
                'platform.prices.cpu is "25": must be a number from 0 to 10000, in steps of 0.001. Write it'
                " without quotes: 25.",
            ),
            ({"cpu": 1, "memory": 3, "currency": "€"}, 'platform.prices.currency is "€": must be a currency'),
            ({"cpu": 1, "memory": 3, "gpus": 1}, "platform.prices.gpus is 1: unknown key"),
        ],
    )
    def test_what_a_price_is(self, prices: dict[str, Any], start: str) -> None:
        (found,) = mistakes(prices=prices)
        assert found.startswith(start) and "None" not in found

    def test_nobody_would_see_them(self) -> None:
        (found,) = mistakes(prices={"cpu": 1, "memory": 3}, monitoring="none")
        assert found.startswith("platform.prices is a map of 2 keys: only dashboards show them")


class TestAlerts:
    def test_a_webhook_is_named_by_its_secret(self) -> None:
        found = platform(alerts={"webhookSecret": "on-call"}).cluster.alerts
        assert found == Alerts(webhook_secret="on-call")
        assert platform().cluster.alerts is None

    def test_an_address_is_no_name(self) -> None:
        (said,) = mistakes(alerts={"webhookSecret": "https://hooks.example.com/T0/B0"})
        assert said.startswith('platform.alerts.webhookSecret is "https://hooks.example.com/T0/B0": must')

    @pytest.mark.parametrize("monitoring", ["existing", "none"])
    def test_the_clusters_own_alertmanager_is_not_ours_to_set(self, monitoring: str) -> None:
        assert mistakes(alerts={"webhookSecret": "on-call"}, monitoring=monitoring) == [
            "platform.alerts is a map of 1 key: belongs to the Alertmanager that is installed with"
            " monitoring: install. Set the receivers of the cluster's own Alertmanager where it comes from."
        ]


class TestDefinitions:
    def test_absent_is_the_program(self) -> None:
        assert platform().cluster.definitions == "install"
        assert platform(definitions="existing").cluster.definitions == "existing"

    def test_they_are_never_absent(self) -> None:
        assert mistakes(definitions="none") == [
            'platform.definitions is "none": must be one of: install, existing.'
        ]
