"""The routes of the local gateway: the files that Envoy watches, and Envoy's word on what is in force.

The gateway's folder has ``own.json`` (its own routes), ``routes/MODEL.json`` (a model's route), and what
Envoy watches, made from all routes: ``clusters.json`` and ``routes.json``. Envoy's administration interface
is ``admin.sock`` in it.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from provider import envoy
from provider.files import locked, make_folder, read_file, tail, write_file
from provider.resource import Properties, ProviderError
from provider.unix_http import UnixConnection
from provider.waiting import wait_until

_IN_FORCE_SECONDS = 60.0
_POLL_SECONDS = 0.002
_CLUSTERS = "cluster_manager.cds"
_TABLE = f"http.gateway.rds.{envoy.ROUTE_TABLE}"
_WARMING = "cluster_manager.warming_clusters"
_REFUSAL_SECONDS = 0.1


class Gateway:
    """The gateway of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cluster_file = folder / "clusters.json"
        self._table_file = folder / "routes.json"
        self._log = folder.parent.parent / "logs" / f"{folder.name}.log"

    def put(self, route: Properties, id: str) -> None:
        """Bring a route into force; it belongs to the creation ``id`` then. Where that fails, ProviderError,
        and the former route is back."""
        record = {**envoy.written(route), "id": id}
        file = self._route_file(route["model"])
        make_folder(file.parent)
        with locked(self._folder / ".lock"):
            # Written beside it first: the record must not fail once the traffic has moved. Until then the
            # former one holds, by which the routes of other models are written.
            staged = file.with_name(f".{file.name}.new")
            write_file(staged, json.dumps(record, indent=1))
            try:
                self._apply(self._routes(instead=record))
            except ProviderError:
                self._back_to(staged)
                raise
            staged.replace(file)

    def owner(self, model: str) -> str | None:
        """The id of the creation that a model's route belongs to, or None where none was noted."""
        return (_object(read_file(self._route_file(model))) or {}).get("id")

    def drop(self, model: str, id: str) -> None:
        """Take the route of the creation ``id`` out of force; its successor's stays. A gateway that isn't
        running needs no word of it."""
        if not self._folder.exists():
            return
        with locked(self._folder / ".lock"):
            if self.owner(model) not in (None, id):
                return
            self._route_file(model).unlink(missing_ok=True)
            if self._admin("/ready"):
                self._apply(self._routes())
            else:
                self._write(self._routes())

    def recorded(self, model: str) -> Properties | None:
        """A model's route as its file says, or None where there is none that can be read."""
        return _read(self._route_file(model))

    def trouble(self, route: Properties) -> str:
        """What is wrong with a route that should be in force, or nothing. Envoy is asked if it runs."""
        try:
            routes = self._routes()
        except ProviderError:
            return "a file of the gateway can't be read"
        clusters, table = _clusters(routes), self._table(routes)
        recorded = self.recorded(route["model"]) == envoy.settings(route)
        if not recorded or (read_file(self._cluster_file), read_file(self._table_file)) != (
            clusters[0],
            table[0],
        ):
            return "the gateway's files were changed by hand"
        known = self._in_force(_CLUSTERS), self._in_force(_TABLE)
        follows = known in ((clusters[1], table[1]), ("", ""))
        return "" if follows else "the gateway does not follow its files"

    def _apply(self, routes: list[Properties]) -> None:
        clusters, table = _clusters(routes), self._table(routes)
        known = self._known_clusters()
        if any(known.get(c["name"]) != c for c in envoy.clusters(routes)):
            # What is routed to now stays until the new table is in force.
            self._bring(self._cluster_file, _clusters(routes, keep=known), _CLUSTERS)
        self._bring(self._table_file, table, _TABLE)
        if read_file(self._cluster_file) != clusters[0]:
            self._bring(self._cluster_file, clusters, _CLUSTERS)

    def _bring(self, file: Path, content: tuple[str, str], scope: str) -> None:
        """Write a file and return when Envoy goes by it."""
        refusals = self._refusals(scope)
        text, version = content
        write_file(file, text)
        due = time.monotonic() + _REFUSAL_SECONDS

        def in_force() -> bool:
            if self._in_force(scope) == version:
                # A cluster is warm after its first health check, so a table that names it finds it ready.
                return scope != _CLUSTERS or self._stat("Gauges", _WARMING) == "0"
            if time.monotonic() > due and self._refusals(scope) > refusals:
                raise ProviderError(f"the gateway refuses {file}; its log ends with:\n{tail(self._log, 5)}")
            return False

        if not wait_until(in_force, _IN_FORCE_SECONDS, _POLL_SECONDS):
            why = "does not follow" if self._admin("/ready") else "does not answer, so it can't follow"
            raise ProviderError(
                f"the gateway {why} {file} (waited {_IN_FORCE_SECONDS:g} s); "
                f"its log ends with:\n{tail(self._log, 5)}"
            )

    def _back_to(self, staged: Path) -> None:
        # The first error is the one to tell; a disk that is full now may well refuse this too.
        with suppress(ProviderError, OSError):
            staged.unlink(missing_ok=True)
            self._write(self._routes())

    def _write(self, routes: list[Properties]) -> None:
        for file, (text, _) in (
            (self._cluster_file, _clusters(routes)),
            (self._table_file, self._table(routes)),
        ):
            if read_file(file) != text:
                write_file(file, text)

    def _routes(self, instead: Properties | None = None) -> list[Properties]:
        """Every route of the gateway, with ``instead`` in place of the recorded one of its model."""
        changed = [] if instead is None else [envoy.settings(instead)]
        names = {f"{route['model']}.json" for route in changed}
        files = [f for f in sorted((self._folder / "routes").glob("*.json")) if f.name not in names]
        found = [_read(file) for file in files]
        for file, route in zip(files, found, strict=True):
            if route is None:
                # Without it the table would drop the model, and with it its traffic.
                raise ProviderError(
                    f"{file} is no route any more; run the same command again to write it again"
                )
        return [*(route for route in found if route is not None), *changed]

    def _table(self, routes: list[Properties]) -> tuple[str, str]:
        own = _object(read_file(self._folder / "own.json")) or {}
        return envoy.discovery_response([envoy.route_table(routes, own.get("routes", []))])

    def _known_clusters(self) -> dict[str, Properties]:
        content = _object(read_file(self._cluster_file)) or {}
        return {c["name"]: c for c in content.get("resources", [])}

    def _route_file(self, model: str) -> Path:
        return self._folder / "routes" / f"{model}.json"

    def _in_force(self, scope: str) -> str:
        """The version that Envoy goes by, or nothing where it doesn't answer."""
        return self._stat("TextReadouts", f"{scope}.version_text")

    def _refusals(self, scope: str) -> int:
        # Envoy looks through the counters of all clusters for it, on the thread that is to read the file.
        return int(self._stat("Counters", f"{scope}.update_rejected") or 0)

    def _stat(self, kind: str, name: str) -> str:
        """One of Envoy's statistics; nothing where Envoy doesn't answer or doesn't know it."""
        pattern = quote(f"^{re.escape(name)}$", safe="")
        return self._admin(f"/stats?type={kind}&filter={pattern}").partition(": ")[2].strip().strip('"')

    def _admin(self, path: str) -> str:
        connection = UnixConnection(self._folder, "admin.sock", timeout=15)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            return text if response.status == 200 else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()


def _clusters(routes: list[Properties], keep: dict[str, Properties] | None = None) -> tuple[str, str]:
    wanted = {**(keep or {}), **{c["name"]: c for c in envoy.clusters(routes)}}
    return envoy.discovery_response([wanted[name] for name in sorted(wanted)])


def _read(file: Path) -> Properties | None:
    route = _object(read_file(file))
    if route is None or route.keys() - {"id", *envoy.DEFAULTS} != {*envoy.REQUIRED}:
        return None
    return envoy.settings(route)


def routed_addresses(run: Path) -> set[str]:
    """Every address that a route of a gateway in the run folder names."""
    routes = [_read(file) for file in run.glob("processes/*/routes/*.json")]
    return {a for route in routes if route for backend in route["backends"] for a in backend["addresses"]}


def _object(text: str | None) -> Properties | None:
    try:
        content: Any = json.loads(text or "")
    except ValueError:
        return None
    return cast(Properties, content) if isinstance(content, dict) else None
