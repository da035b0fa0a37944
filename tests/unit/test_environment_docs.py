"""docs/configuration.md says what the code does: its keys, its defaults, and the errors that it shows."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.environment import (
    Autoscaling,
    Canary,
    ConfigError,
    LocalPlatform,
    Model,
    Ports,
    ReleaseRef,
    parse,
    read,
)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
TABLE = re.findall(r"^\| `((?:platform|models)[\w.]*)` \| (.*?) \| (.*?) ?\|$", PAGE, flags=re.MULTILINE)
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def keys(of: type[Any]) -> set[str]:
    """Return the keys of a class as they are written in YAML."""
    names = {field.name for field in dataclasses.fields(of)}
    return {re.sub("_(.)", lambda found: found[1].upper(), name) for name in names}


def documented(above: str) -> set[str]:
    return {key.removeprefix(f"{above}.") for key, _, _ in TABLE if re.fullmatch(rf"{above}\.\w+", key)}


@pytest.mark.parametrize(
    ("above", "of", "but"),
    [
        ("platform", LocalPlatform, set[str]()),
        ("platform.ports", Ports, set[str]()),
        ("models.NAME", Model, {"name"}),
        ("models.NAME.stable", ReleaseRef, set[str]()),
        ("models.NAME.canary", Canary, set[str]()),
        ("models.NAME.autoscaling", Autoscaling, set[str]()),
    ],
)
def test_every_key_is_documented_and_no_other(above: str, of: type[Any], but: set[str]):
    assert documented(above) == keys(of) - but


@pytest.mark.parametrize("key", [key for key, _, absent in TABLE if absent == "required"])
def test_what_is_required_is(key: str):
    written: dict[str, Any] = {
        "platform": {"kind": "local"},
        "models": {"NAME": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 1}}},
    }
    *above, last = key.split(".")
    place = written
    for name in above:
        place = place[name]
    del place[last]
    with pytest.raises(ConfigError) as caught:
        parse(written.get("platform"), written.get("models"))
    assert any(problem.path == key and "required" in problem.message for problem in caught.value.problems)


def test_the_defaults_of_ports():
    absent = {key: int(value) for key, _, value in TABLE if key.startswith("platform.ports.")}
    assert {f"platform.ports.{name}": port for name, port in dataclasses.asdict(Ports()).items()} == absent


def test_ranges_are_those_that_are_checked():
    ranges = {key: re.match(r"(\d+) to (\d+)", accepted) for key, accepted, _ in TABLE}
    for key, found in ranges.items():
        if found is None:
            continue
        *above, last = key.removeprefix("models.NAME.").split(".")
        for value in (int(found[1]) - 1, int(found[2]) + 1):
            written: dict[str, Any] = {last: value}
            for name in reversed(above):
                written = {name: written}
            platform: Any = {"kind": "local"} | written.get("platform", {})
            with pytest.raises(ConfigError) as caught:
                parse(platform, {} if key.startswith("platform") else {"a": written})
            message = f"must be a whole number from {found[1]} to {found[2]}"
            assert message in [problem.message for problem in caught.value.problems]


def test_the_first_example_is_valid():
    config = yaml.safe_load(BLOCKS[0])["config"]
    environment = parse(config["model-delivery:platform"], config["model-delivery:models"])
    assert [model.name for model in environment.models] == ["tumour"]


def test_the_errors_shown_are_the_errors_given(tmp_path: Path):
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    file = tmp_path / "Pulumi.local.yaml"
    file.write_text(BLOCKS[1])
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value) + "\n" == shown
