"""What holds for every test."""

import gc
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from policy import enforcement, exemptions
from tests.clean import Clean

# A shell that runs the tests in its background has them ignore Ctrl-C, and what they start would too: tests
# that interrupt a program would wait for ever. A handler, unlike being ignored, is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What `make test` tells the makes that it starts is not for those that tests start.
for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)

# Servers of tests are on this machine: no proxy is asked for them, whatever the environment says.
for name in ("no_proxy", "NO_PROXY"):
    hosts = (os.environ.get(name), "127.0.0.1", "localhost")
    os.environ[name] = ",".join(host for host in hosts if host)

# Nothing that tests import tells anybody of it.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The same examples in every run, and no clock: how busy the machine is says nothing about the code.
# `pytest --hypothesis-profile explore` looks for new ones.
_SLOW = [HealthCheck.too_slow]
settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW
)
# Half of the examples, for `make test-fast`.
settings.register_profile("fast", settings.get_profile("fixed"), max_examples=50)
settings.register_profile("explore", max_examples=1000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile("fixed")

_CHECKOUT = Path(__file__).resolve().parents[1]
_OF_USERS = re.compile(r"Pulumi\.[^/]+\.yaml|policy/(?:enforcement|exemptions)\.yaml")


def _refuse_files_of_users(event: str, arguments: tuple[object, ...]) -> None:
    """Fail whatever opens a file that belongs to the people who use a checkout: what they write in it must
    not decide whether the product is right. Fixtures are in ``tests/environments``.
    """
    if event != "open" or not isinstance(arguments[0], str | os.PathLike):
        return
    path = os.path.abspath(arguments[0])  # noqa: PTH100 - pathlib would open the file's folders
    if path.endswith(".yaml") and path.startswith(f"{_CHECKOUT}/"):
        relative = path.removeprefix(f"{_CHECKOUT}/")
        assert not _OF_USERS.fullmatch(relative), f"a test reads {relative}, which users edit"


sys.addaudithook(_refuse_files_of_users)


def pytest_configure(config: pytest.Config) -> None:
    """Have the checkout compared before and after the run, once: not in every worker of xdist."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clean(_CHECKOUT))


@pytest.fixture(autouse=True)
def settings_of_the_policy_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pack's own settings read from fixtures: as this project ships them."""
    for module in (enforcement, exemptions):
        monkeypatch.setattr(module, "FILE", _CHECKOUT / "tests" / "policy" / "settings" / module.FILE.name)


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of the garbage collector's rounds, and have fewer of them: SDKs are
    millions of objects that live until the end."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start real processes: they take longest, and two files run at a time."""
    real = {item.path for item in items if item.get_closest_marker("real")}
    items.sort(key=lambda item: item.path not in real)
