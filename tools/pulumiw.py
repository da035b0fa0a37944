"""Run Pulumi with this checkout's toolchain and environment; for the stack `local`, with its own state as
well.

    ./pulumiw ARGUMENTS OF pulumi

Pulumi replaces this process, so signals, exit codes and the terminal are its own. It works in the checkout,
wherever it was called from. With any stack but `local` it leaves login, state and passphrase to the user.

Previews and updates of every stack are judged by the policy pack in `policy/`: `--policy-pack policy` is
added unless the command line, or PULUMI_OPTION_POLICY_PACK, names that pack already. `--no-policy-pack`, a
flag of this wrapper, leaves it out, and a line on the standard error says so.

What an `up` prints twice, and what a command prints while it waits, is left out: `--suppress-outputs`
(`./pulumiw stack output` has them) and `--suppress-progress` are added. `--suppress-outputs=false` and
`--suppress-progress=false` bring them back.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Run as a file, so that the working directory isn't searched for modules.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tools import environment, errors, locks, toolchain
from tools.local import STACK, LocalStack
from tools.paths import BIN, DELIVERY, ROOT, VENV, make_folder
from tools.toolchain import Tool

NO_STACK = (
    "login",
    "logout",
    "whoami",
    "version",
    "help",
    "plugin",
    "completion",
    "gen-completion",
    "org",
    "new",
)
"""Commands that concern no stack: they run as the user's own Pulumi would."""

CHANGING = ("up", "update", "refresh", "destroy", "down", "dn", "import")
"""Commands that change a stack: one at a time."""

JUDGED = ("preview", "pre", "up", "update", "watch")
"""Commands that take `--policy-pack`."""

PACK = "policy"
"""The project's own policy pack, a folder of the checkout."""

DOTTED = ("preview", "pre", "up", "update", "refresh", "destroy", "down", "dn")
"""Commands that take `--suppress-progress`."""

NO_PACK = "--no-policy-pack"
"""The wrapper's own flag: Pulumi never sees it."""

VALUE_FLAGS = ("-s", "--stack", "-C", "--cwd", "--color", "--verbose", "-v", "--tracing", "--config-file")
"""Flags that may stand before the command and take their value from the next word."""


@dataclass(frozen=True)
class Call:
    """What a command line asks for, as far as the wrapper needs to know it."""

    command: str
    subcommand: str
    stack: str | None
    """The stack it names; None when it names none."""
    cwd: str | None


def read(arguments: Sequence[str]) -> Call:
    """Reads a command line of Pulumi: its command, and the stack and working directory that it names."""
    words: list[str] = []
    named: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if word.startswith("-"):
            if not word.startswith("--") and len(word) > 2 and word[:2] in ("-s", "-C"):
                flag, equals, value = word[:2], "=", word[2:].removeprefix("=")
            if flag in VALUE_FLAGS and not equals:
                value = next(rest, "")
            named[flag] = value
        else:
            words.append(word)
    command, subcommand, operand = [*words, "", "", ""][:3]
    stack = named.get("--stack", named.get("-s"))
    if stack is None and command == "stack" and subcommand in ("select", "init", "rm") and operand:
        stack = operand
    return Call(command, subcommand, stack, named.get("--cwd", named.get("-C")))


def is_local(call: Call, env: dict[str, str], selected: str | None) -> bool:
    """Whether a command is for the stack `local` of this checkout.

    It is when it names that stack; and when it names none and nobody has chosen another: by PULUMI_STACK, by
    PULUMI_BACKEND_URL, or by `./pulumiw stack select`.
    """
    if call.command in NO_STACK or not call.command:
        return False
    if call.cwd is not None and Path(call.cwd).resolve() != ROOT:
        return False
    stack = call.stack or env.get("PULUMI_STACK") or selected
    if stack is not None:
        return stack.rsplit("/", 1)[-1] == STACK and "PULUMI_BACKEND_URL" not in env
    return "PULUMI_BACKEND_URL" not in env


