"""The rules of a configuration, each by an example, with the exact message that its breach gives."""

import datetime
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_model_name

from components.environment import (
    MISSING,
    Autoscaling,
    BorrowedPlatform,
    Build,
    Canary,
    Cluster,
    ConfigError,
    Environment,
    Gateway,
    ImageBuild,
    KubernetesPlatform,
    LocalPlatform,
    Model,
    Ports,
    ReleaseRef,
    Resources,
    Tracking,
    parse,
)

LOCAL = {"kind": "local"}
CHURN = {"stable": {"version": 3}}
KINDS = "local, kubernetes, aws, gcp, azure"
IMAGE = "registry.example.com/serving@sha256:" + "a" * 64
CLUSTER = {
    "kind": "kubernetes",
    "context": "prod",
    "image": IMAGE,
    "registry": "https://mlflow.example.com",
    "url": "http://models.example.com",
}


def mistakes(platform: object, models: object, others: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(platform, models, others)
    return [str(problem) for problem in caught.value.problems]


def model(**keys: Any) -> Model:
    (found,) = parse(LOCAL, {"churn": CHURN | keys}).models
    return found


def model_mistakes(**keys: Any) -> list[str]:
    return mistakes(LOCAL, {"churn": CHURN | keys})


class TestWhatIsAccepted:
    def test_a_platform_without_models(self):
        assert parse(LOCAL, {}) == Environment(
            platform=LocalPlatform(kind="local", ports=Ports(gateway=8080, tracking=5000, prometheus=9090)),
            models=(),
        )

    def test_the_defaults_of_a_model(self):
        assert model() == Model(
            name="churn",
            runtime="local",
            stable=ReleaseRef(version=3),
            canary=None,
            autoscaling=Autoscaling(min=1, max=1),
            owner=None,
            risk_class=None,
        )

    def test_every_key(self):
        environment = parse(
            {"kind": "local", "ports": {"gateway": 8081, "tracking": 5001, "prometheus": 9091}},
            {
                "churn": {
                    "runtime": "local",
                    "stable": {"version": 3},
                    "canary": {"version": 4, "weight": 10, "shadow": False},
                    "autoscaling": {"min": 2, "max": 2},
                    "owner": "risk-team",
                    "riskClass": "high",
                }
            },
        )
        assert environment == Environment(
            platform=LocalPlatform(ports=Ports(gateway=8081, tracking=5001, prometheus=9091)),
            models=(
                Model(
                    name="churn",
                    runtime="local",
                    stable=ReleaseRef(version=3),
                    canary=Canary(version=4, weight=10, shadow=False),
                    autoscaling=Autoscaling(min=2, max=2),
                    owner="risk-team",
                    risk_class="high",
                ),
            ),
        )

    def test_models_are_sorted_by_name(self):
        names = [found.name for found in parse(LOCAL, {"b": CHURN, "c": CHURN, "a": CHURN}).models]
        assert names == ["a", "b", "c"]

    @pytest.mark.parametrize("weight", [0, 1, 99, 100])
    def test_the_bounds_of_a_weight(self, weight: int):
        assert model(canary={"version": 4, "weight": weight}).canary == Canary(version=4, weight=weight)

    def test_a_whole_number_written_as_10_0_is_10_because_pulumi_hands_it_over_so(self):
        canary = model(canary={"version": 4, "weight": 10.0}).canary
        assert canary == Canary(version=4, weight=10)
        assert canary is not None
        assert type(canary.weight) is int

    def test_a_shadow_has_no_weight(self):
        shadow = Canary(version=4, weight=0, shadow=True)
        assert model(canary={"version": 4, "shadow": True}).canary == shadow

    @pytest.mark.parametrize("version", [1, 2**31 - 1])
    def test_the_bounds_of_a_version(self, version: int):
        assert model(stable={"version": version}).stable == ReleaseRef(version=version)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [({}, 1), ({"min": 1}, 1), ({"min": 16}, 16), ({"max": 1}, 1), ({"min": 5, "max": 5}, 5)],
    )
    def test_autoscaling_is_the_number_of_servers(self, given: dict[str, int], expected: int):
        found = model(autoscaling=given)
        assert found.autoscaling == Autoscaling(min=expected, max=expected)
        assert found.replicas == expected

    @pytest.mark.parametrize("risk_class", ["minimal", "limited", "high"])
    def test_every_risk_class(self, risk_class: str):
        assert model(riskClass=risk_class).risk_class == risk_class

    @pytest.mark.parametrize("name", ["a", "a1", "a-1", "fraud-eu-west", "a--b", "a" * 40])
    def test_names_of_models(self, name: str):
        assert [found.name for found in parse(LOCAL, {name: CHURN}).models] == [name]

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"gateway": 1024}, Ports(gateway=1024)),
            ({"gateway": 65535}, Ports(gateway=65535)),
            ({"tracking": 8080, "gateway": 5000}, Ports(gateway=5000, tracking=8080)),
        ],
    )
    def test_ports(self, given: dict[str, int], expected: Ports):
        assert parse({"kind": "local", "ports": given}, {}).platform.ports == expected

    def test_an_owner_of_100_characters(self):
        assert model(owner="x" * 100).owner == "x" * 100


class TestTheTop:
    def test_nothing_at_all(self):
        assert mistakes(None, None) == [
            "models: required, a map of models by name, {} for none.",
            "platform: required, a map such as {kind: local}.",
        ]

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("local", '"local"'),
            (3, "3"),
            (1.5, "1.5"),
            (True, "true"),
            ([], "a list of 0 items"),
            ([1], "a list of 1 item"),
            ("x" * 61, '"' + "x" * 59 + '…"'),
            ("x" * 60, '"' + "x" * 60 + '"'),
            ("a\nb", '"a\\nb"'),
            ("é", '"é"'),
            ("a\u200b", '"a\\u200b"'),
            (2**64, "a very large number"),
            (2**64 - 1, "18446744073709551615"),
            (datetime.date(2026, 1, 1), "a value of type date"),
        ],
    )
    def test_not_a_map(self, value: object, shown: str):
        assert mistakes(value, value) == [
            f"models is {shown}: must be a map such as {{churn: {{stable: {{version: 3}}}}}}.",
            f"platform is {shown}: must be a map such as {{kind: local}}.",
        ]

    def test_further_keys(self):
        assert mistakes(LOCAL, {}, {"sizes": 3, "a.b": None}) == [
            '["a.b"] is null: unknown key; accepted: platform, models.',
            "sizes is 3: unknown key; accepted: platform, models.",
        ]

    def test_a_misspelt_key_is_one_mistake(self):
        hint = "unknown key; accepted: platform, models. Did you mean models?"
        assert mistakes(LOCAL, None, {"modles": {}}) == [f"modles is a map of 0 keys: {hint}"]
        hint = "unknown key; accepted: platform, models. Did you mean platform?"
        assert mistakes(None, {}, {"platfrom": {"a": 1}}) == [f"platfrom is a map of 1 key: {hint}"]

    def test_a_misspelt_key_beside_the_right_one_hides_nothing(self):
        assert len(mistakes(LOCAL, [], {"modles": {}})) == 2
        assert len(mistakes([], {}, {"platfrom": {}})) == 2


