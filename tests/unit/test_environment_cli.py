"""What the real Pulumi CLI makes of a file, and what we make of it: the same."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.environment import ConfigError, Environment, parse_json, read
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

Pulumi = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "Pulumi.yaml").write_text("name: model-delivery\nruntime: python\n")
    return folder


@pytest.fixture(scope="module")
def pulumi(project: Path) -> Pulumi:
    """Run the CLI in a project with one stack; returns what it prints."""
    from tools import toolchain

    executable = toolchain.pulumi().executable
    (project / "state").mkdir()
    environment = os.environ | {
        "PULUMI_BACKEND_URL": f"file://{project}/state",
        "PULUMI_CONFIG_PASSPHRASE": "for tests",
        "PULUMI_HOME": str(project / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def run(*words: str) -> str:
        command = [executable, *words, "--non-interactive"]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=3 * PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("stack", "init", "local")
    return run


def outcome(action: Callable[[], Environment]) -> object:
    try:
        return action()
    except ConfigError as error:
        return [(problem.path, problem.message, problem.suggestion) for problem in error.problems]


def by_the_program(pulumi: Pulumi) -> object:
    """Understand what a program would be handed."""
    config = json.loads(pulumi("config", "--json", "--stack", "local"))
    texts = {key: entry.get("value") for key, entry in config.items()}
    return outcome(lambda: parse_json(texts, "model-delivery"))


FILES = {
    "one of each": """
  model-delivery:platform: {kind: local, ports: {gateway: 8081}}
  model-delivery:models:
    churn:
      runtime: local
      stable: {version: 3}
      canary: {version: 4, weight: 10.0}
      autoscaling: {min: 0x2, max: 2}
      owner: risk-team
      riskClass: high
""",
    "without the namespace": """
  platform: {kind: local}
  models: {}
""",
    "a JSON text": """
  platform: '{"kind": "local"}'
  models: '{"churn": {"stable": {"version": 3}}}'
""",
    "words that are booleans in older YAML": """
  platform: {kind: local}
  models:
    on: {stable: {version: 3}, owner: yes}
    n: {stable: {version: 3}, canary: {version: 4, shadow: on}}
    y: {stable: {version: 3}, canary: {version: 4, shadow: TRUE}}
""",
    "numbers of every kind": """
  platform: {kind: local, ports: {gateway: 1_0000, tracking: 0x1400, prometheus: 9.09e3}}
  models:
    a: {stable: {version: 010}, canary: {version: 0o11, weight: 1e1}}
    b: {stable: {version: 1:30}, canary: {version: .5, weight: 0b11}}
    c: {stable: {version: "3"}, canary: {version: 3., weight: 10%}}
    d: {stable: {version: +3}, canary: {version: -3, weight: 1e-1}}
""",
    "keys that aren't text": """
  platform: {kind: local, 3: 4, true: 1}
  models: {3: {stable: {version: 3}}}
""",
    "nulls": """
  platform: {kind: ~, ports: null}
  models: {a: , b: {stable: {version: 3}, owner: Null, canary: }}
""",
    "keys without a value": """
  platform:
  models:
""",
    "further keys": """
  model-delivery:platform: {kind: local}
  model-delivery:modles: {a: 1}
  model-delivery:size: 3
  aws:region: eu-central-1
""",
    "anchors and merges": """
  platform: {kind: local}
  models:
    a: &a
      stable: &three {version: 3}
      owner: me
    b:
      <<: *a
      owner: you
    c: {stable: *three}
""",
    "wrong in every way": """
  platform: [local]
  models:
    Churn: {}
    b: [1]
    c: {stable: 3, canary: {version: 3, wieght: 10}, resources: {cpu: 1}}
""",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_means_the_same_to_both(name: str, pulumi: Pulumi, project: Path):
    file = project / "Pulumi.local.yaml"
    salt = next(line for line in file.read_text().splitlines() if line.startswith("encryptionsalt"))
    file.write_text(f"{salt}\nconfig:{FILES[name]}")
    assert outcome(lambda: read(file)) == by_the_program(pulumi)


def test_a_weight_that_config_set_wrote(pulumi: Pulumi, project: Path):
    file = project / "Pulumi.local.yaml"
    salt = next(line for line in file.read_text().splitlines() if line.startswith("encryptionsalt"))
    file.write_text(f"{salt}\nconfig:{FILES['one of each']}")
    pulumi("config", "set", "--stack", "local", "--path", "models.churn.canary.weight", "50")
    canary = read(file).models[0].canary
    assert canary is not None
    assert canary.weight == 50
    assert by_the_program(pulumi) == read(file)


def test_the_path_of_a_mistake_is_one_that_config_takes(pulumi: Pulumi, project: Path):
    file = project / "Pulumi.local.yaml"
    salt = next(line for line in file.read_text().splitlines() if line.startswith("encryptionsalt"))
    file.write_text(
        f"{salt}\nconfig:\n  platform: {{kind: local}}\n"
        "  models: {a: {stable: {version: 3, colour: red}}, a.b: {stable: {version: 3}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read(file)
    for problem in caught.value.problems:
        pulumi("config", "rm", "--stack", "local", "--path", problem.path)
    assert [model.name for model in read(file).models] == ["a"]