def pack_arguments(call: Call, arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The flag that has the project's own pack judge a command; empty where it takes none, or names it.

    Another pack that is named judges beside it: only ``--no-policy-pack`` leaves ours out.
    """
    elsewhere = call.cwd is not None and Path(call.cwd).resolve() != ROOT
    if call.command not in JUDGED or elsewhere:
        return []
    words = _before_dashes(arguments)
    if NO_PACK in words:
        return []
    named = env.get("PULUMI_OPTION_POLICY_PACK", "").split(",")
    for word, following in zip(words, [*words[1:], ""], strict=True):
        flag, equals, value = word.partition("=")
        if flag == "--policy-pack":
            named += (value if equals else following).split(",")
    if any(name and (ROOT / name).resolve() == ROOT / PACK for name in named):
        return []
    return ["--policy-pack", PACK]


def quiet_arguments(call: Call, arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The flags that leave out what a command says twice, or says while it waits; none that the command line
    or the environment gives already."""
    elsewhere = call.cwd is not None and Path(call.cwd).resolve() != ROOT
    given = {word.partition("=")[0] for word in _before_dashes(arguments)}
    if elsewhere or given & {"--json", "-j"}:
        return []
    flags = ["--suppress-progress"] if call.command in DOTTED else []
    if call.command in ("up", "update") and not _skips_preview(arguments, env):
        flags.append("--suppress-outputs")
    return [flag for flag in flags if flag not in given and _variable(flag) not in env]


def _variable(flag: str) -> str:
    """The environment variable by which Pulumi reads a flag."""
    return f"PULUMI_OPTION_{flag.removeprefix('--').replace('-', '_').upper()}"


def child_environment(tool: Tool, env: dict[str, str]) -> dict[str, str]:
    """The environment Pulumi runs in: our Python first, then the CLI with the language host that lies beside
    it."""
    # Resolved, as the CLI resolves its own place: it warns of a language host that seems to be another one.
    folder = str(tool.folder.resolve())
    path = [str(VENV / "bin"), folder, *env.get("PATH", "").split(os.pathsep), str(BIN.resolve())]
    return {
        **env,
        "PATH": os.pathsep.join(dict.fromkeys(path)),
        "VIRTUAL_ENV": str(VENV),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Go's garbage collector takes a third of the engine's time with thousands of resources; this halves
        # it, for half as much memory again.
        "GOGC": env.get("GOGC", "200"),
    }


def main() -> int:
    """Prepares what is missing, then becomes Pulumi. Returns only when that isn't possible."""
    arguments = sys.argv[1:]
    call = read(arguments)
    selection = DELIVERY / "stack"
    selected = selection.read_text().strip() if selection.exists() else None
    local = is_local(call, dict(os.environ), selected)
    environment.ensure()
    tool = toolchain.pulumi()
    env = child_environment(tool, dict(os.environ))
    extra: list[str] = []
    if local:
        stack = LocalStack(ROOT)
        env.pop("PULUMI_CONFIG_PASSPHRASE", None)
        env |= stack.environment()
        stack.prepare(tool.executable, env)
        if call.command in CHANGING:
            locks.await_others(stack.state, _note)
        for lock in locks.remove_stale(stack.state):
            _note(f"removed the lock of a Pulumi that was killed (process {lock.pid}, {lock.file.name})")
        # Another command may be creating it at this very moment: then its lock is there, and we are refused.
        if call.command in ("up", "update") and not list(locks.locks(stack.state)):
            for name in stack.forget_interrupted_creates():
                _note(f"{name} was being created when Pulumi was killed; it is created again")
        extra = stack.config_arguments(call.command, arguments)
        if call.command == "stack" and call.subcommand == "rm" and "--preserve-config" not in arguments:
            # The file is under git, and the next `up` starts from it.
            extra = ["--preserve-config"]
    extra += [*pack_arguments(call, arguments, env), *quiet_arguments(call, arguments, env)]
    env |= told(call, arguments, env)
    if NO_PACK in _before_dashes(arguments):
        arguments = [word for word in arguments if word != NO_PACK]
        if call.command in JUDGED:
            _note(f"{NO_PACK}: no rule of {PACK}/ judges this {call.command}")
    if call.cwd is None:
        os.chdir(ROOT)
    sys.stderr.flush()
    command = ["pulumi", *_with(arguments, extra)]
    if call.command == "stack" and call.subcommand in ("select", "init") and call.stack:
        code = subprocess.run(command, executable=tool.executable, env=env, check=False).returncode
        if code == 0 and "--no-select" not in arguments:
            _remember(selection, call.stack)
        return code
    return os.execve(tool.executable, command, env)  # noqa: S606


def _with(arguments: Sequence[str], extra: Sequence[str]) -> list[str]:
    """The arguments with further flags, before a `--` if there is one."""
    at = len(_before_dashes(arguments))
    return [*arguments[:at], *extra, *arguments[at:]]


def told(call: Call, arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell the program and the pack how they are run, which Pulumi doesn't."""
    variables: dict[str, str] = {}
    if call.command in ("up", "update") and not _skips_preview(arguments, env):
        # Its preview gives the pack's advice; policy/pack.py leaves it out of the update that follows.
        variables["MODEL_DELIVERY_ADVICE"] = "preview"
    if {"--debug", "-d"} & {*_before_dashes(arguments)}:
        # components/program.py leaves the SDK's debug messages out otherwise.
        variables["MODEL_DELIVERY_DEBUG"] = "true"
    return variables


def _skips_preview(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    words = _before_dashes(arguments)
    short = any(word.startswith("-") and not word.startswith("--") and "f" in word for word in words)
    return short or "--skip-preview" in words or "PULUMI_OPTION_SKIP_PREVIEW" in env


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _remember(selection: Path, stack: str) -> None:
    make_folder(selection.parent)
    if stack == STACK:
        selection.unlink(missing_ok=True)
    else:
        selection.write_text(stack)


def _note(text: str) -> None:
    sys.stderr.write(f"pulumiw: {text}\n")


if __name__ == "__main__":
    sys.exit(errors.run(main))