class TestThePlatform:
    def test_the_kind_is_required(self):
        assert mistakes({}, {}) == [f"platform.kind: required, one of: {KINDS}."]

    def test_an_unknown_kind(self):
        assert mistakes({"kind": "locla"}, {}) == [
            f'platform.kind is "locla": must be one of: {KINDS}. Did you mean local?'
        ]
        assert mistakes({"kind": 3}, {}) == [f"platform.kind is 3: must be one of: {KINDS}."]
        assert mistakes({"kind": ["aws"]}, {}) == [
            f"platform.kind is a list of 1 item: must be one of: {KINDS}."
        ]

    def test_a_borrowed_platform(self):
        environment = parse({"stack": "org/model-delivery/prod"}, {"churn": CHURN})
        assert environment.platform == BorrowedPlatform(stack="org/model-delivery/prod")
        assert [found.runtime for found in environment.models] == ["kubernetes"]

    @pytest.mark.parametrize("stack", ["prod", "org/prod", "a/b/c/d", "a//b", 3, None, "a/b/é"])
    def test_a_stack_is_named_in_full(self, stack: object):
        (found,) = mistakes({"stack": stack}, {"churn": CHURN})
        assert found.startswith("platform.stack is ")
        assert found.endswith(": must be organization/project/stack, such as acme/model-delivery/prod.")

    def test_a_borrowed_platform_has_no_keys_of_its_own(self):
        assert mistakes({"stack": "org/model-delivery/prod", "kind": "local"}, {}) == [
            'platform.kind is "local": unknown key; accepted: keda, stack.'
        ]

    def test_a_borrowed_platform_has_no_local_runtime(self):
        assert mistakes({"stack": "a/b/c"}, {"churn": CHURN | {"runtime": "local"}}) == [
            'models.churn.runtime is "local": not on a borrowed platform; accepted: kubernetes.'
        ]

    def test_keys_of_other_kinds(self):
        assert mistakes(LOCAL | {"region": "x"}, {}) == [
            'platform.region is "x": unknown key; accepted: kind, ports.'
        ]
        assert mistakes(LOCAL | {"port": 3}, {}) == [
            "platform.port is 3: unknown key; accepted: kind, ports. Did you mean ports?"
        ]

    def test_a_misspelt_kind_is_one_mistake(self):
        assert mistakes({"Kind": "local"}, {}) == [
            'platform.Kind is "local": unknown key; accepted: kind. Did you mean kind?'
        ]


class TestPorts:
    def mistakes(self, **ports: object) -> list[str]:
        return mistakes({"kind": "local", "ports": ports}, {})

    @pytest.mark.parametrize("port", [1023, 65536, 0, -1])
    def test_the_range(self, port: int):
        assert self.mistakes(tracking=port) == [
            f"platform.ports.tracking is {port}: must be a whole number from 1024 to 65535."
        ]

    def test_written_as_text(self):
        assert self.mistakes(gateway="8080") == [
            'platform.ports.gateway is "8080": must be a whole number from 1024 to 65535.'
            " Write it without quotes: 8080."
        ]

    def test_equal_ports(self):
        assert self.mistakes(gateway=9000, prometheus=9000) == [
            "platform.ports.prometheus is 9000:"
            " must differ from the other ports; 9000 is the port of gateway."
        ]

    def test_a_port_that_another_has_by_default(self):
        assert self.mistakes(gateway=5000) == [
            "platform.ports.gateway is 5000: must differ from the other ports;"
            " 5000 is the port of tracking, by default."
        ]

    def test_three_equal_ports(self):
        assert self.mistakes(gateway=7000, tracking=7000, prometheus=7000) == [
            "platform.ports.prometheus is 7000:"
            " must differ from the other ports; 7000 is the port of gateway.",
            "platform.ports.tracking is 7000: must differ from the other ports; 7000 is the port of gateway.",
        ]

    def test_a_wrong_port_beside_equal_ones(self):
        assert self.mistakes(gateway=1, tracking=7000, prometheus=7000) == [
            "platform.ports.gateway is 1: must be a whole number from 1024 to 65535.",
            "platform.ports.prometheus is 7000:"
            " must differ from the other ports; 7000 is the port of tracking.",
        ]

    def test_a_misspelt_port_does_not_clash_by_its_default(self):
        assert self.mistakes(gatway=9999, tracking=8080) == [
            "platform.ports.gatway is 9999: unknown key; accepted: gateway, prometheus, tracking."
            " Did you mean gateway?"
        ]

    def test_not_a_map(self):
        assert mistakes({"kind": "local", "ports": 8080}, {}) == [
            "platform.ports is 8080: must be a map such as {gateway: 8080}."
        ]


