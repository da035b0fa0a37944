"""What building and running images asks of a machine, and how it comes by it.

A Docker engine of the tests' own runs as root. Where Debian's packages for it are missing, apt installs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tools import images
from tools.errors import ToolError
from tools.paths import TOOLCHAIN, make_folder
from tools.toolchain import Tool

PROGRAMS = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "debootstrap": "debootstrap",
}
"""The Debian package of each program."""
SECONDS = 600
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class UnableError(Exception):
    """Why no image can be built and run on this machine."""


def found(program: str) -> str:
    """Where a program is; raises UnableError where it is missing."""
    path = shutil.which(program, path=_PATH)
    if path is None:
        raise UnableError(f"{program} is missing")
    return path


def prepare() -> Path:
    """Install and build what is missing. Returns the base image's file system, a tar file.

    Raises UnableError, with a sentence, where the machine can't run a Docker engine.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnableError("a Docker engine of the tests' own needs Linux, and root")
    missing = sorted({PROGRAMS[name] for name in PROGRAMS if shutil.which(name, path=_PATH) is None})
    if missing:
        _install(missing)
    for name in PROGRAMS:
        found(name)
    if shutil.which("go") is None:
        raise UnableError("go is missing, by which the provider, BuildKit and a registry are built")
    for make in (images.provider, images.buildkitd, images.registry, images.emulator, lambda_adapter):
        make()
    return _base()


@cache
def lambda_adapter() -> Tool | None:
    """AWS' Lambda Web Adapter; None, with a note, where it can't be built: one test alone needs it."""
    try:
        return images.adapter()
    except ToolError as error:
        print(f"{error}", file=sys.stderr)
        return None


def adapter(folder: Path) -> Path:
    """The file system, a tar file, of an image with AWS' Lambda Web Adapter; with a program that does nothing
    in its place where that can't be built."""
    file = folder / "lambda-adapter"
    if tool := lambda_adapter():
        shutil.copy(tool.executable, file)
    else:
        file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    packed = folder / "adapter.tar"
    _ran("tar", "-C", str(folder), "-cf", str(packed), file.name, why="tar failed")
    return packed


def _install(packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise UnableError(f"{', '.join(packages)} is missing, and there is no apt to install it")
    print(f"Installing {', '.join(packages)} by apt, for the tests' own Docker engine", file=sys.stderr)
    for words in (("update",), ("install", "--yes", "--no-install-recommends", *packages)):
        _ran("apt-get", *words, why=f"apt can't install {', '.join(packages)}")


def _base() -> Path:
    """A slim Debian with Python, as the official images of Python are; none of those can be counted on here.

    It trusts whom this machine trusts, so that pip reaches the same registry.
    """
    kept = TOOLCHAIN / f"base-{_SUITE}.tar"
    if not kept.exists():
        new = make_folder(TOOLCHAIN / f".new-base-{os.getpid()}")
        try:
            print("Making a base image with debootstrap (usually a minute)", file=sys.stderr)
            mirror = os.environ.get("DELIVERY_DEBIAN", "http://deb.debian.org/debian")
            words = ("--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(new / "root"), mirror)
            _ran("debootstrap", *words, why=f"debootstrap can't reach {mirror}")
            root = new / "root"
            if _CERTIFICATES.exists():
                shutil.copy(_CERTIFICATES, root / _CERTIFICATES.relative_to("/"))
            (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            for folder in ("var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(root / folder, ignore_errors=True)
            _ran("tar", "-C", str(root), "-cf", str(new / "root.tar"), ".", why="tar failed")
            (new / "root.tar").rename(kept)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return kept


def _ran(program: str, *words: str, why: str) -> None:
    env = {**os.environ, "PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        [found(program), *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    if done.returncode != 0:
        raise UnableError(f"{why}: {' '.join(done.stdout.splitlines()[-2:])}")
