"""The CustomResourceDefinitions that the program's charts bring, from the charts' own projects.

No chart can be had from a package registry, but each project's Go module has the files that its chart is
made of. Go checks what it downloads against the public checksum database, and here it must also be what it
was when it was chosen.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.kubernetes import charts

_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a chart's definitions are."""

    module: str
    version: str
    sum: str
    """Go's checksum of the module."""
    files: Sequence[str]
    """Those of the kinds that the program declares; a chart brings more."""


SOURCES = {
    charts.ENVOY_GATEWAY: Source(
        module="github.com/envoyproxy/gateway",
        version=charts.ENVOY_GATEWAY.version,
        sum="h1:noVz4fADhljSKpQFaspb25+C3kC8bBBisQZle9W0ei4=",
        files=(
            "charts/gateway-helm/crds/gatewayapi-crds.yaml",
            "charts/gateway-helm/crds/generated/gateway.envoyproxy.io_backendtrafficpolicies.yaml",
            "charts/gateway-helm/crds/generated/gateway.envoyproxy.io_clienttrafficpolicies.yaml",
            "charts/gateway-helm/crds/generated/gateway.envoyproxy.io_envoyproxies.yaml",
            "charts/gateway-helm/crds/generated/gateway.envoyproxy.io_securitypolicies.yaml",
        ),
    ),
    charts.KUBE_PROMETHEUS_STACK: Source(
        module="github.com/prometheus-operator/prometheus-operator",
        # The operator has versions of its own; this is the one of early 2026, as the chart is.
        version="v0.88.1",
        sum="h1:Q7n9RxP41IGOG9H/wDpSESeCc1ZPoGEpbXDWWRts/9A=",
        files=(
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        ),
    ),
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
"""By chart. The others bring no kind of object that the program declares."""


def named(chart: str) -> Source | None:
    """What the chart of that name brings; None: nothing."""
    return next((source for found, source in SOURCES.items() if found.chart == chart), None)


@cache
def definitions(source: Source) -> list[dict[str, Any]]:
    """The objects in a source's files, downloaded on first use."""
    folder = _download(source)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    texts = [(folder / file).read_text() for file in source.files]
    return [found for text in texts for found in yaml.load_all(text, loader) if found]


def _download(source: Source) -> Path:
    go = shutil.which("go")
    assert go, "Go is needed to download the definitions of the charts' objects (https://go.dev/dl)"
    words = [go, "mod", "download", "-json", f"{source.module}@{source.version}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, cwd=Path(__file__).parent)
    found = json.loads(done.stdout or "{}")
    assert "Dir" in found, f"{' '.join(words[1:])}: {found.get('Error') or done.stderr}"
    assert found["Sum"] == source.sum, f"{source.module} {source.version} is {found['Sum']}, not {source.sum}"
    return Path(found["Dir"])