class TestTheRegisteredModel:
    """What the registry calls a model: what MLflow takes as a name, and nothing else."""

    @pytest.mark.parametrize(
        "name", ["Churn_Model", "main.ml.churn", "a.b", "Ä", "my model", "O'Brien", "3", "x" * 256]
    )
    def test_what_mlflow_takes(self, name: str):
        _validate_model_name(name)
        (model,) = parse(LOCAL, {"churn": {**CHURN, "registeredModel": name}}).models
        assert (model.name, model.registered_name) == ("churn", name)

    @pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", ".."])
    def test_what_mlflow_refuses(self, name: str):
        with pytest.raises(MlflowException):
            _validate_model_name(name)
        self.refused(name)

    @pytest.mark.parametrize("name", [3, None, True, ["churn"], "a\nb", "x" * 257])
    def test_what_is_no_line_of_text_or_too_long(self, name: object):
        self.refused(name)

    def refused(self, name: object) -> None:
        (mistake,) = mistakes(LOCAL, {"churn": {**CHURN, "registeredModel": name}})
        assert mistake.startswith("models.churn.registeredModel is ")
        assert mistake.endswith(
            "must be the name of a registered model in MLflow: one line of text, 1 to 256 characters, no / "
            "and no :."
        )

    @pytest.mark.parametrize("uri", ["models:/Churn_Model/3", "models:/Churn_Model@champion"])
    def test_a_uri_of_a_version_is_not_its_name(self, uri: str):
        (mistake,) = mistakes(LOCAL, {"churn": {**CHURN, "registeredModel": uri}})
        assert mistake.endswith("Write the name alone: Churn_Model.")

    def test_by_default_it_is_the_name_of_the_model(self):
        (plain,) = parse(LOCAL, {"churn": CHURN}).models
        (said,) = parse(LOCAL, {"churn": {**CHURN, "registeredModel": "churn"}}).models
        assert plain.registered_name == "churn" and plain == said

    def test_a_misspelt_key_is_told(self):
        (mistake,) = mistakes(LOCAL, {"churn": {**CHURN, "registered_model": "a"}})
        assert mistake.endswith("Did you mean registeredModel?")


class TestTheNameOfAModel:
    RULE = (
        "a model's name has lower-case letters, digits and hyphens, begins with a letter,"
        " doesn't end in a hyphen, and has at most 40 characters"
    )

    @pytest.mark.parametrize(
        ("name", "path", "near"),
        [
            ("Churn", "models.Churn", "churn"),
            ("churn_eu", "models.churn_eu", "churn-eu"),
            ("churn.eu", 'models["churn.eu"]', "churn-eu"),
            ("churn-", "models.churn-", "churn"),
            ("-churn", "models.-churn", "churn"),
            ("3", "models.3", None),
            ("a b", 'models["a b"]', "a-b"),
            ("café", "models.café", "cafe"),
            ("Ä", "models.Ä", "a"),
            ("main.ml.churn", 'models["main.ml.churn"]', "main-ml-churn"),
        ],
    )
    def test_what_is_no_dns_label(self, name: str, path: str, near: str | None):
        perhaps = f" Perhaps {near}?" if near else ""
        registered = f'If the registry has its versions as "{name}", write {near or "NAME"}: '
        registered += f'{{registeredModel: "{name}", …}}.'
        assert mistakes(LOCAL, {name: CHURN}) == [
            f"{path} is a map of 1 key: {self.RULE}.{perhaps} {registered}"
        ]

    @pytest.mark.parametrize(
        ("name", "path", "hint"),
        [
            ("", 'models[""]', ""),
            ("churn\n", 'models["churn\\n"]', " Perhaps churn?"),
            ("a/b", 'models["a/b"]', " Perhaps a-b?"),
        ],
    )
    def test_what_no_registry_has_either(self, name: str, path: str, hint: str):
        assert mistakes(LOCAL, {name: CHURN}) == [f"{path} is a map of 1 key: {self.RULE}.{hint}"]

    def test_a_long_one(self):
        (mistake,) = mistakes(LOCAL, {"a" * 41: CHURN})
        assert f"Perhaps {'a' * 40}?" in mistake

    def test_what_says_its_registered_model_already_is_not_told_to(self):
        (mistake,) = mistakes(LOCAL, {"Churn": {**CHURN, "registeredModel": "churn_model"}})
        assert mistake.endswith("Perhaps churn?")

    def test_it_is_text(self):
        assert mistakes(LOCAL, {3: CHURN, None: CHURN}) == [
            "models[3] is a map of 1 key: a key must be text, this one is 3.",
            "models[null] is a map of 1 key: a key must be text, this one is null.",
        ]

    def test_models_are_a_map_by_name(self):
        assert mistakes(LOCAL, [CHURN]) == [
            "models is a list of 1 item: must be a map such as {churn: {stable: {version: 3}}}."
        ]


class TestAModel:
    KEYS = (
        "authentication, autoscaling, batching, canary, metrics, owner, rateLimit, registeredModel,"
        " resources, riskClass, runtime, stable, timeout"
    )

    @pytest.mark.parametrize(
        ("value", "shown"), [(None, "null"), ([], "a list of 0 items"), (3, "3"), ("x", '"x"')]
    )
    def test_is_a_map(self, value: object, shown: str):
        assert mistakes(LOCAL, {"churn": value}) == [
            f"models.churn is {shown}: must be a map such as {{stable: {{version: 3}}}}."
        ]

    def test_stable_is_required(self):
        assert mistakes(LOCAL, {"churn": {}}) == [
            "models.churn.stable: required, a map such as {version: 3}."
        ]

    @pytest.mark.parametrize("key", ["analysis", "drift"])
    def test_keys_of_later_versions(self, key: str):
        assert model_mistakes(**{key: {"a": 1}}) == [
            f"models.churn.{key} is a map of 1 key: not supported by this version; accepted: {self.KEYS}."
        ]

    @pytest.mark.parametrize("key", ["risk_class", "risk-class", "riskclass", "RiskClass", "riskClas"])
    def test_an_unknown_key(self, key: str):
        assert model_mistakes(**{key: "high"}) == [
            f'models.churn.{key} is "high": unknown key; accepted: {self.KEYS}. Did you mean riskClass?'
        ]

    def test_several_wrong_keys(self):
        assert model_mistakes(analysis=1, drift=1, colour=1, size=1) == [
            f"models.churn.{key} is 1: {message}; accepted: {self.KEYS}."
            for key, message in (
                ("analysis", "not supported by this version"),
                ("colour", "unknown key"),
                ("drift", "not supported by this version"),
                ("size", "unknown key"),
            )
        ]

    def test_an_unknown_key_that_is_near_to_none(self):
        assert model_mistakes(zzz=1) == [f"models.churn.zzz is 1: unknown key; accepted: {self.KEYS}."]

    def test_a_key_that_is_there_already_is_not_suggested(self):
        assert model_mistakes(ownr="a", owner="b") == [
            f'models.churn.ownr is "a": unknown key; accepted: {self.KEYS}.'
        ]

    def test_a_misspelt_stable_is_one_mistake(self):
        assert mistakes(LOCAL, {"churn": {"stabel": {"version": 3}}}) == [
            f"models.churn.stabel is a map of 1 key: unknown key; accepted: {self.KEYS}. Did you mean stable?"
        ]

    @pytest.mark.parametrize("runtime", ["batch", "edge"])
    def test_runtimes_of_later_versions(self, runtime: str):
        assert model_mistakes(runtime=runtime) == [
            f'models.churn.runtime is "{runtime}": not supported by this version; accepted: local.'
        ]

    @pytest.mark.parametrize("runtime", ["kubernetes", "lambda", "sagemaker", "cloud-run", "azure-ml"])
    def test_a_runtime_that_the_platform_does_not_offer(self, runtime: str):
        assert model_mistakes(runtime=runtime) == [
            f'models.churn.runtime is "{runtime}": not on a platform of kind local; accepted: local.'
        ]

    def test_an_unknown_runtime(self):
        assert model_mistakes(runtime="Local") == [
            'models.churn.runtime is "Local": must be one of: local. Did you mean local?'
        ]

    @pytest.mark.parametrize(
        ("owner", "shown"),
        [
            ("", '""'),
            ("  ", '"  "'),
            ("a\nb", '"a\\nb"'),
            ("x" * 101, '"' + "x" * 59 + '…"'),
            (3, "3"),
            (None, "null"),
            ({"secure": "AAA"}, "an encrypted value"),
        ],
    )
    def test_the_owner(self, owner: object, shown: str):
        assert model_mistakes(owner=owner) == [
            f"models.churn.owner is {shown}: must be one line of text, 1 to 100 characters."
        ]

    def test_the_risk_class(self):
        rule = "must be one of: minimal, limited, high."
        assert model_mistakes(riskClass="hihg") == [
            f'models.churn.riskClass is "hihg": {rule} Did you mean high?'
        ]
        assert model_mistakes(riskClass="unacceptable") == [
            f'models.churn.riskClass is "unacceptable": {rule}'
        ]
        assert model_mistakes(riskClass=None) == [f"models.churn.riskClass is null: {rule}"]

    def test_metrics(self) -> None:
        assert model(metrics={"cost_per_claim": "lower", "auc": "higher"}).metrics == {
            "cost_per_claim": "lower",
            "auc": "higher",
        }
        assert model_mistakes(metrics={"cost_per_claim": "less"}) == [
            'models.churn.metrics.cost_per_claim is "less": must be one of: higher, lower.'
        ]
        assert model_mistakes(metrics={"val_auc": "lower"}) == [
            'models.churn.metrics.val_auc is "lower": higher is better, as the name tells.'
            " Log it by another name."
        ]


