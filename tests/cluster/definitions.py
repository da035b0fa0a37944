"""Where the definitions of the charts' objects are from: each project's own Go module.

No chart can be had from a package registry, but a project's module has the files that its chart is made of.
Go checks what it downloads against the public checksum database, and here it must also be what it was when it
was chosen.

    python -m tests.cluster.definitions    writes components/kubernetes/crds/ from the modules
"""

from __future__ import annotations

import json
import lzma
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.kubernetes import charts
from components.kubernetes.crds import apply
from components.kubernetes.definitions import FOLDER

_SECONDS = 300


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as Kubernetes reads it: a lone ``=`` is a text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where definitions are."""

    module: str
    version: str
    sum: str
    """Go's checksum of the module."""
    files: Sequence[str]
    """Files, or folders of files."""


_GATEWAY = "charts/gateway-helm/charts/crds/crds"


def _gateway(*files: str) -> Source:
    return Source(
        module="github.com/envoyproxy/gateway",
        # The newest that the module proxy serves; the chart is a later patch of the same minor version.
        version="v1.9.1",
        sum="h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
        files=files,
    )


KEPT = {
    "gateway-api": ("1.6.1", _gateway(f"{_GATEWAY}/gatewayapi-crds.yaml")),
    "envoy-gateway": ("1.9.1", _gateway(f"{_GATEWAY}/generated")),
    "prometheus-operator": (
        # The operator of kube-prometheus-stack 81.6.2.
        "0.88.1",
        Source(
            module="github.com/prometheus-operator/prometheus-operator",
            version="v0.88.1",
            sum="h1:Q7n9RxP41IGOG9H/wDpSESeCc1ZPoGEpbXDWWRts/9A=",
            files=("example/prometheus-operator-crd",),
        ),
    ),
}
"""What ``components/kubernetes/crds/`` has, by name: the version and where it is from."""

OF_CHARTS = {
    charts.KEDA_CHART: Source(
        module="github.com/kedacore/keda/v2",
        version=f"v{charts.KEDA_CHART.version}",
        sum="h1:SR60v8uIcelbveS8n/1jcl8tLdBBIbHMxmdOHw8tKqA=",
        files=("config/crd/bases/keda.sh_scaledobjects.yaml",),
    ),
    charts.KEDA_HTTP: Source(
        module="github.com/kedacore/http-add-on",
        version=f"v{charts.KEDA_HTTP.version}",
        sum="h1:6xqqvzFB/Yw9zBSsPD/T6DBTaOj6N4/NqbAs26E5XGA=",
        files=("config/crd/bases/http.keda.sh_interceptorroutes.yaml",),
    ),
}
"""What charts bring among their templates, so that Helm upgrades it: of each chart the kinds that the program
declares."""


def named(chart: str) -> Source | None:
    """What the chart of that name brings; None: nothing."""
    return next((source for found, source in OF_CHARTS.items() if found.chart == chart), None)


@cache
def definitions(source: Source) -> list[dict[str, Any]]:
    """The definitions in a source's files, downloaded on first use."""
    texts = [file.read_text() for file in _files(_download(source), source.files)]
    found = [each for text in texts for each in yaml.load_all(text, _Loader) if each]
    return [each for each in found if each["kind"] == "CustomResourceDefinition"]


def _files(folder: Path, names: Iterable[str]) -> list[Path]:
    found = [folder / name for name in names]
    return [file for each in found for file in (sorted(each.glob("*.yaml")) if each.is_dir() else [each])]


def _download(source: Source) -> Path:
    go = shutil.which("go")
    assert go, "Go is needed to download the definitions of the charts' objects (https://go.dev/dl)"
    words = [go, "mod", "download", "-json", f"{source.module}@{source.version}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, cwd=Path(__file__).parent)
    found = json.loads(done.stdout or "{}")
    assert "Dir" in found, f"{' '.join(words[1:])}: {found.get('Error') or done.stderr}"
    assert found["Sum"] == source.sum, f"{source.module} {source.version} is {found['Sum']}, not {source.sum}"
    return Path(found["Dir"])


def kept() -> dict[str, apply.Definitions]:
    """What ``crds/`` has to have, by name."""
    return {
        name: apply.Definitions(name, version, definitions(source))
        for name, (version, source) in KEPT.items()
    }


def main() -> None:
    """Write the folder's files."""
    index: dict[str, Any] = {}
    for name, wanted in kept().items():
        content = {"name": name, "version": wanted.version, "definitions": wanted.objects}
        text = json.dumps(content, separators=(",", ":"), sort_keys=True)
        preset = 9 | lzma.PRESET_EXTREME
        (FOLDER / f"{name}.json.xz").write_bytes(lzma.compress(text.encode(), preset=preset))
        _, source = KEPT[name]
        index[name] = {
            "version": wanted.version,
            "module": f"{source.module}@{source.version}",
            "sum": source.sum,
            "names": sorted(each["metadata"]["name"] for each in wanted.objects),
        }
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
