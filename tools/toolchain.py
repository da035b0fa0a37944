"""Find or make the programs that a checkout needs besides Python packages: `pulumi` and `prometheus`,
`promtool` and `amtool` for tests of rules and receivers, `actionlint` to check its workflows, and the control
plane of a `kubernetes` to test against, with Pulumi's provider of it.

For each, in this order: one that is installed and not too old; the one this checkout already has; the
official download; a build from Go source. What is made here is kept in
`.delivery/toolchain/<name>-<version>/`, and
`.delivery/toolchain/bin/` has a link to whatever was chosen.

    python3 -m tools.toolchain [NAME …]    finds or makes them, by default the first two; says where they are
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import download, errors, gobuild, versions
from tools.alone import alone
from tools.errors import ToolError
from tools.paths import BIN, GO_MODULES, LANGUAGE_HOST, TOOLCHAIN, make_folder
from tools.versions import Version

_PROVIDER = "pulumi-resource-kubernetes"
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

# Discovery of cloud machines is most of Prometheus' size, and nothing here is found that way.
_NO_DISCOVERY = ("-tags", "remove_all_sd")

SOURCES = ("installed", "download", "build")
"""Where a tool may come from. DELIVERY_TOOLCHAIN narrows it: `download,build` ignores what is installed."""


@dataclass(frozen=True)
class Tool:
    """A program that is ready to run."""

    name: str
    version: Version
    folder: Path
    """The folder of its executables."""
    own: bool
    """Whether the checkout keeps it itself, or it was installed on the machine."""

    @property
    def executable(self) -> Path:
        """The program itself."""
        return self.folder / self.name


@dataclass(frozen=True)
class Recipe:
    """How one tool is found and made."""

    name: str
    version: Version
    companions: Sequence[str]
    """Executables that must lie beside the tool for an installation to be complete."""
    archive: download.Archive | None
    make: Callable[[Path], None]
    """Builds the tool from source into a folder."""


def pulumi() -> Tool:
    """The Pulumi CLI, with a Python language host beside it."""
    version = versions.pulumi()
    where = download.machine({"amd64": "x64", "arm64": "arm64"})
    release = f"pulumi-v{versions.show(version)}"
    archive = where and download.Archive(
        f"https://get.pulumi.com/releases/sdk/{release}-{where[0]}-{where[1]}.tar.gz",
        f"https://github.com/pulumi/pulumi/releases/download/v{versions.show(version)}/"
        f"pulumi-{versions.show(version)}-checksums.txt",
    )

    def make(folder: Path) -> None:
        gobuild.build(
            GO_MODULES / "pulumi",
            ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
            folder,
            usual="5 minutes on 2 cores",
            stamp=f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{versions.show(version)}",
        )
        # Beside the CLI, where it looks for what it came with. Both places are three folders below the
        # checkout.
        for host in sorted((LANGUAGE_HOST / "bin").iterdir()):
            shutil.copy2(host, folder / host.name)

    return find(Recipe("pulumi", version, ["pulumi-language-python"], archive or None, make))


def prometheus() -> Tool:
    """The Prometheus server. An installation or a download has promtool beside it; a build has not."""
    version = versions.prometheus()
    return _prometheus("prometheus", version, _archive("prometheus/prometheus", "prometheus", version))


def promtool() -> Tool:
    """Prometheus' tool for rules and queries, which only tests run: the one beside the server, or a build.

    It isn't built with the server, since it compiles Kubernetes' client as well, whatever the tags.
    """
    server = prometheus()
    if (server.folder / "promtool").exists():
        tool = Tool("promtool", server.version, server.folder, own=server.own)
        _link(tool, [tool.name])
        return tool
    return _prometheus("promtool", server.version)


def _prometheus(name: str, version: Version, archive: download.Archive | None = None) -> Tool:
    return from_go(
        name,
        version,
        GO_MODULES / "prometheus",
        f"{versions.PROMETHEUS_MODULE}/cmd/{name}",
        usual="2 minutes on 2 cores",
        flags=_NO_DISCOVERY,
        stamp=_stamp_of_prometheus(version),
        archive=archive,
    )


def actionlint() -> Tool:
    """The checker of GitHub's workflows."""
    version = versions.actionlint()
    where = download.machine({"amd64": "amd64", "arm64": "arm64"})
    base = f"https://github.com/rhysd/actionlint/releases/download/v{versions.show(version)}"
    file = f"{base}/actionlint_{versions.show(version)}"
    archive = where and download.Archive(f"{file}_{where[0]}_{where[1]}.tar.gz", f"{file}_checksums.txt")
    return from_go(
        "actionlint",
        version,
        GO_MODULES / "actionlint",
        "github.com/rhysd/actionlint/cmd/actionlint",
        usual="10 seconds",
        stamp=f"github.com/rhysd/actionlint.version={versions.show(version)}",
        archive=archive or None,
    )


