"""``python -m benchmarks.delivery [everyday|promotion|weights|overhead|faults]``: what a change of traffic
costs, on a stack of its own."""

import os
import platform
import sys

from benchmarks import stopping
from benchmarks.delivery import everyday, faults, overhead, promotion, weights

PARTS = {
    "everyday": everyday.main,
    "promotion": promotion.main,
    "weights": weights.main,
    "overhead": overhead.main,
    "faults": faults.main,
}


def main(words: list[str]) -> int:
    if unknown := [word for word in words if word not in PARTS]:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    machine = f"{platform.system()} {platform.machine()}"
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {machine}")
    for name in words or PARTS:
        lines = PARTS[name]()
        print(f"\n{name}\n" + "\n".join(f"  {line}" for line in lines), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(stopping.run(lambda: main(sys.argv[1:])))
