"""What holds for every test."""

import os
import signal

from hypothesis import HealthCheck, settings

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

# The same examples in every run, and no clock: how busy the machine is says nothing about the code.
# `pytest --hypothesis-profile explore` looks for new ones.
_SLOW = [HealthCheck.too_slow]
settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW
)
settings.register_profile("explore", max_examples=1000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile("fixed")