def amtool() -> Tool:
    """Alertmanager's tool for its configuration, which only tests run."""
    version = versions.alertmanager()
    return from_go(
        "amtool",
        version,
        GO_MODULES / "alertmanager",
        "github.com/prometheus/alertmanager/cmd/amtool",
        usual="1 minute on 2 cores",
        stamp=_stamp_of_prometheus(version),
        archive=_archive("prometheus/alertmanager", "alertmanager", version),
    )


def _archive(repository: str, name: str, version: Version) -> download.Archive | None:
    """A release of one of the Prometheus project's programs, as all of them are named."""
    where = download.machine({"amd64": "amd64", "arm64": "arm64"})
    if not where:
        return None
    base = f"https://github.com/{repository}/releases/download/v{versions.show(version)}"
    file = f"{name}-{versions.show(version)}.{where[0]}-{where[1]}.tar.gz"
    return download.Archive(f"{base}/{file}", f"{base}/sha256sums.txt")


def _stamp_of_prometheus(version: Version) -> str:
    return f"github.com/prometheus/common/version.Version={versions.show(version)}"


def kubernetes() -> Tool:
    """Kubernetes' API server, with its controllers, its scheduler and etcd beside it.

    It is always a build where none is installed: no one archive has all four.
    """
    version = versions.kubernetes()

    def make(folder: Path) -> None:
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES]
        gobuild.build(
            GO_MODULES / "kubernetes",
            [*packages, "go.etcd.io/etcd/server/v3"],
            folder,
            usual="10 minutes on 2 cores",
            stamp=f"k8s.io/component-base/version.gitVersion=v{versions.show(version)}",
        )
        # Go names a program after its package's folder.
        if (folder / "server").exists():
            (folder / "server").rename(folder / "etcd")

    return find(Recipe(_KUBERNETES[0], version, [*_KUBERNETES[1:], "etcd"], None, make))


def kubernetes_provider() -> Tool:
    """Pulumi's own provider of Kubernetes, which only tests start by hand: the newest that Pulumi has
    fetched, or a build. The build's code is that of 4.25, the newest whose Go module is served."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    fetched = [
        Tool(_PROVIDER, version, folder, own=False)
        for folder in (home / "plugins").glob("resource-kubernetes-v4.*")
        if (folder / _PROVIDER).exists() and (version := versions.parse(folder.name))
    ]
    if fetched and "installed" in _allowed_sources():
        return max(fetched, key=lambda tool: tool.version)
    version = (4, 25, 0)

    def make(folder: Path) -> None:
        module = GO_MODULES / "pulumi-kubernetes"
        gobuild.build(
            module,
            [f"./{_PROVIDER}"],
            folder,
            usual="7 minutes on 2 cores",
            stamp=f"main.version={versions.show(version)}",
        )
        # Under its own name Pulumi would find it in `bin`, for real clusters too.
        (folder / _PROVIDER).rename(folder / "kubernetes-provider")
        source = gobuild.folder(module, "github.com/pulumi/pulumi-kubernetes/provider/v4")
        for name in ("schema.json", "terraform-mapping.json"):
            shutil.copyfile(source / "cmd" / _PROVIDER / name, folder / name)

    return find(Recipe("kubernetes-provider", version, [], None, make))


def from_go(
    name: str,
    version: Version,
    module: Path,
    package: str,
    *,
    usual: str,
    flags: Sequence[str] = (),
    stamp: str = "",
    archive: download.Archive | None = None,
) -> Tool:
    """Finds or makes a tool that is one command of a Go module, whose package has its name."""

    def make(folder: Path) -> None:
        gobuild.build(module, [package], folder, usual=usual, flags=flags, stamp=stamp)

    return find(Recipe(name, version, [], archive, make))


def find(recipe: Recipe) -> Tool:
    """Finds a tool or makes it, and links it in `.delivery/toolchain/bin`.

    Raises ToolError when neither is possible.
    """
    allowed = _allowed_sources()
    found = installed(recipe) if "installed" in allowed else ""
    tool = found if isinstance(found, Tool) else _own(recipe, allowed, passed_over=found)
    try:
        _link(tool, [recipe.name, *recipe.companions])
    except OSError as error:
        raise errors.explain(error, f"Linking {recipe.name} in {BIN}") from error
    return tool


def installed(recipe: Recipe) -> Tool | str:
    """The tool as it is installed on PATH; or why that one won't do, an empty text when there is none."""
    found = shutil.which(recipe.name)
    if found is None:
        return ""
    executable = Path(found).resolve()
    if executable.is_relative_to(TOOLCHAIN.resolve()):
        return ""
    missing = [name for name in recipe.companions if not (executable.parent / name).exists()]
    if missing:
        return f"{executable} has no {missing[0]} beside it"
    version = _version_of(executable)
    if version is None:
        return f"{executable} doesn't say its version"
    if not versions.accepts(recipe.version, version):
        wanted = f"{versions.show(recipe.version)} or newer, below {recipe.version[0] + 1}, is needed"
        return f"{executable} is version {versions.show(version)}; {wanted}"
    return Tool(recipe.name, version, executable.parent, own=False)


