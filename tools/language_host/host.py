"""What the engine asks of a language host, answered for Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from tools.language_host import install, packages, running
from tools.language_host.children import Children
from tools.language_host.pythons import OptionError, Python, python_of, site_packages, toolchain

EXECUTOR = Path(__file__).with_name("executor.py")
REPORTED = 32
TYPECHECKERS = ("mypy", "pyright")

Context = grpc.ServicerContext


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """One host serves one engine: its programs, its plugins written in Python, its questions about them."""

    def __init__(self, children: Children, engine: str) -> None:
        self._children = children
        self._engine = engine

    def Handshake(self, request: language_pb2.LanguageHandshakeRequest, context: Context):  # noqa: N802
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context):  # noqa: N802
        # The SDK's version: the engine compares it with what the program was written for.
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(self, request: language_pb2.GetRequiredPackagesRequest, context: Context):  # noqa: N802
        python = _python(request.info, context)
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    kind="resource", name=plugin.name, version=plugin.version, server=plugin.server
                )
                for plugin in packages.plugins(site_packages(python))
            ]
        )

    def GetProgramDependencies(  # noqa: N802
        self, request: language_pb2.GetProgramDependenciesRequest, context: Context
    ):
        found = packages.installed(site_packages(_python(request.info, context)))
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def About(self, request: language_pb2.AboutRequest, context: Context):  # noqa: N802
        python = _python(request.info, context)
        version = subprocess.run(
            [python.executable, "--version"], capture_output=True, text=True, check=False
        )
        return language_pb2.AboutResponse(
            executable=str(python.executable),
            version=version.stdout.removeprefix("Python ").strip(),
            metadata={"toolchain": toolchain(_options(request.info))},
        )

    def RuntimeOptionsPrompts(self, request: language_pb2.RuntimeOptionsRequest, context: Context):  # noqa: N802
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request: language_pb2.TemplateRequest, context: Context):  # noqa: N802
        return language_pb2.TemplateResponse()

    def InstallDependencies(  # noqa: N802
        self, request: language_pb2.InstallDependenciesRequest, context: Context
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        folder = Path(request.info.program_directory)
        try:
            commands = install.commands(folder, Path(request.info.root_directory), _options(request.info))
        except OptionError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            return
        for command in commands:
            process = self._children.start(command, cwd=folder, env=os.environ, capture=True)
            context.add_callback(lambda process=process: self._children.stop(process))
            for stream, data in running.output(process):
                yield language_pb2.InstallDependenciesResponse(**{stream: data})
            if self._children.wait(process) != 0:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION, f"`{' '.join(command)}` failed in {folder}"
                )

    def Run(self, request: language_pb2.RunRequest, context: Context):  # noqa: N802
        options = _options(request.info)
        try:
            python = python_of(Path(request.info.root_directory), options)
        except OptionError as error:
            return language_pb2.RunResponse(error=str(error))
        env = python.environment(os.environ)
        env["PULUMI_CONFIG"] = json.dumps(dict(request.config))
        env["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))

        checker = options.get("typechecker")
        if checker is not None:
            failure = self._typecheck(python, checker, Path(request.info.program_directory), env)
            if failure:
                return language_pb2.RunResponse(error=failure)

        process = self._children.start(
            [str(python.executable), "-u", str(EXECUTOR), *running.arguments(request, self._engine)],
            cwd=request.pwd,
            env=env,
            program=True,
        )
        context.add_callback(lambda: self._children.stop(process))
        code = self._children.wait(process)
        if code == 0:
            return language_pb2.RunResponse()
        if code == REPORTED:
            return language_pb2.RunResponse(bail=True)
        if code < 0:
            return language_pb2.RunResponse(error=f"program was ended by signal {-code}")
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}")

    def RunPlugin(  # noqa: N802
        self, request: language_pb2.RunPluginRequest, context: Context
    ) -> Iterator[language_pb2.RunPluginResponse]:
        try:
            python = python_of(Path(request.info.root_directory), _options(request.info))
        except OptionError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            return
        env = python.environment(
            dict(entry.split("=", 1) for entry in request.env if "=" in entry) or os.environ
        )
        if request.kind == "analyzer":
            yield from running.policy_pack(self._children, request, python, env, context)
        else:
            yield from running.plugin(self._children, request, python, env, context)

    def Cancel(self, request: empty_pb2.Empty, context: Context):  # noqa: N802
        self._children.interrupt_programs()
        return empty_pb2.Empty()

    def _typecheck(self, python: Python, checker: object, folder: Path, env: Mapping[str, str]) -> str:
        """Checks the program's types before it runs; returns what is wrong, or an empty text."""
        if checker not in TYPECHECKERS:
            return f"runtime.options.typechecker is {checker!r}; {' and '.join(TYPECHECKERS)} are accepted"
        process = self._children.start(
            [str(python.executable), "-m", str(checker), str(folder)], cwd=folder, env=env, capture=True
        )
        text = b"".join(data for _, data in running.output(process)).decode(errors="replace")
        return f"{checker} failed:\n{text}" if self._children.wait(process) != 0 else ""


def _options(info: language_pb2.ProgramInfo) -> dict[str, Any]:
    return json_format.MessageToDict(info.options)


def _python(info: language_pb2.ProgramInfo, context: Context) -> Python:
    try:
        return python_of(Path(info.root_directory), _options(info))
    except OptionError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise
