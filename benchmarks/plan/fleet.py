"""A promotion in one stack of a fleet, beside no other stack and beside all the others of a large fleet.

Both fleets have a registry and a state of their own, with a stack that owns the platform and a stack of
models on it. The large one's other stacks and models are copies of those: what a backend and a registry have
to look through is there, and nobody has to apply it.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.plan.cost import CLUSTER, Cost, cost, file, name
from planning.stack import PlannedStack

_BORROWED = {"stack": "organization/model-delivery/owner"}
_TABLES = ("registered_models", "model_versions", "model_version_tags")
"""Of MLflow's registry, each with the model's name in the column `name`."""


def run(models: int, each: int, rounds: int) -> None:
    """Print what the promotion costs, in turn in both fleets, and the ratios of the pairs."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = (_fleet(Path(folder) / size, each) for size in ("small", "large"))
        stacks = _copies(large, models, each)
        print(
            f"one stack of {each} models, and {stacks} stacks of {each}: s (CPU s) of planning one promotion"
        )
        pairs: list[tuple[Cost, Cost]] = []
        for index in range(rounds):
            # Each goes first as often as the other.
            order = (small, large) if index % 2 == 0 else (large, small)
            found = {stack: cost(stack.preview) for stack in order}
            pairs.append((found[small], found[large]))
            print("  " + ", ".join(f"{c.wall:.1f} ({c.cpu:.1f})" for c in pairs[-1]), flush=True)
        for word, ratios in (
            ("wall", [b.wall / a.wall for a, b in pairs]),
            ("CPU", [b.cpu / a.cpu for a, b in pairs]),
        ):
            middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
            print(f"large to small, {word}: median {middle:.2f} ({least:.2f} to {most:.2f})")


def _fleet(folder: Path, each: int) -> PlannedStack:
    """The stack of models, applied, with one promotion declared."""
    folder.mkdir()
    owner = PlannedStack(folder / "owner", "owner")
    owner.declare(file(CLUSTER, 0))
    owner.up()
    stack = PlannedStack(folder / "part0", "part0", beside=owner)
    stack.declare(file(_BORROWED, each))
    stack.up()
    stack.declare(file(_BORROWED, each, weight=50))
    return stack


def _copies(stack: PlannedStack, models: int, each: int) -> int:
    """Give the fleet the other stacks and models; returns the number of stacks."""
    stacks = models // each
    states = stack.state / ".pulumi" / "stacks" / "model-delivery"
    text = (states / "part0.json").read_text()
    for index in range(1, stacks):
        (states / f"part{index}.json").write_text(text.replace("part0", f"part{index}"))
    with closing(sqlite3.connect(stack.registry.home / "registry" / "mlflow.db")) as database, database:
        for table in _TABLES:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            rows = database.execute(
                f"SELECT {', '.join(columns)} FROM {table} WHERE name = ?", (name(0),)
            ).fetchall()
            at = columns.index("name")
            made = [(*row[:at], name(index), *row[at + 1 :]) for index in range(each, models) for row in rows]
            database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", made)
        (count,) = database.execute("SELECT COUNT(*) FROM registered_models").fetchone()
    assert count == models
    listed = json.loads(stack.command("stack", "ls", "--all", "--json").text)
    assert len(listed) == stacks + 1
    return stacks