def _own(recipe: Recipe, allowed: Sequence[str], passed_over: str) -> Tool:
    """The tool that the checkout keeps, made now if it isn't there yet."""
    kept = TOOLCHAIN / f"{recipe.name}-{versions.show(recipe.version)}"
    tool = Tool(recipe.name, recipe.version, kept, own=True)
    if tool.executable.exists():
        return tool
    if passed_over:
        sys.stderr.write(f"The installed {recipe.name} isn't used: {passed_over}\n")
    try:
        with alone(TOOLCHAIN, recipe.name):
            if not tool.executable.exists():
                _make(recipe, kept, allowed)
    except OSError as error:
        raise errors.explain(error, f"Getting {recipe.name} into {TOOLCHAIN}") from error
    return tool


def _version_of(executable: Path) -> Version | None:
    """The version a program says it has. Kept for the next time, since asking takes half a second."""
    state = executable.stat()
    key = f"{executable} {state.st_size} {state.st_mtime_ns}"
    memory = TOOLCHAIN / f"version-of-{executable.name}"
    if memory.exists():
        known, _, text = memory.read_text().partition("\n")
        if known == key:
            return versions.parse(text)
    try:
        answer = subprocess.run(
            [executable, "--version"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        version = versions.parse(answer.stdout + answer.stderr)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    make_folder(TOOLCHAIN)
    memory.write_text(f"{key}\n{versions.show(version)}")
    return version


def _make(recipe: Recipe, kept: Path, allowed: Sequence[str]) -> None:
    """Downloads or builds the tool beside its place, and moves it there when it is whole."""
    for left_over in TOOLCHAIN.glob(f".new-{recipe.name}-*"):
        shutil.rmtree(left_over)
    new = make_folder(TOOLCHAIN / f".new-{recipe.name}-{os.getpid()}")
    try:
        if not ("download" in allowed and recipe.archive and _download(recipe, recipe.archive, new)):
            if "build" not in allowed:
                raise ToolError(
                    f"{recipe.name} can't be downloaded, and DELIVERY_TOOLCHAIN doesn't allow a build."
                )
            recipe.make(new)
        if kept.exists():
            shutil.rmtree(kept)
        new.rename(kept)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _download(recipe: Recipe, archive: download.Archive, new: Path) -> bool:
    unpacked = download.fetch(archive, new)
    if unpacked is None:
        return False
    executable = next((file for file in sorted(unpacked.rglob(recipe.name)) if file.is_file()), None)
    if executable is None:
        raise ToolError(f"{archive.url} has no {recipe.name} in it.")
    # Archives have a folder or two at their top: what lies beside the program is what counts.
    beside = executable.parent
    if beside != new:
        content = new.with_name(f"{new.name}-content")
        beside.rename(content)
        shutil.rmtree(new)
        content.rename(new)
    return True


def _link(tool: Tool, names: Sequence[str]) -> None:
    make_folder(BIN)
    for name in names:
        target = tool.folder / name
        link = BIN / name
        wanted = os.path.relpath(target, BIN) if tool.own else str(target)
        if link.is_symlink() and os.readlink(link) == wanted:  # noqa: PTH115
            continue
        fresh = BIN / f".{name}-{os.getpid()}"
        fresh.symlink_to(wanted)
        fresh.replace(link)


def _allowed_sources() -> list[str]:
    text = os.environ.get("DELIVERY_TOOLCHAIN", "")
    allowed = [word.strip() for word in text.split(",") if word.strip()] or list(SOURCES)
    unknown = [word for word in allowed if word not in SOURCES]
    if unknown:
        raise ToolError(
            f"DELIVERY_TOOLCHAIN={text}: {unknown[0]!r} isn't known; {', '.join(SOURCES)} are accepted."
        )
    return allowed


def main() -> int:
    """The command line: names of tools, those that a stack needs when none is given."""
    makers = {
        "pulumi": pulumi,
        "prometheus": prometheus,
        "promtool": promtool,
        "amtool": amtool,
        "actionlint": actionlint,
        "kubernetes": kubernetes,
        "kubernetes-provider": kubernetes_provider,
    }
    names = sys.argv[1:] or ["pulumi", "prometheus"]
    for name in names:
        if name not in makers:
            raise ToolError(f"{name!r} is no tool of this checkout; {', '.join(makers)} are.")
    for name in names:
        tool = makers[name]()
        sys.stdout.write(f"{name} {versions.show(tool.version)}: {tool.executable}\n")
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main))
