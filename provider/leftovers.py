"""``python -m provider.leftovers``: end what still runs for the run folder and no stack knows any more.

An ``up`` that is killed while it starts something leaves it running and unknown to the state, so that a
``destroy`` has nothing to remove.
"""

import sys

from provider.daemon import Daemon
from provider.resource import ProviderError
from tools.paths import home


def main() -> int:
    """Stop supervisord of the run folder, if there is one, and everything that was started for it."""
    try:
        Daemon(home() / "run").stop()
    except ProviderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