class TestAVersion:
    RULE = "must be a whole number from 1 to 2147483647."

    @pytest.mark.parametrize(
        ("version", "shown"),
        [
            (0, "0"),
            (-1, "-1"),
            (2**31, "2147483648"),
            (1.5, "1.5"),
            (0.5, "0.5"),
            (True, "true"),
            (None, "null"),
            (float("nan"), "nan"),
            (float("inf"), "inf"),
            (10**400, "a very large number"),
            ({}, "a map of 0 keys"),
            ("latest", '"latest"'),
            ("-3", '"-3"'),
        ],
    )
    def test_is_a_positive_whole_number(self, version: object, shown: str):
        assert model_mistakes(stable={"version": version}) == [
            f"models.churn.stable.version is {shown}: {self.RULE}"
        ]

    def test_is_not_text(self):
        assert model_mistakes(stable={"version": " 03 "}) == [
            f'models.churn.stable.version is " 03 ": {self.RULE} Write it without quotes: 3.'
        ]

    def test_is_required(self):
        missing = "required, the model version in the registry, such as 3."
        assert model_mistakes(stable={}) == [f"models.churn.stable.version: {missing}"]
        assert model_mistakes(canary={"weight": 1}) == [f"models.churn.canary.version: {missing}"]

    def test_stands_in_a_map(self):
        assert model_mistakes(stable=3) == ["models.churn.stable is 3: must be a map such as {version: 3}."]

    def test_a_misspelt_one_is_one_mistake(self):
        assert model_mistakes(stable={"verison": 3}) == [
            "models.churn.stable.verison is 3: unknown key; accepted: version. Did you mean version?"
        ]

    def test_the_prompt_of_a_later_version(self):
        assert model_mistakes(stable={"version": 3, "prompt": 1}) == [
            "models.churn.stable.prompt is 1: not supported by this version; accepted: version."
        ]
        assert model_mistakes(canary={"version": 4, "weight": 3, "prompt": 1}) == [
            "models.churn.canary.prompt is 1: not supported by this version; accepted:"
            " shadow, version, weight."
        ]


class TestACanary:
    WEIGHT = "must be a whole number from 0 to 100."

    @pytest.mark.parametrize(
        ("weight", "shown", "hint"),
        [
            (-1, "-1", ""),
            (101, "101", ""),
            (10.5, "10.5", ""),
            (0.1, "0.1", " It is a percentage, not a fraction."),
            (1.5, "1.5", ""),
            (True, "true", ""),
            (False, "false", ""),
            (None, "null", ""),
            ([10], "a list of 1 item", ""),
            ("10%", '"10%"', " Write it without %: 10."),
            (" 10 % ", '" 10 % "', " Write it without %: 10."),
            ("10", '"10"', " Write it without quotes: 10."),
            ("ten", '"ten"', ""),
            ("10x", '"10x"', ""),
        ],
    )
    def test_a_weight_that_is_none(self, weight: object, shown: str, hint: str):
        assert model_mistakes(canary={"version": 4, "weight": weight}) == [
            f"models.churn.canary.weight is {shown}: {self.WEIGHT}{hint}"
        ]

    @pytest.mark.parametrize("shadow", [{}, {"shadow": False}])
    def test_without_weight_and_shadow(self, shadow: dict[str, bool]):
        assert model_mistakes(canary={"version": 4} | shadow) == [
            "models.churn.canary.weight:"
            " required, the percentage of requests, 0 to 100, or else shadow: true."
        ]

    @pytest.mark.parametrize("weight", [0, 10])
    def test_a_shadow_with_a_weight(self, weight: int):
        assert model_mistakes(canary={"version": 4, "weight": weight, "shadow": True}) == [
            "models.churn.canary.shadow is true: a shadow answers nobody, so it has no weight."
            " Remove shadow or weight."
        ]

    @pytest.mark.parametrize(
        ("shadow", "shown"), [("yes", '"yes"'), (1, "1"), (None, "null"), ("true", '"true"')]
    )
    def test_a_shadow_that_is_neither_true_nor_false(self, shadow: object, shown: str):
        assert model_mistakes(canary={"version": 4, "shadow": shadow}) == [
            f"models.churn.canary.shadow is {shown}: must be true or false."
        ]

    def test_the_same_version_as_stable(self):
        assert model_mistakes(canary={"version": 3, "weight": 10}) == [
            "models.churn.canary.version is 3: must be another version than stable.version, 3."
            " To give it all the traffic, remove the canary."
        ]

    @pytest.mark.parametrize("key", ["wieght", "Weight", "wait"])
    def test_a_misspelt_weight_is_one_mistake(self, key: str):
        assert model_mistakes(canary={"version": 4, key: 10}) == [
            f"models.churn.canary.{key} is 10: unknown key; accepted: shadow, version, weight."
            " Did you mean weight?"
        ]

    def test_a_misspelt_shadow_is_one_mistake(self):
        assert model_mistakes(canary={"version": 4, "shadwo": True}) == [
            "models.churn.canary.shadwo is true: unknown key; accepted: shadow, version, weight."
            " Did you mean shadow?"
        ]

    @pytest.mark.parametrize("value", [None, [], 4])
    def test_is_a_map(self, value: object):
        (found,) = model_mistakes(canary=value)
        assert found.endswith(": must be a map such as {version: 4, weight: 10}.")


