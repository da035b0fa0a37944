"""The rules of a configuration, each by an example, with the exact message that its breach gives."""

import datetime
from typing import Any

import pytest

from components.environment import (
    MISSING,
    Autoscaling,
    Canary,
    ConfigError,
    Environment,
    LocalPlatform,
    Model,
    Ports,
    ReleaseRef,
    parse,
)

LOCAL = {"kind": "local"}
CHURN = {"stable": {"version": 3}}


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
        assert mistakes({}, {}) == ["platform.kind: required, one of: local."]

    @pytest.mark.parametrize("kind", ["kubernetes", "aws", "gcp", "azure"])
    def test_kinds_of_later_versions_whose_keys_cannot_be_judged_yet(self, kind: str):
        found = mistakes({"kind": kind, "region": "eu-central-1", "nodes": 3}, {})
        assert found == [f'platform.kind is "{kind}": not supported by this version; accepted: local.']

    def test_an_unknown_kind(self):
        assert mistakes({"kind": "locla"}, {}) == [
            'platform.kind is "locla": must be one of: local. Did you mean local?'
        ]
        assert mistakes({"kind": 3}, {}) == ["platform.kind is 3: must be one of: local."]
        assert mistakes({"kind": ["aws"]}, {}) == [
            "platform.kind is a list of 1 item: must be one of: local."
        ]

    def test_a_borrowed_platform(self):
        assert mistakes({"stack": "org/model-delivery/prod"}, {}) == [
            'platform.stack is "org/model-delivery/prod":'
            " not supported by this version; accepted: kind, ports."
        ]

    def test_keys_of_other_kinds(self):
        assert mistakes(LOCAL | {"region": "x"}, {}) == [
            'platform.region is "x": not supported by this version; accepted: kind, ports.'
        ]
        assert mistakes(LOCAL | {"port": 3}, {}) == [
            "platform.port is 3: unknown key; accepted: kind, ports. Did you mean ports?"
        ]

    def test_a_misspelt_kind_is_one_mistake(self):
        assert mistakes({"Kind": "local"}, {}) == [
            'platform.Kind is "local": unknown key; accepted: kind, ports. Did you mean kind?'
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


class TestTheNameOfAModel:
    RULE = (
        "a model's name has lower-case letters, digits and hyphens, begins with a letter,"
        " doesn't end in a hyphen, and has at most 40 characters"
    )

    @pytest.mark.parametrize(
        ("name", "path", "hint"),
        [
            ("Churn", "models.Churn", " Perhaps churn?"),
            ("churn_eu", "models.churn_eu", " Perhaps churn-eu?"),
            ("churn.eu", 'models["churn.eu"]', " Perhaps churn-eu?"),
            ("churn-", "models.churn-", " Perhaps churn?"),
            ("-churn", "models.-churn", " Perhaps churn?"),
            ("a" * 41, "models." + "a" * 41, f" Perhaps {'a' * 40}?"),
            ("3", "models.3", ""),
            ("", 'models[""]', ""),
            ("a b", 'models["a b"]', " Perhaps a-b?"),
            ("churn\n", 'models["churn\\n"]', " Perhaps churn?"),
            ("café", "models.café", " Perhaps caf?"),
        ],
    )
    def test_what_is_no_dns_label(self, name: str, path: str, hint: str):
        assert mistakes(LOCAL, {name: CHURN}) == [f"{path} is a map of 1 key: {self.RULE}.{hint}"]

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
    KEYS = "autoscaling, canary, owner, riskClass, runtime, stable"

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

    @pytest.mark.parametrize("key", ["resources", "analysis", "drift"])
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

    @pytest.mark.parametrize(
        "runtime", ["kubernetes", "lambda", "sagemaker", "cloud-run", "vertex", "azure-ml", "batch", "edge"]
    )
    def test_runtimes_of_later_versions(self, runtime: str):
        assert model_mistakes(runtime=runtime) == [
            f'models.churn.runtime is "{runtime}": not supported by this version; accepted: local.'
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
            "models.churn.autoscaling.mim is 2: unknown key; accepted: max, min. Did you mean min?"
        ]

    def test_requests_per_second_belong_to_a_later_version(self):
        assert model_mistakes(autoscaling={"min": 1, "requestsPerSecond": 50}) == [
            "models.churn.autoscaling.requestsPerSecond is 50:"
            " not supported by this version; accepted: max, min."
        ]

    def test_is_a_map(self):
        assert model_mistakes(autoscaling=2) == [
            "models.churn.autoscaling is 2: must be a map such as {min: 2}."
        ]


class TestTheError:
    def test_lists_every_mistake_by_path(self):
        with pytest.raises(ConfigError) as caught:
            parse({"kind": "aws"}, {"b": {"stable": {"version": 0}, "colour": "red"}, "a": None})
        assert str(caught.value) == (
            "the configuration has 4 mistakes:\n"
            "  models.a is null: must be a map such as {stable: {version: 3}}.\n"
            '  models.b.colour is "red": unknown key; accepted: '
            "autoscaling, canary, owner, riskClass, runtime, stable.\n"
            "  models.b.stable.version is 0: must be a whole number from 1 to 2147483647.\n"
            '  platform.kind is "aws": not supported by this version; accepted: local.'
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
