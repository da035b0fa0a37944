"""The graph that a program declares, on Pulumi's mocks: every resource with its inputs, parent,
dependencies and options."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, resource, rpc, settings
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.stack import run_pulumi_func

# What the SDK tells an engine besides, and nothing here looks at: the source line of every frame above a
# resource, a quarter of the time under pytest, and debug messages, which the program leaves out as well.
resource._get_stack_trace = source_pb2.StackTrace
pulumi.log.debug = lambda *_, **__: None


@dataclass(frozen=True)
class Declared:
    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    parent_urn: str
    needs: frozenset[str]
    """URNs that it names itself, by option or by value."""
    protect: bool
    provider: str = ""
    """The provider that it is declared by, `URN::ID`; empty: the default one."""
    retained: bool = False
    """Whether it stays where it is when its declaration goes."""
    gone_with: str = ""
    """URN of the resource with which it goes, so that it isn't deleted by itself."""
    secrets: frozenset[str] = frozenset()
    """Its inputs that are secrets."""
    ignores: frozenset[str] = frozenset()
    """Its inputs whose changes are ignored."""
    replaced_by: frozenset[str] = frozenset()
    """Its inputs of which a change replaces it, besides those that its provider names."""
    replaced_with: frozenset[str] = frozenset()
    """URNs of the resources with whose replacement it is replaced."""
    goes_first: bool = False
    """Whether what it replaces goes before it comes."""
    order_is_said: bool = False
    """Whether the program says so or says not so, instead of its provider."""
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By input: the URNs of the resources that its value comes from."""

    @property
    def parent(self) -> str:
        """The parent's name, empty for the stack."""
        return (
            "" if self.parent_urn.split("::")[-2].endswith("pulumi:pulumi:Stack") else _name(self.parent_urn)
        )


STASH = "pulumi:index:Stash"


class Graph:
    def __init__(self) -> None:
        self.resources: list[Declared] = []

    def one(self, type: str, name: str) -> Declared:
        found = [r for r in self.resources if (r.type, r.name) == (type, name)]
        assert len(found) == 1, (
            f"{type} {name}: {len(found)} of {sorted((r.type, r.name) for r in self.resources)}"
        )
        return found[0]

    def waits_for(self, type: str, name: str) -> set[str]:
        """Names of all that is done before it and removed after it: a child waits for what its parent waits
        for."""
        by_urn = {r.urn: r for r in self.resources}
        seen: set[str] = set()
        pending = [self.one(type, name)]
        while pending:
            resource = pending.pop()
            for urn in (resource.needs | {resource.parent_urn}) & by_urn.keys() - seen:
                seen.add(urn)
                pending.append(by_urn[urn])
        return {_name(urn) for urn in seen}

    def counts(self) -> dict[str, int]:
        return dict(Counter(r.type for r in self.resources))

    def names(self, type: str) -> set[str]:
        return {r.name for r in self.resources if r.type == type}


NEW_STACK: Mapping[str, dict[str, Any]] = {"pulumi:pulumi:readStackResourceOutputs": {"outputs": {}}}
"""What the engine answers of a stack that has nothing yet."""

Outputs = Callable[[str, str, dict[str, Any]], dict[str, Any]]