class TestAutoscaling:
    RULE = "must be a whole number from 1 to 16."

    @pytest.mark.parametrize("least", [0, 17])
    def test_the_bounds(self, least: int):
        assert model_mistakes(autoscaling={"min": least}) == [
            f"models.churn.autoscaling.min is {least}: {self.RULE}"
        ]
        assert model_mistakes(autoscaling={"max": least}) == [
            f"models.churn.autoscaling.max is {least}: {self.RULE}"
        ]

    @pytest.mark.parametrize("given", [{"min": 2, "max": 4}, {"min": 2, "max": 1}])
    def test_nothing_scales_on_the_runtime_local(self, given: dict[str, int]):
        assert model_mistakes(autoscaling=given) == [
            f"models.churn.autoscaling.max is {given['max']}: must equal min, 2, or be left out:"
            " nothing scales on the runtime local."
        ]

    def test_a_maximum_alone_is_measured_by_the_default_minimum(self):
        assert model_mistakes(autoscaling={"max": 2}) == [
            "models.churn.autoscaling.max is 2: must equal min, 1, or be left out:"
            " nothing scales on the runtime local."
        ]

    def test_a_wrong_minimum_is_one_mistake(self):
        assert model_mistakes(autoscaling={"min": 0, "max": 2}) == [
            f"models.churn.autoscaling.min is 0: {self.RULE}"
        ]
        assert model_mistakes(autoscaling={"mim": 2, "max": 2}) == [
            "models.churn.autoscaling.mim is 2: unknown key; accepted: gpuUtilization, max, min,"
            " requestsPerSecond. Did you mean min?"
        ]

    def test_requests_per_second_scale_nothing_on_the_runtime_local(self):
        assert model_mistakes(autoscaling={"min": 1, "requestsPerSecond": 50}) == [
            "models.churn.autoscaling.requestsPerSecond is 50:"
            " not on the runtime local: nothing scales on the runtime local."
        ]

    def test_is_a_map(self):
        assert model_mistakes(autoscaling=2) == [
            "models.churn.autoscaling is 2: must be a map such as {min: 2}."
        ]


