"""What the wrapper reads from a command line, and what it does for the stack `local` alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tools import pulumiw
from tools.errors import ToolError
from tools.local import LocalStack, project_name
from tools.paths import ROOT
from tools.pulumiw import Call
from tools.toolchain import Tool


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("", Call("", "", None, None)),
        ("up", Call("up", "", None, None)),
        ("up --yes -s prod", Call("up", "", "prod", None)),
        ("-s prod up", Call("up", "", "prod", None)),
        ("up -sprod", Call("up", "", "prod", None)),
        (
            "--stack=org/model-delivery/prod preview --diff",
            Call("preview", "", "org/model-delivery/prod", None),
        ),
        ("stack select prod", Call("stack", "select", "prod", None)),
        ("stack output -s local url", Call("stack", "output", "local", None)),
        ("stack output url", Call("stack", "output", None, None)),
        ("--color never config set --path a.b 3", Call("config", "set", None, None)),
        ("-C examples/x up", Call("up", "", None, "examples/x")),
        ("--cwd=examples/x up", Call("up", "", None, "examples/x")),
        ("env run x -- -s prod", Call("env", "run", None, None)),
    ],
)
def test_a_command_line_is_read(line: str, call: Call) -> None:
    assert pulumiw.read(line.split()) == call


@pytest.mark.parametrize(
    ("line", "env", "selected", "local"),
    [
        ("up", {}, None, True),
        ("up -s local", {}, None, True),
        ("up -s local", {}, "prod", True),
        ("up -s org/model-delivery/local", {}, None, True),
        ("up -s prod", {}, None, False),
        ("up", {}, "prod", False),
        ("up", {"PULUMI_STACK": "prod"}, None, False),
        ("up", {"PULUMI_STACK": "local"}, "prod", True),
        ("up", {"PULUMI_BACKEND_URL": "s3://states"}, None, False),
        ("up -s local", {"PULUMI_BACKEND_URL": "s3://states"}, None, False),
        ("stack select prod", {}, None, False),
        ("stack init dev", {}, None, False),
        ("stack ls", {}, None, True),
        ("login", {}, None, False),
        ("version", {}, None, False),
        ("--version", {}, None, False),
        ("up -C /somewhere/else", {}, None, False),
        (f"up -C {ROOT}", {}, None, True),
    ],
)
def test_only_what_is_meant_for_local_uses_its_state(
    line: str, env: dict[str, str], selected: str | None, local: bool
) -> None:
    words = [
        word.replace("\0", " ") for word in line.replace(str(ROOT), str(ROOT).replace(" ", "\0")).split()
    ]
    assert pulumiw.is_local(pulumiw.read(words), env, selected) is local


def test_another_stack_keeps_the_users_login_and_passphrase() -> None:
    tool = Tool("pulumi", (3, 300, 0), Path("/opt/pulumi"), own=False)
    user = {
        "PATH": "/usr/bin",
        "PULUMI_ACCESS_TOKEN": "t",
        "PULUMI_CONFIG_PASSPHRASE": "p",
        "PULUMI_HOME": "/h",
    }
    env = pulumiw.child_environment(tool, user)
    assert {name: env[name] for name in user if name != "PATH"} == {
        n: v for n, v in user.items() if n != "PATH"
    }
    assert {name for name in env if name not in user} == {"VIRTUAL_ENV", "PULUMI_SKIP_UPDATE_CHECK", "GOGC"}
    assert pulumiw.child_environment(tool, {**user, "GOGC": "50"})["GOGC"] == "50"
    path = env["PATH"].split(":")
    assert path[:2] == [str(ROOT / ".venv/bin"), "/opt/pulumi"]
    assert not any("language_host" in entry for entry in path)


@pytest.mark.parametrize("command", ["preview", "pre", "up", "update", "watch"])
@pytest.mark.parametrize("stack", ["", " -s prod", " --stack acme/model-delivery/local"])
def test_the_policy_pack_judges_every_preview_and_update(command: str, stack: str) -> None:
    line = f"{command}{stack} --yes".split()
    assert pulumiw.pack_arguments(pulumiw.read(line), line, {}) == ["--policy-pack", "policy"]


@pytest.mark.parametrize(
    "line",
    [
        "up --policy-pack policy",
        "up --policy-pack=policy",
        "up --policy-pack ./policy/",
        f"up --policy-pack {ROOT}/policy",
        "up --policy-pack theirs,policy",
        "up --policy-pack theirs --policy-pack policy",
        "up --no-policy-pack",
        # These take no pack.
        "destroy",
        "refresh",
        "stack output",
        "-C /somewhere/else up",
    ],
)
def test_the_pack_is_not_given_twice_nor_where_it_can_not_be(line: str) -> None:
    words = line.split()
    assert pulumiw.pack_arguments(pulumiw.read(words), words, {}) == []


@pytest.mark.parametrize("line", ["up --policy-pack theirs", "up -- --no-policy-pack", f"-C {ROOT} up"])
def test_nothing_else_leaves_the_pack_out(line: str) -> None:
    words = line.split()
    assert pulumiw.pack_arguments(pulumiw.read(words), words, {}) == ["--policy-pack", "policy"]


def test_a_pack_that_the_official_variable_names_is_not_given_twice() -> None:
    given = {"PULUMI_OPTION_POLICY_PACK": "theirs,policy"}
    assert pulumiw.pack_arguments(pulumiw.read(["up"]), ["up"], given) == []


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("up", ["--suppress-progress", "--suppress-outputs"]),
        ("update -s prod --yes", ["--suppress-progress", "--suppress-outputs"]),
        ("up -- --json", ["--suppress-progress", "--suppress-outputs"]),
        # Without its own preview it says them once.
        ("up --yes --skip-preview", ["--suppress-progress"]),
        ("up -yf", ["--suppress-progress"]),
        ("preview", ["--suppress-progress"]),
        ("refresh", ["--suppress-progress"]),
        ("destroy -s local", ["--suppress-progress"]),
        ("up --suppress-outputs=false", ["--suppress-progress"]),
        ("up --suppress-progress --suppress-outputs", []),
        # For programs; and commands that don't take them.
        ("preview --json", []),
        ("up -j", []),
        ("watch", []),
        ("stack output", []),
        ("-C /somewhere/else up", []),
    ],
)
def test_what_an_update_says_twice_or_while_it_waits_is_left_out(line: str, flags: list[str]) -> None:
    words = line.split()
    assert pulumiw.quiet_arguments(pulumiw.read(words), words, {}) == flags


@pytest.mark.parametrize("value", ["true", "false"])
def test_what_the_official_variables_say_stays(value: str) -> None:
    env = {"PULUMI_OPTION_SUPPRESS_OUTPUTS": value}
    assert pulumiw.quiet_arguments(pulumiw.read(["up"]), ["up"], env) == ["--suppress-progress"]


def _stack(
    tmp_path: Path, latest: dict[str, object] | None = None, config: str | None = "config: {a: 1}\n"
) -> LocalStack:
    (tmp_path / "Pulumi.yaml").write_text("name: tiny\n")
    stack = LocalStack(tmp_path)
    stack.checkpoint.parent.mkdir(parents=True)
    if latest is not None:
        stack.checkpoint.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    if config is not None:
        stack.config.write_text(config)
    return stack


SALTED: dict[str, object] = {"secrets_providers": {"type": "passphrase", "state": {"salt": "v1:abc="}}}


def test_a_reading_command_gets_a_copy_with_the_salt_and_the_file_stays(tmp_path: Path) -> None:
    stack = _stack(tmp_path, SALTED, "# mine\nconfig: {a: 1}")
    flag, copy = stack.config_arguments("up", ["up"])
    assert flag == "--config-file"
    assert Path(copy).read_text() == "# mine\nconfig: {a: 1}\nencryptionsalt: v1:abc=\n"
    assert stack.config.read_text() == "# mine\nconfig: {a: 1}"


@pytest.mark.parametrize(
    ("command", "arguments", "config"),
    [
        ("config", ["config", "set", "a", "2"], "config: {}\n"),
        ("up", ["up", "--config-file", "other.yaml"], "config: {}\n"),
        ("up", ["up", "--config-file=other.yaml"], "config: {}\n"),
        ("up", ["up"], "config: {}\nencryptionsalt: v1:mine=\n"),
    ],
)
def test_a_file_that_is_written_named_or_salted_is_used_itself(
    tmp_path: Path, command: str, arguments: list[str], config: str
) -> None:
    assert _stack(tmp_path, SALTED, config).config_arguments(command, arguments) == []


def test_a_missing_configuration_is_not_made_up(tmp_path: Path) -> None:
    stack = _stack(tmp_path, SALTED, None)
    _, copy = stack.config_arguments("preview", ["preview"])
    assert Path(copy).read_text().strip() == "encryptionsalt: v1:abc="
    assert not stack.config.exists()


def test_only_interrupted_creations_are_forgotten(tmp_path: Path) -> None:
    def operation(kind: str, name: str) -> dict[str, object]:
        return {"type": kind, "resource": {"urn": f"urn:pulumi:local::tiny::t:i:T::{name}"}}

    latest: dict[str, object] = {
        "resources": [{"urn": "u"}],
        "pending_operations": [
            operation("creating", "a"),
            operation("deleting", "b"),
            operation("creating", "c"),
        ],
    }
    stack = _stack(tmp_path, latest)
    assert stack.forget_interrupted_creates() == ["a", "c"]
    kept = json.loads(stack.checkpoint.read_text())["checkpoint"]["latest"]
    assert kept == {"resources": [{"urn": "u"}], "pending_operations": [operation("deleting", "b")]}
    before = stack.checkpoint.stat().st_mtime_ns
    assert stack.forget_interrupted_creates() == []
    assert stack.checkpoint.stat().st_mtime_ns == before


def test_the_passphrase_is_random_private_and_not_replaced(tmp_path: Path) -> None:
    stack = _stack(tmp_path, {})
    with pytest.raises(
        ToolError, match=r"passphrase is missing, and the state in .* can't be read without it"
    ):
        stack.prepare(Path("/bin/false"), {})
    stack.checkpoint.unlink()
    with pytest.raises(ToolError, match="The stack local can't be created"):
        stack.prepare(Path("/bin/false"), {})
    first = stack.passphrase.read_text()
    assert len(first) >= 32
    assert stat.S_IMODE(stack.passphrase.stat().st_mode) == 0o600
    with pytest.raises(ToolError):
        stack.prepare(Path("/bin/false"), {})
    assert stack.passphrase.read_text() == first


def test_a_state_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: tiny\n")
    (tmp_path / ".delivery").write_text("a file")
    with pytest.raises(ToolError, match=r"Preparing the stack local in .*\.delivery"):
        LocalStack(tmp_path).prepare(Path("/bin/false"), {})


def test_a_folder_with_a_space_is_a_valid_address(tmp_path: Path) -> None:
    url = LocalStack(tmp_path / "a b%20").environment()["PULUMI_BACKEND_URL"]
    assert url.partition("?")[0].endswith("/a%20b%2520/.delivery/state")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("preview --diff", set[str]()),
        ("preview --debug", {"MODEL_DELIVERY_DEBUG"}),
        ("up -d --skip-preview", {"MODEL_DELIVERY_DEBUG"}),
        ("up", {"MODEL_DELIVERY_ADVICE"}),
        ("up -- -d", {"MODEL_DELIVERY_ADVICE"}),
    ],
)
def test_the_program_is_told_how_it_is_run(line: str, told: set[str]) -> None:
    words = line.split()
    assert pulumiw.told(pulumiw.read(words), words, {}).keys() == told


@pytest.mark.parametrize(("kind", "fetches"), [("local", False), ("'local'", False), ("kubernetes", True)])
def test_this_machine_needs_no_plugins_of_clouds(tmp_path: Path, kind: str, fetches: bool) -> None:
    stack = _stack(tmp_path, config=f"config:\n  tiny:platform:\n    kind: {kind}\n")
    assert ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in stack.environment()) is fetches


@pytest.mark.parametrize(
    "text", ["name: tiny\n", "# c\nname: 'tiny' # d\nruntime: python\n", 'name: "tiny"\n']
)
def test_the_project_name_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    assert project_name(tmp_path) == "tiny"


def test_a_project_without_a_name_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"Pulumi\.yaml is missing"):
        project_name(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("runtime: python\n")
    with pytest.raises(ToolError, match="has no line `name"):
        project_name(tmp_path)
