"""How many small mistakes in the rules the tests would notice: `nice -n 15 python -m tests.policy.mutation`.

Each mutant is one change of one expression or statement in a module of `policy/rules` or in
`policy/steps.py`: another comparison, a negated condition, another number, flag or property name, a statement
left out. It runs in a fork of this process, against what tests/policy asserts: the compliant stack passes,
every broken property is found with its words, an unknown value is refused or leaves the rule undecided, the
shipped environments pass; then against the tests of variants, of steps and of values. Texts for readers are
not mutated. EVERY=5 takes every fifth mutant; words name modules.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy import rules as registry
from policy.rules import RULES
from policy.testkit import UNKNOWN, evaluate, undecided
from tests.policy import broken, test_shipped, test_unknown
from tests.policy.compliant import COMPLIANT, NOW, SETTINGS
from tests.policy.declared import shipped
from tests.policy.test_rules import with_change

MODULES = (
    "aws_access",
    "aws_cluster",
    "aws_data",
    "candidates",
    "ceilings",
    "gcp",
    "high_risk",
    "kubernetes",
    "pods",
    "readiness",
    "releases",
    "steps",
    "values",
)
SECONDS = 30
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
}
Change = Callable[[ast.AST], object]


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """Each mutant of a module: the line, what was changed, and the tree."""
    places = list(_places(tree))
    for index, (line, words, _, _) in enumerate(places):
        changed = copy.deepcopy(tree)
        _, _, node, change = list(_places(changed))[index]
        change(node)
        yield line, words, ast.fix_missing_locations(changed)


def _places(tree: ast.Module) -> Iterator[tuple[int, str, ast.AST, Change]]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            for statement in body:
                for node in _code(statement):
                    for words, change in _changes(node):
                        yield getattr(node, "lineno", 0), words, node, change


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, but for what only a reader sees, and for inner functions."""
    if isinstance(node, ast.JoinedStr | ast.FunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "StepProblem", "cast"):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _code(child)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                other = _COMPARED[type(operator)]
                yield f"{type(operator).__name__} becomes {other.__name__}", _operator(index, other)
        case ast.BoolOp():
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield f"{type(node.op).__name__} becomes {other.__name__}", lambda n: setattr(n, "op", other())
        case ast.BinOp() if type(node.op) in _COUNTED:
            counted = _COUNTED[type(node.op)]
            yield (
                f"{type(node.op).__name__} becomes {counted.__name__}",
                lambda n: setattr(n, "op", counted()),
            )
        case ast.If() | ast.IfExp() | ast.comprehension(ifs=[_]):
            yield "condition negated", _negate
        case ast.Constant(value=bool()):
            yield "flag turned", lambda n: setattr(n, "value", not n.value)  # type: ignore[attr-defined]
        case ast.Constant(value=int() | float()):
            yield "number + 1", lambda n: setattr(n, "value", n.value + 1)  # type: ignore[attr-defined]
        case ast.Constant(value=str()) if node.value:
            yield f"{node.value!r} renamed", lambda n: setattr(n, "value", f"{n.value}_")  # type: ignore[attr-defined]
        case ast.Return() if node.value is not None:
            yield "returns None", lambda n: setattr(n, "value", ast.Constant(None))
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            yield "nothing yielded", lambda n: setattr(n, "value", ast.Constant(None))
        case _:
            pass


def _operator(index: int, other: type[ast.cmpop]) -> Change:
    return lambda node: node.ops.__setitem__(index, other())  # type: ignore[attr-defined]


def _negate(node: ast.AST) -> None:
    if isinstance(node, ast.comprehension):
        node.ifs[0] = ast.UnaryOp(ast.Not(), node.ifs[0])
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)


def check(module: types.ModuleType) -> None:
    """What tests/policy asserts of the rules that a module's code may touch. Raises if it fails."""
    own = {rule.id for rule in getattr(module, "RULES", ())}
    shared = not own or module.__name__.rpartition(".")[2] in ("pods", "releases", "high_risk")
    rules = list(RULES.values()) if shared else [RULES[rule] for rule in own]
    ids = {rule.id for rule in rules}
    assert evaluate(rules, COMPLIANT, settings=SETTINGS, now=NOW) == []
    assert undecided(rules, COMPLIANT, settings=SETTINGS, now=NOW) == []
    for rule, name, path, value, words in broken.ALL:
        if rule not in ids:
            continue
        found = evaluate(rules, with_change(name, path, value), settings=SETTINGS, now=NOW)
        assert {v.rule for v in found} == {rule}
        assert any(words in v.message.splitlines()[0] for v in found)
        if path not in ("*", "@protect"):
            stack = with_change(name, path, UNKNOWN)
            refused = bool(evaluate([RULES[rule]], stack, settings=SETTINGS, now=NOW))
            open_ = bool(undecided([RULES[rule]], stack, settings=SETTINGS, now=NOW))
            enough = (rule, path) in test_unknown.ENOUGH_THAT_IT_IS_THERE
            assert (refused, open_) == (
                (False, False) if enough else (RULES[rule].strict, not RULES[rule].strict)
            )
    test_shipped.test_nothing_that_prod_declares_stops_it()
    test_unknown.test_what_is_found_before_the_unknown_value_is_found_all_the_same()
    test_unknown.test_a_release_or_a_step_that_is_not_known_in_full_is_refused()
    test_unknown.test_a_bucket_whose_name_is_unknown_is_found_by_where_it_comes_from()
    name = module.__name__.rpartition(".")[2]
    slower = {"steps": ["test_steps.py"], "values": ["test_values.py", "test_variants.py"]}
    files = [f"tests/policy/{file}" for file in slower.get(name, ["test_variants.py"])]
    assert pytest.main(["-qx", "-p", "no:cacheprovider", "--no-header", *files]) == 0


def noticed(module: types.ModuleType, tree: ast.Module) -> bool:
    """Whether the tests fail for a mutant. They run in a fork, which ends after SECONDS at the latest."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        signal.alarm(SECONDS)
        try:
            exec(compile(tree, str(module.__file__), "exec"), module.__dict__)
            # What others have taken from the module is taken anew; the tests hold this dictionary.
            for name in ("values", "releases", "pods", "high_risk", *MODULES):
                if (other := sys.modules[f"policy.rules.{name}"]) is not module:
                    importlib.reload(other)
            importlib.reload(registry)
            RULES.update(registry.RULES)  # type: ignore[attr-defined]
            check(module)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def main() -> None:
    for name in ("prod", "dev", "local"):
        shipped(name)
    total = killed = 0
    every = int(os.environ.get("EVERY", "1"))
    chosen = sys.argv[1:] or [*(f"policy.rules.{name}" for name in MODULES), "policy.steps"]
    for name in chosen:
        module = importlib.import_module(name)
        check(module)
        tree = ast.parse(Path(str(module.__file__)).read_text())
        seen = survived = 0
        for index, (line, words, mutant) in enumerate(mutants(tree)):
            if index % every:
                continue
            seen += 1
            if not noticed(module, mutant):
                survived += 1
                print(f"  {name}:{line} {words}", flush=True)
        total, killed = total + seen, killed + seen - survived
        print(f"{name}: {seen - survived} of {seen} noticed", flush=True)
    print(f"all: {killed} of {total} noticed, {100 * killed / max(total, 1):.1f} %")


if __name__ == "__main__":
    main()
