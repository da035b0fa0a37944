"""``delivery:local:Route``: one model's traffic on the local gateway.

Inputs
    folder    the gateway's folder (absolute): ``own.json`` has its own routes, ``routes/MODEL.json`` is this route, ``clusters.json`` and ``routes.json`` are what
              Envoy watches, made from all routes
    model     the first segment of the path
    backends  a list of ``{version, weight, shadow, addresses}``; weights of those that aren't shadows sum to 100

Creation and update return when Envoy answers by the new table. Clusters come before the routes that name them and go after.
"""

from __future__ import annotations

import fcntl
import http.client
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from provider import envoy
from provider.daemon import UnixConnection, make_folder, tail, wait_until, write_file
from provider.resource import Checked, Context, Diff, Failure, Properties, ProviderError, changed_paths

_IN_FORCE_SECONDS = 20.0


class Route:
    """See the module's text for inputs and outputs."""

    def check(self, context: Context, old: Properties | None, new: Properties) -> Checked:
        weights = [b["weight"] for b in new["backends"] if not b["shadow"]]
        if sum(weights) != 100:
            return Checked(new, (Failure("", f"weights must sum to 100, not {sum(weights)}"),))
        return Checked(new)

    def diff(self, context: Context, id: str, state: Properties, new: Properties) -> Diff:
        paths = [
            p for key in ("backends", "folder", "model") for p in changed_paths(state.get(key), new[key], key)
        ]
        if paths:
            replaced: bool = state["model"] != new["model"] or state["folder"] != new["folder"]
            remark = f"{new['model']}: {traffic_words(state['backends'])} → {traffic_words(new['backends'])}"
            return Diff(dict.fromkeys(paths, replaced), delete_before_replace=replaced, remark=remark)
        if _read(_route_file(new)) == _record(new) and Gateway(new).files_current():
            return Diff()
        return Diff(
            {"backends": False},
            remark=f"{new['model']}: the gateway's files were changed by hand; they will be written again",
        )

    def create(self, context: Context, inputs: Properties) -> tuple[str, Properties]:
        if not context.preview:
            Gateway(inputs).put(inputs)
        return inputs["model"], inputs

    def read(self, context: Context, id: str, state: Properties) -> Properties | None:
        found = _read(_route_file(state))
        return None if found is None else {**state, **found}

    def update(self, context: Context, id: str, state: Properties, new: Properties) -> Properties:
        if not context.preview:
            Gateway(new).put(new)
        return new

    def delete(self, context: Context, id: str, state: Properties) -> None:
        Gateway(state).drop(state)


def traffic_words(backends: list[Properties]) -> str:
    """A route's traffic in one phrase: ``v3 90 %, v4 10 %`` or ``v3 100 %, v4 shadow``."""
    return ", ".join(
        f"v{b['version']} {'shadow' if b['shadow'] else str(b['weight']) + ' %'}" for b in backends
    )