class TestAScalingRuntime:
    def model(self, **keys: Any) -> Model:
        (found,) = parse(CLUSTER, {"churn": CHURN | keys}).models
        return found

    def mistakes(self, **keys: Any) -> list[str]:
        return mistakes(CLUSTER, {"churn": CHURN | keys})

    def test_the_defaults(self):
        found = self.model()
        assert found.runtime == "kubernetes"
        assert found.autoscaling == Autoscaling(min=1, max=1, requests_per_second=None)
        assert found.resources == Resources(cpu=1.0, memory="2Gi", gpu=0)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"min": 2, "max": 20, "requestsPerSecond": 50}, (2, 20, 50)),
            ({"min": 3}, (3, 3, None)),
            ({"max": 4}, (1, 4, None)),
            ({"min": 1000}, (1000, 1000, None)),
            ({"requestsPerSecond": 100000}, (1, 1, 100000)),
        ],
    )
    def test_autoscaling(self, given: dict[str, int], expected: tuple[int, int, int | None]):
        found = self.model(autoscaling=given).autoscaling
        assert (found.min, found.max, found.requests_per_second) == expected

    def test_a_maximum_below_the_minimum(self):
        assert self.mistakes(autoscaling={"min": 3, "max": 2}) == [
            "models.churn.autoscaling.max is 2: must be min, 3, or more."
        ]

    def test_without_keda_no_runtime_of_pods_scales_to_zero(self):
        assert self.mistakes(autoscaling={"min": 0}) == [
            "models.churn.autoscaling.min is 0: 0 needs KEDA, which scales nothing on this platform."
            " Set platform.keda to install, or to existing where the cluster has it."
        ]
        (found,) = parse(
            CLUSTER | {"keda": "existing"}, {"churn": CHURN | {"autoscaling": {"min": 0}}}
        ).models
        assert found.autoscaling == Autoscaling(min=0, max=1)
        assert mistakes({"stack": "a/b/c"}, {"churn": CHURN | {"autoscaling": {"min": 0}}}) != []
        borrowed = {"stack": "a/b/c", "keda": "existing"}
        assert parse(borrowed, {"churn": CHURN | {"autoscaling": {"min": 0}}}).models == (found,)

    def test_with_keda_the_default_is_still_one_server(self):
        (found,) = parse(CLUSTER | {"keda": "install"}, {"churn": CHURN}).models
        assert found.autoscaling == Autoscaling(min=1, max=1)

    def test_a_shadow_wakes_nobody(self):
        block = CHURN | {"autoscaling": {"min": 0}, "canary": {"version": 4, "shadow": True}}
        assert mistakes(CLUSTER | {"keda": "install"}, {"churn": block}) == [
            "models.churn.canary.shadow is true: not with autoscaling.min 0: the copy of a request wakes"
            " nobody. Set autoscaling.min to 1, or give the canary a weight."
        ]

    def test_gpu_load_needs_a_gpu_keda_and_a_prometheus(self):
        def found(platform: dict[str, Any], gpu: int = 1) -> list[str]:
            block = CHURN | {"resources": {"gpu": gpu}, "autoscaling": {"gpuUtilization": 60}}
            return mistakes(CLUSTER | {"gpu": "existing", "imageUsesGpu": True} | platform, {"churn": block})

        at = "models.churn.autoscaling.gpuUtilization is 60: "
        assert found({}) == [
            at + "needs KEDA, which scales nothing on this platform."
            " Set platform.keda to install, or to existing where the cluster has it."
        ]
        assert found({"keda": "install"}, gpu=0) == [
            at + "only for a model with a GPU. Set resources.gpu, or leave it out."
        ]
        assert found({"keda": "install", "monitoring": "existing"}) == [
            at + "needs a Prometheus that KEDA can ask."
            " Set platform.prometheus, or platform.monitoring to install."
        ]
        platform = CLUSTER | {"gpu": "existing", "imageUsesGpu": True, "keda": "install"}
        block = CHURN | {"resources": {"gpu": 1}, "autoscaling": {"gpuUtilization": 60}}
        assert parse(platform, {"churn": block}).models[0].autoscaling.gpu_utilization == 60
        elsewhere = {
            "keda": "install",
            "monitoring": "none",
            "prometheus": "http://prometheus.watch.svc:9090",
        }
        assert parse(platform | elsewhere, {"churn": block})

    @pytest.mark.parametrize("value", [0, 101, 0.5, "60", True])
    def test_gpu_load_is_a_percentage(self, value: object):
        block = CHURN | {"resources": {"gpu": 1}, "autoscaling": {"gpuUtilization": value}}
        (found,) = mistakes(
            CLUSTER | {"gpu": "existing", "imageUsesGpu": True, "keda": "install"}, {"churn": block}
        )
        assert "must be a whole number from 1 to 100." in found

    def test_requests_are_counted_by_somebody(self):
        platform = CLUSTER | {"keda": "install", "monitoring": "none"}
        block = CHURN | {"autoscaling": {"min": 1, "requestsPerSecond": 5}}
        (found,) = mistakes(platform, {"churn": block})
        assert found.startswith("models.churn.autoscaling.requestsPerSecond is 5: needs a Prometheus")
        # The interceptor counts those of a release that may sleep.
        assert parse(platform, {"churn": CHURN | {"autoscaling": {"min": 0, "requestsPerSecond": 5}}})

    @pytest.mark.parametrize(
        ("keys", "problem"),
        [
            ({"keda": "install"}, "belongs to monitoring that is there"),
            ({"monitoring": "none"}, "only KEDA asks it"),
            (
                {"monitoring": "none", "keda": "install", "prometheus": "prometheus:9090"},
                "must be where pods",
            ),
            (
                {"monitoring": "none", "keda": "install", "prometheus": "http://u:p@host"},
                "must be where pods",
            ),
        ],
    )
    def test_a_prometheus_that_nobody_asks(self, keys: dict[str, Any], problem: str):
        (found,) = mistakes(CLUSTER | {"prometheus": "http://prometheus.watch.svc:9090"} | keys, {})
        assert found.startswith("platform.prometheus is ") and problem in found

    @pytest.mark.parametrize("cpu", [0.1, 0.25, 1, 2.125, 256])
    def test_cores(self, cpu: float):
        assert self.model(resources={"cpu": cpu}).resources == Resources(cpu=cpu)

    @pytest.mark.parametrize("cpu", [0.05, 0, -1, 257, 0.1234, True, "1", None, float("nan"), 10**400])
    def test_cores_that_are_none(self, cpu: object):
        (found,) = self.mistakes(resources={"cpu": cpu})
        assert found.startswith("models.churn.resources.cpu is ")
        assert "must be a number from 0.1 to 256, in steps of 0.001." in found

    @pytest.mark.parametrize(("memory", "mebibytes"), [("512Mi", 512), ("2Gi", 2048), ("1Mi", 1)])
    def test_memory(self, memory: str, mebibytes: int):
        found = self.model(resources={"memory": memory}).resources
        assert (found.memory, found.mebibytes) == (memory, mebibytes)

    @pytest.mark.parametrize("memory", ["2G", "2GB", "0Gi", "1.5Gi", "Gi", 2, None, "2 Gi", "02Gi"])
    def test_memory_that_is_none(self, memory: object):
        (found,) = self.mistakes(resources={"memory": memory})
        assert found.endswith(": must be a whole number of Mi or Gi, such as 512Mi or 2Gi.")

    def test_a_gpu_needs_nodes_that_have_one(self):
        assert self.mistakes(resources={"gpu": 1}) == [
            "models.churn.resources.gpu is 1: this platform of kind kubernetes has no GPU nodes."
            " Add them to the platform, or leave gpu out."
        ]
        (found,) = parse(
            CLUSTER | {"gpu": "existing", "imageUsesGpu": True}, {"churn": CHURN | {"resources": {"gpu": 1}}}
        ).models
        assert found.resources.gpu == 1

    def test_a_gpu_needs_an_image_that_uses_it(self):
        """What is built here has onnxruntime for CPUs, which ignores a GPU without a word."""
        blocks = {"churn": CHURN | {"resources": {"gpu": 1}}}
        assert mistakes(CLUSTER | {"gpu": "existing"}, blocks) == [
            "models.churn.resources.gpu is 1: the model server's image has onnxruntime for CPUs: the GPU"
            " would be paid for, and not used. Leave gpu out; or name an image of your own with"
            " onnxruntime-gpu as platform.image, and set platform.imageUsesGpu to true."
        ]
        built = {"image": {"build": {"base": IMAGE, "repository": "registry.example.com/serving"}}}
        assert mistakes(CLUSTER | {"imageUsesGpu": True} | built, {}) == [
            "platform.imageUsesGpu is true: not for an image that is built here: it has onnxruntime for CPUs."
            " Name an image of your own with onnxruntime-gpu, by its digest, as platform.image."
        ]

    def test_resources_limit_nothing_on_the_runtime_local(self):
        assert model_mistakes(resources={"cpu": 1}) == [
            "models.churn.resources is a map of 1 key:"
            " not on the runtime local: processes on this machine are not limited."
        ]

    def test_nothing_is_judged_by_a_runtime_that_is_wrong(self):
        assert self.mistakes(runtime="moon", resources={"gpu": 1}, autoscaling={"min": 0}) == [
            'models.churn.runtime is "moon": must be one of: kubernetes.'
        ]


