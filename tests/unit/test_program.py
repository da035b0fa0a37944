"""A mistake of the user's ends the program with a sentence, and the engine adds none of its own."""

from __future__ import annotations

import pulumi
import pytest

from components import program
from components.environment import ConfigError, Problem
from tools.language_host import executor, host


@pytest.mark.parametrize(
    "mistake",
    [
        pulumi.RunError("make setup WITH=azure"),
        ConfigError([Problem(path="models", message="required")], "f"),
    ],
)
def test_a_mistake_is_told_and_the_engine_knows_that_it_was(
    mistake: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, program.mistakes_told():
        raise mistake
    # What both hosts, the official one and ours, take for "the user has been told".
    assert end.value.code == program.REPORTED == executor.REPORTED == host.REPORTED == 32
    assert capsys.readouterr().err == f"error: {mistake}\n"


def test_a_bug_is_no_mistake_of_the_users() -> None:
    with pytest.raises(KeyError), program.mistakes_told():
        raise KeyError("wieght")


def test_without_a_mistake_the_program_goes_on() -> None:
    with program.mistakes_told():
        pass
