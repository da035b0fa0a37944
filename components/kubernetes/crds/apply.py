"""Bring definitions of custom resources to the cluster of this pod, by its service account.

The program puts this file into a ConfigMap, beside the definitions, and a Job runs it: it may use Python's
standard library and nothing else. A definition that the cluster lacks is created; one that this program or
its charts have brought earlier is raised to this version, and stays where it is newer. A definition of
another owner stays where it is new enough; where it isn't, nothing at all is applied. No definition is ever
deleted: with it the API server deletes every object of its kind.
"""

import argparse
import http.client
import json
import lzma
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANAGER = "model-delivery"
"""The owner of the fields that are applied."""
APPLIED = "model-delivery/definitions"
"""The annotation that says which version of which definitions an object is: ``gateway-api 1.6.1``."""
TAKE_OVER = "model-delivery/take-over"
"""The annotation by which a cluster's admin hands a definition over: ``true``."""
_EARLIER = "pulumi-resource-kubernetes"
"""The owner of what a chart's folder ``crds/`` brought: Helm calls itself after the program that it is a part
of, which is Pulumi's provider (``getManagedFieldsManager`` in helm/v3/pkg/kube/client.go, 3.18.6)."""
_TOLD = ("gateway.networking.k8s.io/bundle-version", "operator.prometheus.io/version")
"""Annotations by which projects tell the version of their definitions."""
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KIND = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ESTABLISHED_SECONDS = 120.0

Object = dict[str, Any]
Send = Callable[[str, str, Object | None], Object | None]
"""Method, path and body to the answer; None where there is no such object. Raises RefusedError, OSError."""


class RefusedError(Exception):
    """The cluster's answer, or a reason of ours, that asking again can't change."""


@dataclass(frozen=True)
class Definitions:
    """One project's definitions at one version."""

    name: str
    version: str
    objects: Sequence[Object]


def read(file: Path) -> Definitions:
    """Read a file of definitions: JSON, compressed with xz."""
    content = json.loads(lzma.decompress(file.read_bytes()))
    return Definitions(content["name"], content["version"], content["definitions"])


def keeps(found: Object | None, wanted: Definitions) -> bool:
    """Whether the cluster's definition stays as it is. Raises RefusedError where it may neither stay nor be
    replaced."""
    if found is None:
        return False
    version = _version(found, wanted.name)
    if _is_ours(found):
        return version is not None and _numbers(version) > _numbers(wanted.version)
    if version is not None and _numbers(version) >= _numbers(wanted.version):
        return True
    name, owners = found["metadata"]["name"], ", ".join(_managers(found)) or "unknown"
    raise RefusedError(
        f"{name}, applied by {owners}, is {version or 'of a version that it does not tell'};"
        f" {wanted.name} {wanted.version} is needed"
    )


def apply(sets: Sequence[Definitions], send: Send, seconds: float = _ESTABLISHED_SECONDS) -> list[str]:
    """Apply what the cluster needs, all or nothing. Returns a line for each set; raises RefusedError."""
    todo: list[tuple[Definitions, Object]] = []
    refused: list[str] = []
    for wanted in sets:
        for definition in wanted.objects:
            name = definition["metadata"]["name"]
            try:
                if not keeps(send("GET", f"{_KIND}/{name}", None), wanted):
                    todo.append((wanted, _marked(definition, wanted)))
            except RefusedError as error:
                refused.append(str(error))
    if refused:
        raise RefusedError(
            "definitions of other owners are too old, and nothing was applied:\n- "
            + "\n- ".join(refused)
            + "\nRaise them where they come from; or hand them over to this stack: `kubectl annotate crd NAME"
            + f" {TAKE_OVER}=true`; or set `platform.definitions: existing` and apply all of them yourself."
        )
    # Admission and schema are asked about every one before the first is changed.
    for trial in ("&dryRun=All", ""):
        for _, definition in todo:
            name = definition["metadata"]["name"]
            send("PATCH", f"{_KIND}/{name}?fieldManager={MANAGER}&force=true{trial}", definition)
    names = [definition["metadata"]["name"] for wanted in sets for definition in wanted.objects]
    _await_established(names, send, seconds)
    return [f"{wanted.name} {wanted.version}: {_count(wanted, todo)}" for wanted in sets]