def declare(
    program: Callable[[], object],
    outputs: Outputs,
    preview: bool = False,
    calls: Mapping[str, dict[str, Any]] | None = None,
    into: list[Graph] | None = None,
) -> Graph:
    """Run a program on mocks. ``outputs`` gives what a provider would add to a resource's inputs (type,
    name, inputs); ``calls`` has the answers of the functions that a program may call, by their tokens;
    ``into`` gets the graph of a program that fails too."""
    answers = {**NEW_STACK, **(calls or {})}
    graph = Graph()
    if into is not None:
        into.append(graph)

    class Recorder(mocks.Mocks):
        def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
            if args.token not in answers:
                raise AssertionError(f"the program calls {args.token}, which no test expects")
            return answers[args.token]

        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            added = {"judge": ""} if args.typ == "delivery:registry:Step" else {}
            if args.typ == STASH:
                added["output"] = args.inputs["input"]
            given = outputs(args.typ, args.name, args.inputs)
            return f"{args.name}-id", {**args.inputs, **added, **given}

    class Monitor(mocks.MockMonitor):
        def RegisterResource(self, request: Any) -> Any:  # noqa: N802
            with _apart(loop, aside):
                return self.record(request)

        def Invoke(self, request: Any) -> Any:  # noqa: N802
            with _apart(loop, aside):
                return super().Invoke(request)

        def ReadResource(self, request: Any) -> Any:  # noqa: N802
            with _apart(loop, aside):
                return super().ReadResource(request)

        def record(self, request: Any) -> Any:
            if request.type != "pulumi:pulumi:Stack":
                inputs = {k: _text(v) for k, v in rpc.deserialize_properties(request.object).items()}
                graph.resources.append(
                    Declared(
                        urn=self.make_urn(request.parent, request.type, request.name),
                        type=request.type,
                        name=request.name,
                        inputs=inputs,
                        parent_urn=request.parent,
                        needs=frozenset(request.dependencies),
                        protect=request.protect,
                        ignores=frozenset(request.ignoreChanges),
                        replaced_by=frozenset(request.replaceOnChanges),
                        replaced_with=frozenset(request.replace_with),
                        goes_first=request.deleteBeforeReplace,
                        order_is_said=request.deleteBeforeReplaceDefined,
                        sources={k: frozenset(v.urns) for k, v in request.propertyDependencies.items()},
                        provider=request.provider,
                        retained=request.retainOnDelete,
                        gone_with=request.deletedWith,
                        secrets=frozenset(k for k, v in request.object.fields.items() if _is_secret(v)),
                    )
                )
            return super().RegisterResource(request)

    settings.reset_options()
    loop, aside = asyncio.new_event_loop(), asyncio.new_event_loop()
    loop.set_default_executor(_AtOnce())
    asyncio.set_event_loop(loop)
    try:
        mocks.set_mocks(Recorder(), "model-delivery", "local", preview, monitor=Monitor(Recorder()))

        async def run() -> None:
            await run_pulumi_func(program)

        loop.run_until_complete(run())
    finally:
        settings.reset_options()
        # A program that fails leaves waiting what would have used its outputs.
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
        aside.close()
        asyncio.set_event_loop(None)
    # In an order that doesn't depend on what waited for what.
    graph.resources.sort(key=lambda resource: resource.urn)
    return graph


class _AtOnce(ThreadPoolExecutor):
    """Does at once what it is given: a mock has its answer, and a thread would only be waited for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


@contextlib.contextmanager
def _apart(loop: asyncio.AbstractEventLoop, aside: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the SDK's mocks wait on a loop of their own while the program's stands still, as in a thread."""
    asyncio._set_running_loop(None)
    asyncio.set_event_loop(aside)
    try:
        yield
    finally:
        asyncio.set_event_loop(loop)
        asyncio._set_running_loop(loop)


def resolved(output: pulumi.Output[Any], into: list[Any]) -> None:
    """Collect an output's value while the program runs."""
    output.apply(into.append)


def _name(urn: str) -> str:
    return urn.split("::")[-1]


def _text(value: Any) -> Any:
    """A value as it is; an archive as the texts of its files."""
    if isinstance(value, pulumi.AssetArchive):
        return {
            name: asset.text for name, asset in value.assets.items() if isinstance(asset, pulumi.StringAsset)
        }
    return value


def _is_secret(value: Any) -> bool:
    """Say whether a value is marked as a secret on the wire."""
    fields = value.struct_value.fields
    key = rpc._special_sig_key
    return key in fields and fields[key].string_value == rpc._special_secret_sig
