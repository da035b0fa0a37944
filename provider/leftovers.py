"""``python -m provider.leftovers FOLDER``: end what still runs for a run folder that no stack knows any more.

An ``up`` that is killed while it starts something leaves it running and unknown to the state, so that a
``destroy`` has nothing to remove.
"""

import sys
from pathlib import Path

from provider.daemon import Daemon
from provider.resource import ProviderError


def main(words: list[str]) -> int:
    """Stop supervisord of the folder, if there is one, and everything that was started for it."""
    (folder,) = words
    try:
        Daemon(Path(folder).resolve()).stop()
    except ProviderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
