"""The wrapper and the language host on the real engine."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import alive, family
from tests.tools import programs
from tests.tools.checkouts import PROJECT, Checkout
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.real

Make = Callable[..., Checkout]


def test_a_program_is_planned_and_applied_from_anywhere_and_the_configuration_stays(
    checkout: Make, tmp_path: Path
) -> None:
    config = "# mine\nconfig:\n  tiny:number: 21 # half\n"
    made = checkout(programs.DOUBLE, config=config)
    code, text = made.run("preview", cwd=Path("/"))
    assert code == 0, text
    assert "hello from the program" in text
    assert "warning" not in text

    code, text = made.run("up", "--yes", cwd=tmp_path)
    assert code == 0, text
    code, text = made.run("stack", "output", "--json")
    assert code == 0, text
    assert json.loads(text) == {"double": 42, "where": "organization/tiny/local"}

    assert (made.root / "Pulumi.local.yaml").read_text() == config
    assert made.checkpoint.exists()
    # Nothing beside the state's files that a killed Pulumi could leave half-written.
    assert {file.suffix for file in made.checkpoint.parent.iterdir()} <= {".json", ".bak"}
    assert stat.S_IMODE((made.root / ".delivery" / "passphrase").stat().st_mode) == 0o600
    # The user's own login and selection of a stack were not touched.
    assert not (made.home / "credentials.json").exists()
    assert not (made.home / "workspaces").exists()

    code, text = made.run("config", "set", "number", "4")
    assert code == 0, text
    assert (made.root / "Pulumi.local.yaml").read_text() == config.replace("21", '"4"')


def test_a_secret_is_masked_and_never_in_the_clear_on_disk(checkout: Make) -> None:
    made = checkout(programs.DOUBLE, config="config:\n  tiny:number: 1\n")
    assert made.run("config", "set", "--secret", "token", "open-sesame")[0] == 0
    code, text = made.run("up", "--yes", "--suppress-outputs=false")
    assert code == 0, text
    assert "[secret]" in text
    assert "open-sesame" not in text
    for file in [*made.root.glob("Pulumi*"), *(made.root / ".delivery/state").rglob("*.json")]:
        assert "open-sesame" not in file.read_text()
    assert "open-sesame" in made.run("stack", "output", "token", "--show-secrets")[1]


def test_a_program_that_knows_what_is_wrong_shows_its_message_alone(checkout: Make) -> None:
    code, text = checkout(programs.RUN_ERROR).run("up", "--yes")
    assert code != 0
    assert "error: models.churn.canary.weight is 120; 0 to 100 is accepted" in text
    assert "Traceback" not in text and "unhandled error" not in text and "non-zero exit code" not in text


def test_a_program_that_crashes_shows_its_own_part_of_the_traceback(checkout: Make) -> None:
    code, text = checkout(programs.CRASH).run("preview")
    assert code != 0
    assert "Traceback (most recent call last)" in text
    assert 'return release["wieght"]' in text
    assert "KeyError: 'wieght'" in text
    assert "runpy" not in text
    assert "language_host" not in text


def test_a_folder_without_a_program_is_one_message(checkout: Make) -> None:
    made = checkout(programs.DOUBLE)
    (made.root / "__main__.py").unlink()
    code, text = made.run("preview")
    assert code != 0
    assert "it has no __main__.py" in text
    assert "Traceback" not in text


def _creating(made: Checkout, gate: Path) -> tuple[subprocess.Popen[str], set[int]]:
    """An `up` in the middle of creating a resource, and the processes that it has started."""
    process = made.start("up", "--yes", "--skip-preview")
    try:
        # The provider itself says so: the state first notes the provider's own creation.
        eventually("the creation to begin", gate.with_name("begun").exists)
        eventually("the state to say so", lambda: "creating" in made.pending())
    except AssertionError:
        process.kill()
        raise
    return process, family({process.pid}) - {process.pid}


def _interrupted(process: subprocess.Popen[str], gate: Path) -> str:
    """Interrupts an `up`, lets the creation end once Pulumi has noticed, and returns all that it wrote."""
    process.send_signal(signal.SIGINT)
    said = _until_said(process, "received; cancelling")
    gate.touch()
    return said + process.communicate(timeout=PATIENCE)[0]


def _until_said(process: subprocess.Popen[str], words: str) -> str:
    """What a command writes up to the line with these words."""
    said = ""
    while words not in said:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def _gated(checkout: Make, tmp_path: Path) -> tuple[Checkout, Path]:
    gate = tmp_path / "gate"
    return checkout(programs.GATED, config=f"config:\n  tiny:gate: {gate}\n"), gate


def test_a_killed_up_leaves_no_process_and_the_next_one_goes_on(checkout: Make, tmp_path: Path) -> None:
    made, gate = _gated(checkout, tmp_path)
    process, started = _creating(made, gate)
    [lock] = made.locks()

    # While it runs, its lock holds: a second command waits for it and changes nothing.
    second = made.start("up", "--yes", "--skip-preview")
    said = _until_said(second, f"waiting for it (`kill -INT {process.pid}` ends it)")
    assert "removed the lock" not in said
    assert made.locks() == [lock]

    process.kill()
    process.communicate()
    eventually("everything that it started to end", lambda: not alive(started))

    gate.touch()
    text = said + second.communicate(timeout=3 * PATIENCE)[0]
    assert second.returncode == 0, text
    assert f"removed the lock of a Pulumi that was killed (process {process.pid}, {lock.name})" in text
    assert "slow was being created when Pulumi was killed; it is created again" in text
    assert made.locks() == []
    assert made.pending() == []
    assert "2 unchanged" in made.run("preview")[1]


def test_an_interrupted_up_finishes_what_it_is_doing_and_says_so(checkout: Make, tmp_path: Path) -> None:
    made, gate = _gated(checkout, tmp_path)
    process, started = _creating(made, gate)
    text = _interrupted(process, gate)
    assert process.returncode != 0
    assert "update canceled" in text
    assert "Traceback" not in text
    assert made.locks() == []
    assert made.pending() == []
    eventually("everything that it started to end", lambda: not alive(started))


def _with_thing(checkout: Make, size: int, gate: Path | None = None) -> Checkout:
    project = f"{PROJECT}plugins:\n  providers:\n    - {{name: thing, path: thing}}\n"
    made = checkout(
        programs.THING, project=project, config=f"config:\n  tiny:size: {size}\n  tiny:most: 10\n"
    )
    if gate is not None:
        made.write("Pulumi.local.yaml", f"config:\n  tiny:size: {size}\n  tiny:gate: {gate}\n")
    runtime = "runtime: {name: python, options: {toolchain: uv}}\n"
    made.write("thing/PulumiPlugin.yaml", runtime)
    made.write("thing/__main__.py", programs.THING_PLUGIN)
    made.write("pack/PulumiPolicy.yaml", f"{runtime}version: 0.0.1\n")
    made.write("pack/__main__.py", programs.SIZE_POLICY)
    return made


def test_a_provider_in_a_folder_and_a_policy_pack_run(checkout: Make) -> None:
    made = _with_thing(checkout, size=3)
    code, text = made.run("up", "--yes", "--skip-preview", "--policy-pack", "pack")
    assert code == 0, text
    assert "sizes@v0.0.1" in text
    assert "made-by-the-plugin" in made.checkpoint.read_text()


def test_a_mandatory_policy_stops_an_update_before_it_changes_anything(checkout: Make) -> None:
    made = _with_thing(checkout, size=11)
    code, text = made.run("up", "--yes", "--skip-preview", "--policy-pack", "pack")
    assert code != 0
    assert "[mandatory]  small" in text
    assert "too large for the stack local" in text
    assert "made-by-the-plugin" not in made.checkpoint.read_text()


def test_a_provider_finishes_what_it_is_doing_when_the_update_is_interrupted(
    checkout: Make, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    made = _with_thing(checkout, size=3, gate=gate)
    process, started = _creating(made, gate)
    text = _interrupted(process, gate)
    assert process.returncode != 0
    assert "update canceled" in text
    assert made.pending() == []
    assert "made-by-the-plugin" in made.checkpoint.read_text()
    eventually("everything that it started to end", lambda: not alive(started))


def test_a_killed_up_leaves_no_plugin(checkout: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = _with_thing(checkout, size=3, gate=gate)
    process, started = _creating(made, gate)
    process.kill()
    process.communicate()
    eventually("everything that it started to end", lambda: not alive(started))


def test_another_stack_is_none_of_the_wrappers_business(checkout: Make, tmp_path: Path) -> None:
    made = checkout(programs.DOUBLE, config="config:\n  tiny:number: 1\n")
    theirs = tmp_path / "their state"
    theirs.mkdir()
    made.env.update(
        PULUMI_BACKEND_URL=f"file://{theirs}".replace(" ", "%20"), PULUMI_CONFIG_PASSPHRASE="theirs"
    )
    assert made.run("stack", "init", "prod")[0] == 0
    made.write(
        "Pulumi.prod.yaml", (made.root / "Pulumi.prod.yaml").read_text() + "config:\n  tiny:number: 5\n"
    )
    code, text = made.run("up", "--yes", "-s", "prod")
    assert code == 0, text
    assert (theirs / ".pulumi/stacks/tiny/prod.json").exists()
    # Only that this stack is the selected one is noted.
    assert sorted(entry.name for entry in (made.root / ".delivery").iterdir()) == ["stack", "toolchain"]


def test_a_selected_stack_stays_selected_until_local_is(checkout: Make, tmp_path: Path) -> None:
    made = checkout(programs.DOUBLE, config="config:\n  tiny:number: 1\n")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    made.env.update(PULUMI_CONFIG_PASSPHRASE="theirs")
    assert made.run("login", f"file://{theirs}")[0] == 0
    assert made.run("stack", "init", "prod")[0] == 0
    code, text = made.run("stack", "--show-name")
    assert (code, text.strip()) == (0, "prod")
    assert made.run("stack", "select", "prood")[0] != 0
    assert made.run("stack", "--show-name")[1].strip() == "prod"
    assert not made.checkpoint.exists()

    code, text = made.run("stack", "select", "local")
    assert code == 0, text
    assert made.run("stack", "--show-name")[1].strip() == "local"
    assert made.checkpoint.exists()
    assert not (theirs / ".pulumi/stacks/tiny/local.json").exists()


def test_removing_the_stack_keeps_the_file_that_people_edit(checkout: Make) -> None:
    config = "config:\n  tiny:number: 1\n"
    made = checkout(programs.DOUBLE, config=config)
    assert made.run("up", "--yes", "--skip-preview")[0] == 0
    assert made.run("destroy", "--yes", "--skip-preview")[0] == 0
    code, text = made.run("stack", "rm", "local", "--yes")
    assert code == 0, text
    assert not made.checkpoint.exists()
    assert (made.root / "Pulumi.local.yaml").read_text() == config


def test_what_pulumi_knows_of_the_program(checkout: Make) -> None:
    made = checkout(programs.DOUBLE, config="config:\n  tiny:number: 1\n")
    code, text = made.run("about", "--json")
    assert code == 0, text
    about = json.loads(text[text.index("{") :])
    assert about["runtime"]["executable"].endswith("/.venv/bin/python")
    assert {"name": "pulumi", "version": "3.259.0"}.items() <= next(
        d for d in about["dependencies"] if d["name"] == "pulumi"
    ).items()


def test_a_broken_lock_file_of_the_environment_is_one_message(checkout: Make) -> None:
    made = checkout(programs.DOUBLE)
    (made.root / ".venv").unlink()
    made.write("uv.lock", "nonsense")
    code, text = made.run("preview")
    assert code == 1
    assert "`uv sync --locked` failed" in text
    assert "Traceback" not in text