class TestACluster:
    def mistakes(self, **keys: object) -> list[str]:
        return mistakes({**CLUSTER, **keys}, {})

    def platform(self, **keys: object) -> KubernetesPlatform:
        found = parse({**CLUSTER, **keys}, {}).platform
        assert isinstance(found, KubernetesPlatform)
        return found

    def test_the_defaults(self):
        assert self.platform() == KubernetesPlatform(
            context="prod",
            gpu="none",
            metrics_server="existing",
            cluster=Cluster(
                image=IMAGE,
                registry="https://mlflow.example.com",
                url="http://models.example.com",
                namespace="models",
                gateway=Gateway(),
                tracking=None,
                monitoring="install",
                protect_data=False,
            ),
        )

    def test_every_key(self):
        found = self.platform(
            namespace="serving",
            gateway={"name": "public", "namespace": "gateways"},
            tracking={"image": IMAGE, "storage": "50Gi"},
            monitoring="existing",
            protectData=True,
            gpu="install",
            metricsServer="install",
        )
        assert found.cluster.namespace == "serving"
        assert found.cluster.gateway == Gateway(name="public", namespace="gateways")
        assert found.cluster.tracking == Tracking(image=IMAGE, storage="50Gi")
        assert found.cluster.monitoring == "existing"
        assert found.cluster.protect_data is True
        assert (found.gpu, found.gpus, found.metrics_server) == ("install", True, "install")

    @pytest.mark.parametrize("key", ["context", "image", "registry", "url"])
    def test_what_is_required(self, key: str):
        given = {name: value for name, value in CLUSTER.items() if name != key}
        (found,) = mistakes(given, {})
        assert found.startswith(f"platform.{key}: required, ")

    @pytest.mark.parametrize(
        "image",
        ["serving", "serving:1.0", "serving@sha256:abc", IMAGE.upper(), f"{IMAGE}0", 3, "x y@" + IMAGE],
    )
    def test_an_image_is_pinned(self, image: object):
        rule = ": must be an image pinned by its digest, such as registry.example.com/serving@sha256:<64 hex>"
        (found,) = self.mistakes(image=image)
        assert found.startswith("platform.image is ")
        assert found.endswith(f"{rule}, or {{build: {{base: …}}}}.")
        (found,) = self.mistakes(tracking={"image": image})
        assert found.startswith("platform.tracking.image is ")
        assert found.endswith(f"{rule}, or {{build: {{base: …}}}}.")

    def test_an_image_may_have_a_port_and_a_tag_beside_its_digest(self):
        image = "registry.example.com:5000/team/serving:1.2@sha256:" + "0" * 64
        assert self.platform(image=image).cluster.image == image

    def test_an_image_may_be_built_and_pushed(self):
        build = {"base": IMAGE, "repository": "registry.example.com/serving"}
        found = self.platform(image={"build": build}).cluster.image
        assert found == ImageBuild(base=IMAGE, repository="registry.example.com/serving")
        assert (found.adapter, found.platforms, found.source, found.labels) == (
            *(None, ("linux/amd64",), "", {}),
        )

    def test_mlflows_image_may_be_built_too(self):
        build = {"base": IMAGE, "repository": "registry.example.com/mlflow", "labels": {"team": "ml"}}
        tracking = self.platform(tracking={"image": {"build": build}}).cluster.tracking
        assert tracking and tracking.image == Build(
            base=IMAGE, repository="registry.example.com/mlflow", labels={"team": "ml"}
        )
        found = self.mistakes(tracking={"image": {"build": {**build, "adapter": IMAGE}}})
        assert [text.partition(": ")[2] for text in found] == [
            "unknown key; accepted: base, labels, platforms, repository, source."
        ]

    def test_flavors_have_one_order_and_all_of_them_are_none_in_particular(self):
        build = {"base": IMAGE, "repository": "registry.example.com/serving"}
        both = self.platform(image={"build": {**build, "flavors": ["sklearn", "onnx"]}}).cluster
        assert both == self.platform(image={"build": build}).cluster and both.image_flavors is None
        one = self.platform(image={"build": {**build, "flavors": ["onnx"]}}).cluster
        assert one.image_flavors == self.platform(imageFlavors=["onnx"]).cluster.image_flavors == ("onnx",)

    @pytest.mark.parametrize("flavors", [[], ["lightgbm"], "onnx", ["onnx", "onnx"]])
    def test_what_flavors_are(self, flavors: object):
        build = {"base": IMAGE, "repository": "registry.example.com/serving", "flavors": flavors}
        (found,) = self.mistakes(image={"build": build})
        assert found.endswith(": must be a list of different flavours: onnx, sklearn.")

    def test_a_build_says_its_own_flavors(self):
        build = {"base": IMAGE, "repository": "registry.example.com/serving"}
        (found,) = self.mistakes(image={"build": build}, imageFlavors=["onnx"])
        assert "platform.image.build.flavors" in found

    def test_every_key_of_a_build(self):
        build = {
            "base": IMAGE,
            "adapter": IMAGE.replace("serving", "adapter"),
            "platforms": ["linux/arm64", "linux/amd64"],
            "source": "https://example.com/code",
            "labels": {"com.example.team": "ml"},
            "repository": "registry.example.com:5000/team/serving",
            "flavors": ["onnx"],
            "sagemaker": True,
        }
        assert self.platform(image={"build": build}).cluster.image == ImageBuild(
            base=IMAGE,
            adapter=IMAGE.replace("serving", "adapter"),
            platforms=("linux/arm64", "linux/amd64"),
            source="https://example.com/code",
            labels={"com.example.team": "ml"},
            repository="registry.example.com:5000/team/serving",
            flavors=("onnx",),
            sagemaker=True,
        )

    @pytest.mark.parametrize(
        ("image", "mistake"),
        [
            ({}, "platform.image.build: required, a map such as {base: …@sha256:<64 hex>}."),
            (
                {"build": "python"},
                'platform.image.build is "python": must be a map such as {base: …@sha256:<64 hex>}.',
            ),
            (
                {"build": {"repository": "r.example.com/s"}},
                "platform.image.build.base: required, a slim Python image by its digest, such as"
                " python:3.12-slim@sha256:<64 hex>.",
            ),
            (
                {"build": {"base": IMAGE}},
                "platform.image.build.repository: required, where the image is pushed, such as"
                " registry.example.com/serving.",
            ),
            (
                {"build": {"base": "python:3.12-slim", "repository": "r.example.com/s"}},
                'platform.image.build.base is "python:3.12-slim": must be an image pinned by its digest, such'
                " as registry.example.com/serving@sha256:<64 hex>.",
            ),
            (
                {"build": {"base": IMAGE, "adapter": "adapter:1", "repository": "r.example.com/s"}},
                'platform.image.build.adapter is "adapter:1": must be an image pinned by its digest, such as'
                " registry.example.com/serving@sha256:<64 hex>.",
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s:1.0"}},
                'platform.image.build.repository is "r.example.com/s:1.0": must be a repository without a'
                " tag, such as registry.example.com/serving.",
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s", "platforms": ["linux/386"]}},
                "platform.image.build.platforms is a list of 1 item: must be a list of different platforms,"
                " linux/amd64 and linux/arm64.",
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s", "source": "here"}},
                'platform.image.build.source is "here": must be the address of the source.',
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s", "labels": {"Team": "ml"}}},
                'platform.image.build.labels.Team is "ml": a label\'s name has lower-case letters, digits and'
                " - . _ /.",
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s", "labels": {"team": 3}}},
                "platform.image.build.labels.team is 3: must be one line of text, 1 to 500 characters.",
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s", "labels": {3: "x", "a": "b"}}},
                'platform.image.build.labels[3] is "x": a key must be text, this one is 3.',
            ),
            (
                {"build": {"base": IMAGE, "repository": "r.example.com/s", "bas": 1}},
                "platform.image.build.bas is 1: unknown key; accepted: adapter, base, flavors, labels,"
                " platforms, repository, sagemaker, source.",
            ),
            (
                {"tag": "1.0", "build": {"base": IMAGE, "repository": "r.example.com/s"}},
                'platform.image.tag is "1.0": unknown key; accepted: build.',
            ),
        ],
    )
    def test_a_mistake_in_a_build_is_told_with_its_path(self, image: object, mistake: str):
        assert self.mistakes(image=image) == [mistake]

    def test_a_password_does_not_stand_in_the_registry(self):
        (found,) = self.mistakes(registry="https://ann:secret@mlflow.example.com")
        assert "without user and password" in found

    @pytest.mark.parametrize("url", ["models.example.com", "https://a/b", "https://a:8443", "ftp://a", 1])
    def test_a_url_is_a_scheme_and_a_host(self, url: object):
        (found,) = self.mistakes(url=url)
        assert found.endswith(": must be http:// or https:// and a host name, nothing after it.")

    def test_https_needs_a_certificate(self):
        (found,) = self.mistakes(url="https://models.example.com")
        assert found.startswith("platform.gateway: required for an https url")
        assert self.mistakes(url="https://models.example.com", gateway={}) == [
            "platform.gateway.tlsSecret: required, the name of the TLS Secret for an https url."
        ]
        found = self.platform(url="https://models.example.com", gateway={"tlsSecret": "models-tls"})
        assert found.cluster.gateway == Gateway(tls_secret="models-tls")

    def test_a_gateway_that_is_there_is_named_in_full(self):
        assert self.mistakes(gateway={"name": "public"}) == [
            "platform.gateway.namespace: required, the namespace of the Gateway of that name."
        ]
        assert self.mistakes(gateway={"namespace": "gateways"}) == [
            "platform.gateway.name: required, the name of the Gateway in that namespace."
        ]

    def test_a_gateway_that_is_there_has_its_own_certificate(self):
        (found,) = self.mistakes(gateway={"name": "a", "namespace": "b", "tlsSecret": "c"})
        assert found == (
            'platform.gateway.tlsSecret is "c":'
            " belongs to a Gateway that is installed; one that is there has its own."
        )

    @pytest.mark.parametrize("namespace", ["Models", "a_b", "-a", "a" * 64, ""])
    def test_a_namespace_is_a_label(self, namespace: str):
        (found,) = self.mistakes(namespace=namespace)
        assert found.endswith(": must be a name of lower-case letters, digits and hyphens, at most 63.")

    def test_sources_of_add_ons(self):
        assert self.mistakes(monitoring="yes", gpu=1, metricsServer="none") == [
            "platform.gpu is 1: must be one of: install, existing, none.",
            'platform.metricsServer is "none": must be one of: install, existing.',
            'platform.monitoring is "yes": must be one of: install, existing, none.',
        ]

    def test_a_misspelt_key_is_one_mistake(self):
        given = {name: value for name, value in CLUSTER.items() if name != "context"}
        (found,) = mistakes({**given, "contxt": "prod"}, {})
        assert found.startswith('platform.contxt is "prod": unknown key; accepted: alerts, context, ')
        assert found.endswith(" Did you mean context?")


