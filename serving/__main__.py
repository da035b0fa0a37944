"""``python -m serving``: see ``serving.settings`` for the options."""

import sys

from serving import process, settings

if __name__ == "__main__":
    process.end(process.run(settings.parse(sys.argv[1:])))
