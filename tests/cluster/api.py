"""A Kubernetes API server over HTTPS: server-side apply as Pulumi's provider asks for it, and reading."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx

Object = dict[str, Any]
MANAGER = "pulumi"
"""The owner of the fields that the program declares."""
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """What the API server said no to, in its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Access:
    """The way into a cluster, with the rights of the token."""

    url: str
    authority: str
    """File of the certificate that the server's own is checked against."""
    token: str

    def of(self, user: str) -> Access:
        """The way in of another of the cluster's users."""
        return replace(self, token=f"{self.token}-{user}")

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.authority)
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=30, trust_env=False)

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    def kubeconfig(self, file: Path, context: str) -> Path:
        """The same for programs that read a kubeconfig, whose only context has this name."""
        cluster = {"server": self.url, "certificate-authority": self.authority}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{"name": context, "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": self.token}}],
        }
        # JSON is YAML.
        file.write_text(json.dumps(content))
        return file

    @classmethod
    def load(cls, file: Path) -> Access:
        return cls(**json.loads(file.read_text()))


class Kind(NamedTuple):
    """A kind of object: ``apps/v1``, ``Deployment``."""

    version: str
    name: str


class Event(NamedTuple):
    """One change that a watch has seen: ADDED, MODIFIED or DELETED."""

    type: str
    object: Object

    @property
    def revision(self) -> int:
        """Its place in the order of all changes of the cluster, whatever their kind: etcd counts them."""
        return int(self.object["metadata"]["resourceVersion"])


class Api:
    """What a cluster answers. Safe to share between threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._client = access.client()
        self._kinds: dict[Kind, tuple[str, bool]] = {}
        self._lock = threading.Lock()
        self.warnings: list[str] = []
        """What the API server has warned of, apart from what it did."""

    def close(self) -> None:
        self._client.close()

    def path(self, kind: Kind, namespace: str | None = None, name: str = "") -> str:
        """Where a kind's objects are, those of one namespace or one of them. Raises ApiError for a kind that
        the cluster doesn't have."""
        plural, namespaced = self._known(kind)
        base = f"/api/{kind.version}" if kind.version == "v1" else f"/apis/{kind.version}"
        space = f"/namespaces/{namespace or 'default'}" if namespaced and (namespace or name) else ""
        return f"{base}{space}/{plural}" + (f"/{name}" if name else "")

    def at(self, found: Mapping[str, Any]) -> str:
        """Where an object is, by what it says of itself."""
        metadata = found["metadata"]
        kind = Kind(found["apiVersion"], found["kind"])
        return self.path(kind, metadata.get("namespace") or "default", metadata["name"])

    def apply(
        self, found: Mapping[str, Any], *, dry: bool = False, force: bool = False, manager: str = MANAGER
    ) -> Object:
        """Apply an object under strict validation: what the schema doesn't know is refused. Returns it.

        Without ``force``, a field that another manager owns with another value is a conflict, as it is for
        the provider.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry:
            query["dryRun"] = "All"
        return self.send("PATCH", self.at(found), query, found, _APPLY)

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        return self.send("GET", self.path(kind, namespace, name))

    def find(self, path: str) -> Object | None:
        """The object at a path, None where there is none."""
        try:
            return self.send("GET", path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, kind: Kind, namespace: str | None = None) -> list[Object]:
        """Objects of a kind, those of every namespace where none is given."""
        return list(self.send("GET", self.path(kind, namespace)).get("items") or [])

    def status(self, found: Object, status: Mapping[str, Any]) -> None:
        """Report an object's status, as who runs it does."""
        self.send("PATCH", f"{self.at(found)}/status", {}, {"status": status}, _MERGE)

    def delete(self, path: str, **options: Any) -> None:
        """Delete an object; it may be gone already."""
        try:
            self.send("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        except ApiError as error:
            if error.code != 404:
                raise

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        type: str = "application/json",
    ) -> Object:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": type} if content else {}
        answer = self._client.request(method, path, params=query, content=content, headers=headers)
        if answer.is_error:
            raise ApiError(answer.status_code, _message(answer))
        self.warnings += [f"{method} {path}: {text}" for text in answer.headers.get_list("Warning")]
        return dict(answer.json())

    def watch(self, kind: Kind, stop: threading.Event, since: str = "0") -> Generator[Event]:
        """Changes of a kind in every namespace, from a resource version on, until ``stop`` is set.

        From ``0`` what is there comes first, as ADDED.
        """
        while not stop.is_set():
            query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "600"}
            # Short reads, so that who watches notices soon that it is to stop.
            timeout = httpx.Timeout(30, read=1)
            try:
                with self._client.stream("GET", self.path(kind), params=query, timeout=timeout) as answer:
                    for line in answer.iter_lines():
                        event = Event(**json.loads(line))
                        if event.type == "ERROR":
                            raise ApiError(int(event.object.get("code", 0)), str(event.object))
                        since = event.object["metadata"]["resourceVersion"]
                        yield event
                        if stop.is_set():
                            return
            except httpx.ReadTimeout:
                continue

    def _known(self, kind: Kind) -> tuple[str, bool]:
        with self._lock:
            if kind not in self._kinds:
                base = "/api/v1" if kind.version == "v1" else f"/apis/{kind.version}"
                try:
                    found = self.send("GET", base)["resources"]
                except ApiError as error:
                    if error.code != 404:
                        raise
                    found = []
                for resource in found:
                    if "/" not in resource["name"]:
                        known = Kind(kind.version, resource["kind"])
                        self._kinds[known] = (resource["name"], resource["namespaced"])
            if kind not in self._kinds:
                raise ApiError(404, f'no matches for kind "{kind.name}" in version "{kind.version}"')
            return self._kinds[kind]


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:2000]


def condition(found: Object, name: str) -> str:
    """A condition's status: True, False, Unknown, or empty where it isn't there."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((str(c["status"]) for c in conditions if c["type"] == name), "")


POD = Kind("v1", "Pod")
NODE = Kind("v1", "Node")
NAMESPACE = Kind("v1", "Namespace")
CONFIG_MAP = Kind("v1", "ConfigMap")
SERVICE = Kind("v1", "Service")
DEPLOYMENT = Kind("apps/v1", "Deployment")
REPLICA_SET = Kind("apps/v1", "ReplicaSet")
JOB = Kind("batch/v1", "Job")
SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler")
BUDGET = Kind("policy/v1", "PodDisruptionBudget")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute")
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
