"""``python -m benchmarks.image``: how large each variant of the images is, and how long its servers take to
be ready, on a Docker engine of its own (as root).
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import stopping
from tests.image.engine import Engine, engine
from tests.image.machine import UnableError, adapter, prepare
from tests.image.models import NAME, SERVER_PORT, Models, Released, registered
from tests.image.stack import built, variants_of, working_tree
from tests.image.variants import ADAPTER, POD, SERVES

ROUNDS = 5
_PAUSE = 0.01
_VARIANTS = ("onnx", "sklearn", "both")


@dataclass(frozen=True)
class Start:
    """One server's way from ``docker start`` to ready."""

    seconds: float
    processor: float
    """Seconds of processor time of the container."""
    mebibytes: float
    """Memory of its processes when it is ready, without files."""


@dataclass(frozen=True)
class Built:
    """What there is to measure."""

    docker: Engine
    images: Mapping[str, str]
    mlflow: str
    models: Models


def main() -> int:
    try:
        with prepared() as found:
            lines = report(found)
    except UnableError as error:
        print(f"nothing is measured: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


@contextmanager
def prepared() -> Generator[Built]:
    """Build, push and register all of it."""
    base = prepare()
    folder = Path(tempfile.mkdtemp(prefix="images-"))
    try:
        with engine(folder / "docker") as docker:
            (folder / "adapter").mkdir()
            docker.take("base", base)
            docker.take(ADAPTER, adapter(folder / "adapter"))
            (folder / "stack").mkdir()
            stack = built(folder / "stack", working_tree(folder / "tree"), docker)
            (folder / "variants").mkdir()
            others = variants_of(folder / "variants", docker)
            images = {"both": stack.outputs()["image"], **others.outputs()}
            mlflow = stack.references()["tracking-image"]
            (folder / "models").mkdir()
            with registered(docker, mlflow, folder / "models") as models:
                for release in models.released.values():
                    # Fetched by root, and read by a server that isn't.
                    for path in (release.folder, *release.folder.rglob("*")):
                        path.chmod(0o755 if path.is_dir() else 0o644)
                yield Built(docker, images, mlflow, models)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report(found: Built) -> list[str]:
    """Two tables in Markdown."""
    docker = found.docker
    base = unpacked(docker, docker.base), pushed(docker, docker.base)
    lines = ["| image | on its base, MB | pushed on top of the base, MB |", "|---|---:|---:|"]
    for name, image in {**{v: found.images[v] for v in _VARIANTS}, "MLflow": found.mlflow}.items():
        own = unpacked(docker, image) - base[0], pushed(docker, image) - base[1]
        lines.append(f"| {name} | {own[0] / 1e6:.0f} | {own[1] / 1e6:.0f} |")
    lines.append(f"| the base of these tests | {base[0] / 1e6:.0f} | {base[1] / 1e6:.0f} |")
    lines += [
        "",
        "| image | model | ready after, s (all) | processor time, s | memory, MiB |",
        "|---|---|---:|---:|---:|",
    ]
    cases = [(variant, flavor) for variant in _VARIANTS for flavor in SERVES[variant]]
    seen: dict[tuple[str, str], list[Start]] = {case: [] for case in cases}
    # In turn, so that what else the machine does meets all of them.
    for _ in range(ROUNDS):
        for variant, flavor in cases:
            seen[variant, flavor].append(start(docker, found.images[variant], found.models.released[flavor]))
    for (variant, flavor), starts in seen.items():
        seconds = [s.seconds for s in starts]
        lines.append(
            f"| {variant} | {flavor} | {statistics.median(seconds):.2f} ({min(seconds):.2f} to"
            f" {max(seconds):.2f}) | {statistics.median(s.processor for s in starts):.2f} |"
            f" {statistics.median(s.mebibytes for s in starts):.0f} |"
        )
    return lines


def unpacked(docker: Engine, image: str) -> int:
    """Bytes of its file system."""
    docker.docker("pull", "--quiet", image)
    return int(docker.docker("image", "inspect", "--format", "{{.Size}}", image))


def pushed(docker: Engine, image: str) -> int:
    """Bytes of its layers in the registry, which a node pulls."""
    return sum(layer["size"] for layer in docker.manifest(image)[1]["layers"])


def start(docker: Engine, image: str, release: Released) -> Start:
    """Start a server whose artifact is there already, as a pod's init container leaves it."""
    env = {
        "SERVING_MODEL": NAME,
        "SERVING_VERSION": str(release.version),
        "SERVING_DIGEST": release.digest,
        "SERVING_ARTIFACT": "/model",
        "SERVING_HOST": "0.0.0.0",
        "SERVING_PORT": str(SERVER_PORT),
    }
    options = (*POD, "--volume", f"{release.folder}:/model:ro")
    began = time.perf_counter()
    with docker.container(image, env=env, options=options) as container:
        url = f"http://{container.address}:{SERVER_PORT}/v2/health/ready"
        while not ready(url):
            assert container.running, container.logs()
            time.sleep(_PAUSE)
        seconds = time.perf_counter() - began
        return Start(seconds, container.processor_seconds(), container.memory_bytes() / 2**20)


def ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=60).status_code == 200
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    sys.exit(stopping.run(main))
