"""A Pulumi.<stack>.yaml on disk: read the way Pulumi reads it, mistakes with their lines."""

import math
from pathlib import Path

import pytest

from components.environment import ConfigError, Environment, ReleaseRef, parse_json, read, stack_file

PLATFORM = "  model-delivery:platform: {kind: local}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.local.yaml"


def mistakes(file: Path, text: str | bytes) -> list[str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read(file)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith("Pulumi.local.yaml has ")
    return [line.removeprefix("  ") for line in lines]


def environment(file: Path, text: str) -> Environment:
    file.write_text(text)
    return read(file)


def test_a_file(file: Path):
    found = environment(
        file,
        "encryptionsalt: v1:abc\n"
        "config:\n"
        "  aws:region: eu-central-1\n"
        f"{PLATFORM}"
        "  model-delivery:models:\n"
        "    churn:\n"
        "      stable: {version: 3}\n",
    )
    assert [model.stable for model in found.models] == [ReleaseRef(version=3)]


def test_the_namespace_may_be_left_out(file: Path):
    assert environment(file, "config:\n  platform: {kind: local}\n  models: {}\n").models == ()


def test_a_key_with_and_without_its_namespace(file: Path):
    """Pulumi takes one of the two at random."""
    text = f"config:\n{PLATFORM}  model-delivery:models: {{}}\n  platform: {{kind: aws}}\n"
    assert mistakes(file, text) == [
        "Pulumi.local.yaml:4: the key platform stands twice: with and without model-delivery:,"
        " or with model-delivery:; keep one."
    ]


def test_a_project_of_another_name(file: Path):
    """`pulumi new` asks for a name, and leaves the keys of the shipped files as they are."""
    file.with_name("Pulumi.yaml").write_text("name: mine\nruntime: python\n")
    for namespace in ("", "mine:", "model-delivery:"):
        file.write_text(f"config:\n  {namespace}platform: {{kind: local}}\n  model-delivery:models: {{}}\n")
        assert read(file).models == ()
    file.write_text("config:\n  mine:platform: {kind: local}\n  model-delivery:platform: {}\n")
    with pytest.raises(ConfigError, match=r"the key platform stands twice: .*model-delivery:, or with mine:"):
        read(file)


def test_keys_of_a_former_name_of_the_project_are_told(file: Path):
    file.with_name("Pulumi.yaml").write_text("name: mine\nruntime: python\n")
    said = [
        "platform: required, a map such as {kind: local}. former:platform is a key of the project former, and"
        " this one is mine: write model-delivery:platform."
    ]
    file.write_text("config:\n  former:platform: {kind: local}\n  models: {}\n")
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert [str(problem) for problem in caught.value.problems] == said
    with pytest.raises(ConfigError) as caught:
        parse_json({"former:platform": '{"kind": "local"}', "mine:models": "{}"}, "mine")
    assert [str(problem) for problem in caught.value.problems] == said


def test_a_program_of_another_project_takes_the_same_keys():
    local = '{"kind": "local"}'
    for namespace in ("mine:", "model-delivery:"):
        config = {f"{namespace}platform": local, f"{namespace}models": "{}", "aws:region": "eu-central-1"}
        assert parse_json(config, "mine").models == ()
    with pytest.raises(ConfigError, match=r"platform: stands twice: .*model-delivery:, or with mine:"):
        parse_json({"mine:platform": local, "model-delivery:platform": local}, "mine")


def test_json_texts_as_config_set_stores_them_without_path(file: Path):
    found = environment(file, f"config:\n{PLATFORM}  model-delivery:models: '{{}}'\n")
    assert found.models == ()


def test_anchors_and_merges(file: Path):
    found = environment(
        file,
        f"config:\n{PLATFORM}"
        "  model-delivery:models:\n"
        "    a: &a\n      stable: {version: 3}\n      owner: me\n"
        "    b:\n      <<: *a\n      owner: you\n",
    )
    assert [(model.owner, model.stable.version) for model in found.models] == [("me", 3), ("you", 3)]


def test_a_configuration_that_comes_through_a_merge(file: Path):
    assert mistakes(file, "x: &x {config: {platform: {kind: local}, models: 3}}\n<<: *x\n") == [
        "line 1, models is 3: must be a map such as {churn: {stable: {version: 3}}}."
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((text, None) for text in ("~", "null", "Null", "NULL", "")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        ("0", 0),
        ("10", 10),
        ("+10", 10),
        ("-10", -10),
        ("1_000", 1000),
        ("0x1f", 31),
        ("0X1F", "0X1F"),
        ("0xAf", 175),
        ("0b101", 5),
        ("010", 8),
        ("0o10", 8),
        ("08", 8.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("1.5e-1", 0.15),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        *((text, text) for text in ("on", "off", "yes", "No", "y", "n", "N", "tRUE", "nULL", "Nil")),
        *(
            (text, text)
            for text in ("1:30", "2024-01-01", "10%", "1e", "x1", "<", "<<x", "true dat", "1.2.3")
        ),
        ("'10'", "10"),
        ('"true"', "true"),
    ],
)
def test_scalars_mean_what_they_mean_to_pulumi(file: Path, written: str, value: object):
    file.write_text(f"config: {{x: {written}}}\n")
    found = stack_file.load(file, "model-delivery").config["x"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number(file: Path):
    file.write_text("config: {x: [.nan, .NaN, .NAN]}\n")
    found = stack_file.load(file, "model-delivery").config["x"]
    assert isinstance(found, list)
    assert all(isinstance(value, float) and math.isnan(value) for value in found)


def test_each_mistake_has_its_line(file: Path):
    assert mistakes(
        file,
        "config:\n"
        "  model-delivery:platform:\n"
        "    kind: local\n"
        "    ports:\n"
        "      gateway: 80\n"
        "  model-delivery:models:\n"
        "    churn:\n"
        "      canary:\n"
        "        version: 4\n"
        "        wieght: 10\n"
        "      stable: {}\n"
        "    a.b: 3\n"
        "  colour: red\n",
    ) == [
        'line 13, colour is "red": unknown key; accepted: platform, models.',
        "line 10, models.churn.canary.wieght is 10: unknown key; accepted: shadow, version, weight."
        " Did you mean weight?",
        "line 11, models.churn.stable.version: required, the model version in the registry, such as 3.",
        'line 12, models["a.b"] is 3: a model\'s name has lower-case letters, digits and hyphens, begins with'
        " a letter, doesn't end in a hyphen, and has at most 40 characters. Perhaps a-b? If the registry"
        ' has its versions as "a.b", write a-b: {registeredModel: "a.b", …}.',
        'line 12, models["a.b"] is 3: must be a map such as {stable: {version: 3}}.',
        "line 5, platform.ports.gateway is 80: must be a whole number from 1024 to 65535.",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "config:\n", "encryptionsalt: a\n", "config: {}\n"])
def test_a_file_that_says_nothing(file: Path, text: str):
    assert mistakes(file, text) == [
        "models: required, a map of models by name, {} for none.",
        "platform: required, a map such as {kind: local}.",
    ]


def test_a_key_without_a_value_is_absent(file: Path):
    required = "line 3, models: required, a map of models by name, {} for none."
    assert mistakes(file, f"config:\n{PLATFORM}  model-delivery:models:\n") == [required]


def test_a_misspelt_top_key(file: Path):
    assert mistakes(file, f"config:\n{PLATFORM}  model-delivery:modles: {{}}\n") == [
        "line 3, modles is a map of 0 keys: unknown key; accepted: platform, models. Did you mean models?"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config: {a: [}\n", "Pulumi.local.yaml:1: broken YAML: expected the node content, but found '}'."),
        (
            "config:\n  a:\n    x: 1\n    y: 2\n    x: 3\n",
            "Pulumi.local.yaml:5: broken YAML: the key x stands twice in one map, first in line 3.",
        ),
        (
            "config:\n  3: 1\n  '3': 2\n",
            "Pulumi.local.yaml:3: broken YAML: the key 3 stands twice in one map, first in line 2.",
        ),
        (
            "config:\n\ta: 1\n",
            "Pulumi.local.yaml:2: broken YAML: found character '\\t' that cannot start any token.",
        ),
        ("a: 1\n---\nb: 2\n", "Pulumi.local.yaml:2: broken YAML: but found another document."),
        (
            "a: &a {x: 1}\nconfig:\n  <<: *a\n  y: 1\n  y: 2\n",
            "Pulumi.local.yaml:5: broken YAML: the key y stands twice in one map, first in line 4.",
        ),
        ("config: {? [a] : b}\n", "Pulumi.local.yaml:1: broken YAML: found unhashable key."),
        (
            "config: !!python/object:os.system {}\n",
            "Pulumi.local.yaml:1: broken YAML: could not determine a constructor for the tag"
            " 'tag:yaml.org,2002:python/object:os.system'.",
        ),
        ("config: &a {b: *a}\n", "Pulumi.local.yaml:1: broken YAML: found unconstructable recursive node."),
        ("config\n", "Pulumi.local.yaml:1: must be a map with the key config."),
        ("- config\n", "Pulumi.local.yaml:1: must be a map with the key config."),
        ("a: 1\nconfig: [a]\n", "Pulumi.local.yaml:2: config must be a map."),
    ],
)
def test_a_file_that_is_no_configuration(file: Path, text: str, expected: str):
    assert mistakes(file, text) == [expected]


def test_bytes_that_are_no_text(file: Path):
    (found,) = mistakes(file, b"config: \xff\n")
    assert found.startswith("Pulumi.local.yaml: can't be read: 'utf-8' codec can't decode byte 0xff")
    (found,) = mistakes(file, b"config: \x00\n")
    assert found.startswith("Pulumi.local.yaml: broken YAML: unacceptable character #x0000")


def test_deep_nesting(file: Path):
    (found,) = mistakes(file, "config: " + "[" * 5000)
    assert found.startswith("Pulumi.local.yaml: broken YAML: maximum recursion depth exceeded")


def test_no_such_file(file: Path):
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value) == (
        f"Pulumi.local.yaml has 1 mistake:\n  Pulumi.local.yaml: there is no such file in {file.parent}."
    )


def test_a_folder(tmp_path: Path):
    with pytest.raises(ConfigError, match=r": can't be read: .*Is a directory"):
        read(tmp_path)


class TestTextsFromPulumi:
    def test_absent_or_empty(self):
        with pytest.raises(ConfigError) as caught:
            parse_json({"mine:models": ""}, "mine")
        assert [problem.message for problem in caught.value.problems] == [
            "required, a map of models by name, {} for none",
            "required, a map such as {kind: local}",
        ]

    @pytest.mark.parametrize("text", ["local", "{", "[" * 100_000])
    def test_no_json(self, text: str):
        with pytest.raises(ConfigError) as caught:
            parse_json({"mine:platform": text, "mine:models": "{}"}, "mine")
        (problem,) = caught.value.problems
        assert (problem.path, problem.message) == ("platform", "must be a map such as {kind: local}")
        assert problem.value == text

    def test_further_keys(self):
        with pytest.raises(ConfigError) as caught:
            parse_json(
                {"mine:platform": '{"kind": "local"}', "mine:models": "{}", "mine:sizes": "[1]"}, "mine"
            )
        assert [str(problem) for problem in caught.value.problems] == [
            "sizes is a list of 1 item: unknown key; accepted: platform, models."
        ]