class Gateway:
    """The files that Envoy watches and its word on what is in force."""

    def __init__(self, route: Properties) -> None:
        self._folder = Path(route["folder"])

    def put(self, route: Properties) -> None:
        """Bring a route into force. On a refusal by Envoy the former route is put back before the error."""
        with self._locked():
            file = _route_file(route)
            before = file.read_text() if file.exists() else None
            make_folder(file.parent)
            write_file(file, json.dumps(_record(route), indent=1))
            try:
                self._apply()
            except ProviderError:
                if before is None:
                    file.unlink()
                else:
                    write_file(file, before)
                self._write(self._routes())
                raise

    def drop(self, route: Properties) -> None:
        """Take a route out of force. A gateway that isn't running needs no word of it."""
        with self._locked():
            _route_file(route).unlink(missing_ok=True)
            if self._status("/ready"):
                self._apply()
            else:
                self._write(self._routes())

    def files_current(self) -> bool:
        """Whether Envoy's files say what the routes say."""
        routes = self._routes()
        wanted = (self._clusters(routes)[0], self._table(routes)[0])
        return wanted == tuple(
            p.read_text() if p.exists() else "" for p in (self._cluster_file, self._table_file)
        )

    @property
    def _cluster_file(self) -> Path:
        return self._folder / "clusters.json"

    @property
    def _table_file(self) -> Path:
        return self._folder / "routes.json"

    def _apply(self) -> None:
        routes = self._routes()
        text, version = self._clusters(routes)
        if self._needs_clusters(routes):
            # What is routed to now stays until the new table is in force.
            both, both_version = self._clusters(routes, keep=self._known_clusters())
            write_file(self._cluster_file, both)
            self._wait("clusters", lambda: self._clusters_in_force(routes, both_version))
        table, table_version = self._table(routes)
        write_file(self._table_file, table)
        self._wait("routes", lambda: self._table_in_force(table_version))
        if not self._cluster_file.exists() or self._cluster_file.read_text() != text:
            write_file(self._cluster_file, text)
            self._wait("clusters", lambda: self._clusters_in_force(routes, version))

    def _write(self, routes: list[Properties]) -> None:
        write_file(self._cluster_file, self._clusters(routes)[0])
        write_file(self._table_file, self._table(routes)[0])

    def _routes(self) -> list[Properties]:
        found = [_read(file) for file in sorted((self._folder / "routes").glob("*.json"))]
        return [route for route in found if route is not None]

    def _table(self, routes: list[Properties]) -> tuple[str, str]:
        own = _read(self._folder / "own.json") or {}
        return envoy.discovery_response([envoy.route_table(routes, own.get("routes", []))])

    def _clusters(self, routes: list[Properties], keep: list[Properties] | None = None) -> tuple[str, str]:
        wanted = {c["name"]: c for c in [*(keep or []), *envoy.clusters(routes)]}
        return envoy.discovery_response([wanted[name] for name in sorted(wanted)])

    def _known_clusters(self) -> list[Properties]:
        content = _read(self._cluster_file)
        return cast("list[Properties]", content.get("resources", [])) if content else []

    def _needs_clusters(self, routes: list[Properties]) -> bool:
        known = {c["name"]: c for c in self._known_clusters()}
        return any(known.get(c["name"]) != c for c in envoy.clusters(routes))

    def _clusters_in_force(self, routes: list[Properties], version: str) -> bool:
        # A cluster is active after its first health check, so a table that names it finds it warm.
        dump = self._dump("dynamic_active_clusters")
        active = {c["cluster"]["name"] for c in dump}
        wanted = {c["name"] for c in envoy.clusters(routes)}
        return wanted <= active and self._stat("cluster_manager.cds.version_text") == version

    def _table_in_force(self, version: str) -> bool:
        return any(r.get("version_info") == version for r in self._dump("dynamic_route_configs"))

    def _wait(self, what: str, in_force: Callable[[], bool]) -> None:
        rejected = self._rejections()

        def done() -> bool:
            if self._rejections() > rejected:
                raise ProviderError(
                    f"the gateway refused the new {what}; its log ends with:\n{tail(self._log)}"
                )
            return in_force()

        if not wait_until(done, _IN_FORCE_SECONDS):
            hint = "" if self._status("/ready") else f" and does not answer"
            raise ProviderError(
                f"the gateway did not take the new {what} within {_IN_FORCE_SECONDS:g} s{hint}; its log ends with:\n{tail(self._log)}"
            )

    @property
    def _log(self) -> Path:
        return self._folder.parent.parent / "logs" / f"{self._folder.name}.log"

    def _rejections(self) -> int:
        rejected = (
            self._stat(f"{scope}.update_rejected")
            for scope in ("cluster_manager.cds", f"http.gateway.rds.{envoy.ROUTE_TABLE}")
        )
        return sum(int(value or 0) for value in rejected)

    def _stat(self, name: str) -> str | None:
        for line in self._get(f"/stats?filter=^{name}$").splitlines():
            return line.partition(": ")[2].strip().strip('"')
        return None

    def _dump(self, resource: str) -> list[Properties]:
        text = self._get(f"/config_dump?resource={resource}")
        return cast("list[Properties]", json.loads(text).get("configs", [])) if text else []

    def _status(self, path: str) -> bool:
        return bool(self._get(path))

    def _get(self, path: str) -> str:
        connection = UnixConnection(self._folder, "admin.sock", timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            return text if response.status == 200 else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    @contextmanager
    def _locked(self) -> Generator[None]:
        # Routes of several models are applied side by side and share the files.
        make_folder(self._folder)
        with open(self._folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _record(route: Properties) -> Properties:
    return {"model": route["model"], "backends": route["backends"]}


def _route_file(route: Properties) -> Path:
    return Path(route["folder"]) / "routes" / f"{route['model']}.json"


def _read(path: Path) -> Properties | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return cast(Properties, content) if isinstance(content, dict) else None