def cluster_version(send: Send) -> tuple[int, int]:
    """The version of the cluster, such as ``(1, 35)``."""
    answer = send("GET", "/version", None) or {}
    return int(answer["major"]), int(re.sub(r"\D.*", "", str(answer["minor"])))


def api_server(environment: Mapping[str, str], account: Path = _ACCOUNT) -> Send:
    """The cluster's API server, asked as this pod's service account."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    # Without the proxy to the internet that an image may name in its environment.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(account / "ca.crt"))),
    )

    def send(method: str, path: str, body: Object | None) -> Object | None:
        headers = {"Authorization": f"Bearer {(account / 'token').read_text().strip()}"}
        if body is not None:
            # JSON is YAML.
            headers["Content-Type"] = "application/apply-patch+yaml"
        request = urllib.request.Request(
            f"https://{address}:{port}{path}",
            method=method,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "GET":
                return None
            if 400 <= error.code < 500 and error.code not in (408, 409, 429):
                raise RefusedError(f"{path.partition('?')[0]}: {_message(error)}") from None
            raise

    return send


def main(arguments: Sequence[str], environment: Mapping[str, str], account: Path = _ACCOUNT) -> int:
    """Apply the definitions in a folder; returns 0, or 1 with a message."""
    parser = argparse.ArgumentParser(prog="apply.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the definitions")
    parser.add_argument("--least", default="1.0", help="the oldest Kubernetes that may get them")
    given = parser.parse_args(arguments)
    send = api_server(environment, account)
    try:
        version = cluster_version(send)
        if version < _numbers(given.least):
            raise RefusedError(
                f"the cluster is Kubernetes {version[0]}.{version[1]}, and what is installed here needs"
                f" {given.least} or later; nothing was applied"
            )
        lines = apply([read(file) for file in sorted(given.folder.glob("*.json.xz"))], send)
    except (RefusedError, OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _version(found: Object, name: str) -> str | None:
    """The version that a cluster's definition tells."""
    annotations = _annotations(found)
    applied = str(annotations.get(APPLIED, "")).split(" ")
    if applied[0] == name and len(applied) == 2:
        return applied[1]
    return next((str(annotations[key]) for key in _TOLD if key in annotations), None)


def _is_ours(found: Object) -> bool:
    annotations = _annotations(found)
    if APPLIED in annotations or annotations.get(TAKE_OVER) == "true":
        return True
    return _EARLIER in _managers(found)


def _managers(found: Object) -> list[str]:
    fields: list[Object] = found["metadata"].get("managedFields") or []
    # The API server itself reports in the status.
    return sorted({str(field["manager"]) for field in fields if field.get("subresource") != "status"})


def _annotations(found: Object) -> Object:
    return found["metadata"].get("annotations") or {}


def _marked(definition: Object, wanted: Definitions) -> Object:
    metadata = definition["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: f"{wanted.name} {wanted.version}"}
    return {**definition, "metadata": {**metadata, "annotations": annotations}}


def _count(wanted: Definitions, todo: Sequence[tuple[Definitions, Object]]) -> str:
    applied = sum(1 for each, _ in todo if each is wanted)
    kept = len(wanted.objects) - applied
    return f"{applied} applied" + (f", {kept} left as found" if kept else "")


def _await_established(names: Sequence[str], send: Send, seconds: float) -> None:
    end = time.monotonic() + seconds
    waiting = list(names)
    while True:
        waiting = [name for name in waiting if not _established(send("GET", f"{_KIND}/{name}", None))]
        if not waiting:
            return
        if time.monotonic() >= end:
            raise RefusedError(f"not established after {seconds:g} s: {', '.join(waiting)}")
        time.sleep(0.5)


def _established(found: Object | None) -> bool:
    conditions: list[Object] = (found or {}).get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _message(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
