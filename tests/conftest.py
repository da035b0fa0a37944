"""What holds for every test."""

import os
import signal

# A shell that runs the tests in its background has them ignore Ctrl-C, and what they start would too: tests
# that interrupt a program would wait for ever. A handler, unlike being ignored, is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What `make test` tells the makes that it starts is not for those that tests start.
for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)
