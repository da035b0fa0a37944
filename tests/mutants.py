"""Which small mistakes in the code the fast tests notice: mutmut's mutants, in forks of one pytest session.

    nice -n 15 python tests/mutants.py components/traffic.py -- tests/unit/test_traffic.py
    nice -n 15 python tests/mutants.py --draw 150 --seed 4 components/gcp/*.py -- tests/unit/test_gcp_*.py

A mutant is killed when a test that reaches its function fails, and survives when all of those pass. The tests
are collected once and run with the code as it is, to see which of them reaches what. Then each mutant gets
those tests, first any that killed another of its function, then the shortest, to the first failure. All of it
happens in a copy. mutmut changes what is inside functions, but for decorated ones: no constants, no defaults
of dataclasses; what a function did when its module was imported stays as it was. Survivors are printed with
their change. --out keeps every outcome; a run with the same --out goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import gc
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copy_to(copy: Path) -> None:
    """Every file that git has or would take, and links to the environment and the toolchain."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in (".venv", ".delivery"):
        if (ROOT / name).exists() and not (copy / name).exists():
            (copy / name).symlink_to((ROOT / name).resolve())
    # mutmut asks for this file as soon as it is imported.
    (copy / "setup.cfg").write_text("[mutmut]\nsource_paths=components\n")


def mutate(files: list[str]) -> list[str]:
    """Write every mutant of the files into them, switched off. The mutants' names."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    names: list[str] = []
    for file in files:
        mutated = mutate_file_contents(file, Path(file).read_text(), None, None)
        Path(file).write_text(mutated.code)
        names += [get_mutant_name(Path(file), name) for name in mutated.mutant_names]
    return names


def change(name: str) -> str:
    """The lines that a mutant takes away and those it brings."""
    module, _, function = name.rpartition(".")
    path = Path(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    found = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    texts = [
        "\n".join(map(ast.unparse, [found[each].args, *found[each].body])).splitlines()
        for each in (f"{function.partition('__mutmut_')[0]}__mutmut_orig", function)
    ]
    lines = list(difflib.unified_diff(*texts, lineterm="", n=0))[2:]
    return "\n".join(f"    {line}" for line in lines if not line.startswith("@@"))


class Mutants:
    """A plugin of pytest that runs mutants where pytest would run tests."""

    def __init__(self, names: list[str], out: Path | None) -> None:
        self.names, self.out = names, out
        self.outcomes: dict[str, str] = {}
        self.killers: dict[str, list[int]] = defaultdict(list)
        if out and out.exists():
            said = dict(json.loads(line) for line in out.read_text().splitlines())
            self.outcomes = {name: said[name] for name in names if name in said}

    def pytest_runtestloop(self, session) -> bool:  # type: ignore[no-untyped-def]
        self.items = session.items
        self._measure()
        if self._outcome("", list(range(len(self.items)))) != "survived":
            print("\nThe tests fail without any mutant.")
            session.testsfailed = 1
            return True
        for name in self.names:
            if name not in self.outcomes:
                tests = self.reaching[name.partition("__mutmut_")[0]]
                self._keep(name, self._outcome(name, tests) if tests else "no test")
        return True

    def _measure(self) -> None:
        """Run every test with the code as it is: what it reaches, and how long it takes."""
        from mutmut.state import state

        self.reaching: dict[str, list[int]] = defaultdict(list)
        self.seconds: list[float] = []
        os.environ["MUTANT_UNDER_TEST"] = "stats"
        # What one test has left in a cache would hide what the next one reaches, and then the mutants.
        caches = [found for found in gc.get_objects() if isinstance(found, functools._lru_cache_wrapper)]
        for index, (item, following) in enumerate(pairwise([*self.items, None])):
            state()._stats.clear()
            began = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.seconds.append(time.process_time() - began)
            for function in state()._stats:
                self.reaching[function].append(index)
            for cache in caches:
                cache.cache_clear()
        gc.freeze()
        print(f"\n{len(self.items)} tests take {sum(self.seconds):.1f} s of CPU time", flush=True)

    def _outcome(self, name: str, tests: list[int]) -> str:
        """What comes of tests with a mutant switched on, in a child process."""
        # A test that has noticed one change of a function may well notice the next.
        killers = self.killers[name.partition("__mutmut_")[0]]
        tests = [*killers, *sorted(set(tests).difference(killers), key=self.seconds.__getitem__)]
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            os.environ["MUTANT_UNDER_TEST"] = name
            limit = 30 + int(10 * sum(self.seconds[test] for test in tests))
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            try:
                for test, following in zip(
                    tests, [*(self.items[each] for each in tests[1:]), None], strict=True
                ):
                    item = self.items[test]
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if item.session.testsfailed:
                        os.write(tell, str(test).encode())
                        os._exit(1)
            except BaseException:
                os._exit(1)
            os._exit(0)
        os.close(tell)
        status = os.waitpid(pid, 0)[1]
        killer = os.read(told, 20)
        os.close(told)
        if killer and int(killer) not in killers:
            killers.append(int(killer))
        return {0: "survived", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "timeout")

    def _keep(self, name: str, outcome: str) -> None:
        self.outcomes[name] = outcome
        if self.out:
            with self.out.open("a") as file:
                file.write(json.dumps([name, outcome]) + "\n")
        if outcome != "killed":
            print(f"\n{outcome}: {name}\n{change(name)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", help="what is mutated; after --, the tests")
    parser.add_argument("--draw", type=int, metavar="N", help="run N of the mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    split = sys.argv.index("--")
    said, tests = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    out = said.out.resolve() if said.out else None
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy_to(Path(folder))
        os.chdir(folder)
        sys.path[0] = folder
        names = mutate(said.files)
        total = len(names)
        if said.draw is not None:
            # Of a smaller and a larger draw by one seed, the larger begins with the smaller.
            random.Random(said.seed).shuffle(names)
            names = names[: said.draw]
        import pytest

        plugin = Mutants(names, out)
        # A native traceback: for the usual one pytest would parse a file with all its mutants each time.
        options = ["-qq", "-m", "not real", "-p", "no:cacheprovider", "--capture=sys", "--tb=native"]
        pytest.main([*options, *tests], plugins=[plugin])
        counts = Counter(plugin.outcomes.values())
        print(f"\n{total} mutants, {len(plugin.outcomes)} run: {dict(counts)}")
        return 0 if plugin.outcomes else 1


if __name__ == "__main__":
    sys.exit(main())
