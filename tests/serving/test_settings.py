"""The command line and the environment."""

from pathlib import Path

import pytest

from serving.settings import Settings, parse

DIGEST = "sha256:" + "0a" * 32
FLAGS = ["--model", "churn", "--version", "3", "--artifact", "m", "--digest", DIGEST, "--port", "7001"]
VARIABLES = {
    "SERVING_MODEL": "churn",
    "SERVING_VERSION": "3",
    "SERVING_ARTIFACT": "m",
    "SERVING_DIGEST": DIGEST,
    "SERVING_PORT": "7001",
}
EXPECTED = Settings(model="churn", version="3", artifact=Path("m"), digest=DIGEST, port=7001)


def test_flags_and_variables_say_the_same() -> None:
    assert parse(FLAGS, {}) == EXPECTED
    assert parse([], VARIABLES) == EXPECTED


def test_a_flag_wins() -> None:
    changed = parse(["--port", "7002", "--sample", "0"], {**VARIABLES, "SERVING_SAMPLE": "1"})
    assert changed.port == 7002
    assert changed.sample == 0
    assert parse([], {**VARIABLES, "SERVING_SAMPLE": "1"}).sample == 1


def test_every_option() -> None:
    more = {
        "host": "127.0.0.2",
        "access-log": "log",
        "sample": "0.5",
        "max-body-bytes": "10",
        "max-batch": "4",
        "threads": "2",
        "drain": "0.5",
        "grace": "3",
    }
    flags = [word for name, value in more.items() for word in (f"--{name}", value)]
    wanted = Settings(
        model="churn",
        version="3",
        artifact=Path("m"),
        digest=DIGEST,
        port=7001,
        host="127.0.0.2",
        access_log=Path("log"),
        sample=0.5,
        max_body_bytes=10,
        max_batch=4,
        threads=2,
        drain=0.5,
        grace=3.0,
    )
    assert parse([*FLAGS, *flags], {}) == wanted
    variables = {"SERVING_" + name.upper().replace("-", "_"): value for name, value in more.items()}
    assert parse([], {**VARIABLES, **variables}) == wanted


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "99999"], "argument --port: '99999'; accepted: a whole number from 0 to 65535"),
        (["--port", "x"], "argument --port: 'x'; accepted: a whole number from 0 to 65535"),
        (["--sample", "2"], "argument --sample: '2'; accepted: a number from 0 to 1"),
        (["--sample", "nan"], "argument --sample: 'nan'; accepted: a number from 0 to 1"),
        (["--grace", "inf"], "argument --grace: 'inf'; accepted: a number from 0 to 3600"),
        (["--model", "a/b"], "argument --model: 'a/b' is not a name"),
        (["--version", "3\r\nx: y"], "argument --version: '3\\r\\nx: y' is not a name"),
        (["--digest", "abc"], "argument --digest: 'abc' is not a digest; accepted: sha256:"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_mistakes_name_the_option(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([*FLAGS, *flags], {})
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_mistakes_in_a_variable_name_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([], {**VARIABLES, "SERVING_PORT": "-1"})
    assert "argument --port: '-1'; accepted" in capsys.readouterr().err


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(FLAGS[2:], {})
    assert "the following arguments are required: --model" in capsys.readouterr().err