class TestTheError:
    def test_lists_every_mistake_by_path(self):
        with pytest.raises(ConfigError) as caught:
            parse({"kind": "gpc"}, {"b": {"stable": {"version": 0}, "colour": "red"}, "a": None})
        assert str(caught.value) == (
            "the configuration has 4 mistakes:\n"
            "  models.a is null: must be a map such as {stable: {version: 3}}.\n"
            '  models.b.colour is "red": unknown key; accepted: '
            "authentication, autoscaling, batching, canary, metrics, owner, rateLimit, registeredModel,"
            " resources, riskClass, runtime, stable, timeout.\n"
            "  models.b.stable.version is 0: must be a whole number from 1 to 2147483647.\n"
            f'  platform.kind is "gpc": must be one of: {KINDS}. Did you mean gcp?'
        )

    def test_two_are_mistakes(self):
        with pytest.raises(ConfigError, match=r"^the configuration has 2 mistakes:\n"):
            parse(None, None)

    def test_one_mistake_is_not_mistakes(self):
        with pytest.raises(ConfigError, match=r"^the configuration has 1 mistake:\n  platform\.kind"):
            parse({}, {})

    def test_a_problem_has_its_parts(self):
        with pytest.raises(ConfigError) as caught:
            parse(LOCAL, {"churn": CHURN | {"canary": {"version": 4, "wieght": 10}}})
        (problem,) = caught.value.problems
        assert problem.path == "models.churn.canary.wieght"
        assert problem.value == 10
        assert problem.message == "unknown key; accepted: shadow, version, weight"
        assert problem.suggestion == "Did you mean weight?"
        assert problem.line is None

    def test_what_is_missing_has_no_value(self):
        with pytest.raises(ConfigError) as caught:
            parse({}, {})
        assert caught.value.problems[0].value is MISSING
        assert caught.value.problems[0].suggestion is None
