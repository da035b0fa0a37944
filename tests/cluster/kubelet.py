"""What stands in for the nodes: no container is started, but pods become what a node would report of them.

- A pod of a server becomes Running at once, and ready a moment later, as its probes would find.
- A pod of a Job does what its container would: its program runs here, with the arguments, the service
  account's token and the API server of the pod. It succeeds or fails by what that says. There are two:
  `serving.capacity`, and the one that a ConfigMap has for definitions.
- A pod that is to end is gone at once.

Which node a pod goes to, and whether it fits there, is the real scheduler's decision.
"""

from __future__ import annotations

import base64
import itertools
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serving import capacity
from tests.cluster.api import CONFIG_MAP, NODE, POD, Api, ApiError, Object

STARTUP_SECONDS = 0.7
"""Between running and ready, so that what doesn't wait for readiness is seen."""
_MOST_JOBS = 64
_PROGRAM_SECONDS = 240
_TOKEN = "kube-api-access"
"""How the API server's volume for a token begins."""
_GPU = "nvidia.com/gpu"


class Kubelet:
    """Every node of a cluster."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._seen: set[str] = set()
        self._ready_at: dict[str, threading.Timer] = {}
        self._addresses = itertools.count(10)
        self._jobs = ThreadPoolExecutor(_MOST_JOBS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.problems: list[str] = []
        """What no test may find here: bugs of this stand-in."""

    def start(self) -> None:
        for name, zone, gpus in (("a", "1", 0), ("b", "2", 0), ("gpu", "1", 8)):
            _join(self._api, name, zone, gpus)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        for timer in list(self._ready_at.values()):
            timer.cancel()
        self._thread.join(30)
        self._jobs.shutdown(wait=False, cancel_futures=True)

    def _follow(self) -> None:
        try:
            for event in self._api.watch(POD, self._stop):
                if event.type != "DELETED":
                    self._attend(event.object)
        except Exception as error:
            if not self._stop.is_set():
                self.problems.append(f"no pod is attended any more: {error!r}")

    def _attend(self, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            self._api.delete(self._api.at(pod), gracePeriodSeconds=0)
            return
        if not pod["spec"].get("nodeName") or pod["metadata"]["uid"] in self._seen:
            return
        self._seen.add(pod["metadata"]["uid"])
        number = next(self._addresses)
        address = f"10.244.{number // 250}.{number % 250 + 1}"
        running = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": _now()}
        self._report(pod, {**running, **_containers(pod, ready=False)})
        if pod["spec"]["restartPolicy"] == "Never":
            self._jobs.submit(self._run, pod)
            return
        timer = threading.Timer(STARTUP_SECONDS, self._report, (pod, _containers(pod, ready=True)))
        timer.daemon = True
        self._ready_at[pod["metadata"]["uid"]] = timer
        timer.start()

    def _report(self, pod: Object, status: Mapping[str, Any]) -> None:
        try:
            self._api.status(pod, status)
        except ApiError as error:
            # It may have been deleted meanwhile.
            if error.code != 404:
                self.problems.append(f"{pod['metadata']['name']}: {error}")
        except Exception as error:
            if not self._stop.is_set():
                self.problems.append(f"{pod['metadata']['name']}: {error!r}")

    def _run(self, pod: Object) -> None:
        try:
            code, said = self._program(pod)
        except Exception as error:
            self.problems.append(f"{pod['metadata']['name']}: {error!r}")
            code, said = 1, repr(error)
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "finishedAt": _now()}
        if code and pod["spec"]["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError":
            ended["message"] = said[-2048:]
        status = _containers(pod, ready=False)
        for container in status["containerStatuses"]:
            container["state"] = {"terminated": ended}
        self._report(pod, {"phase": "Failed" if code else "Succeeded", **status})

    def _program(self, pod: Object) -> tuple[int, str]:
        """Run a Job's program; returns its exit code, and what it wrote as far as that is known here."""
        (container,) = pod["spec"]["containers"]
        folder = self._folder / pod["metadata"]["uid"]
        folder.mkdir()
        where = self._account(pod, folder)
        command: list[str] = container["command"]
        if command == ["python", "-m", "serving.capacity"]:
            return capacity.main(container["args"], where, folder), ""
        mounts = {mount["mountPath"]: self._mounted(pod, mount["name"]) for mount in _own(container)}
        (mount,) = mounts
        assert command[:2] == ["python", f"{mount}/apply.py"], command
        program = f"{mounts[mount]}/apply.py"
        words = [str(mounts[word]) if word in mounts else word for word in command[2:]]
        # Without this project and without packages, as in an image that may have neither.
        start = (
            "import os, pathlib, runpy, sys;"
            f" main = runpy.run_path({program!r}, run_name='apply')['main'];"
            f" sys.exit(main(sys.argv[1:], os.environ, pathlib.Path({str(folder)!r})))"
        )
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", start, *words],
            env=where,
            capture_output=True,
            text=True,
            timeout=_PROGRAM_SECONDS,
        )
        return ran.returncode, ran.stdout + ran.stderr

    def _account(self, pod: Object, folder: Path) -> dict[str, str]:
        """Put the pod's token into a folder, if it gets one; returns where its API server is."""
        (container,) = pod["spec"]["containers"]
        namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        if any(m["name"].startswith(_TOKEN) for m in container.get("volumeMounts", [])):
            answer = self._api.send(
                "POST",
                f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                {},
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}},
            )
            (folder / "token").write_text(answer["status"]["token"])
            (folder / "ca.crt").write_bytes(Path(self._api.access.authority).read_bytes())
        server = urlsplit(self._api.access.url)
        return {
            "KUBERNETES_SERVICE_HOST": str(server.hostname),
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }

    def _mounted(self, pod: Object, name: str) -> Path:
        """A volume of ConfigMaps as a folder."""
        (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == name]
        folder = self._folder / f"{pod['metadata']['uid']}-{name}"
        folder.mkdir()
        for source in volume["projected"]["sources"]:
            found = self._api.get(CONFIG_MAP, pod["metadata"]["namespace"], source["configMap"]["name"])
            for key, text in (found.get("data") or {}).items():
                (folder / key).write_text(text)
            for key, text in (found.get("binaryData") or {}).items():
                (folder / key).write_bytes(base64.b64decode(text))
        return folder


def _own(container: Object) -> list[Object]:
    """The mounts that a container declares itself."""
    return [m for m in container.get("volumeMounts", []) if not m["name"].startswith(_TOKEN)]


@contextmanager
def kubelet(api: Api, folder: Path) -> Generator[Kubelet]:
    """Run the nodes until the block ends; then fails if they had a problem of their own."""
    folder.mkdir()
    found = Kubelet(api, folder)
    found.start()
    try:
        yield found
    finally:
        found.stop()
    assert not found.problems, "\n".join(found.problems)


def _join(api: Api, name: str, zone: str, gpus: int) -> None:
    room = {"cpu": "256", "memory": "1Ti", "pods": "200"}
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone},
        },
        "spec": {},
    }
    if gpus:
        room[_GPU] = str(gpus)
        # As clouds and the device plugin's users taint them.
        node["spec"]["taints"] = [{"key": _GPU, "value": "present", "effect": "NoSchedule"}]
    made = api.send("POST", api.path(NODE), {}, node)
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "stands in"}
    stamp = {"lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
    api.status({**node, **made}, {"capacity": room, "allocatable": room, "conditions": [{**ready, **stamp}]})


def _containers(pod: Object, *, ready: bool) -> dict[str, Any]:
    """The part of a pod's status that follows from its containers."""
    answers = "True" if ready else "False"
    conditions = [
        {"type": "Initialized", "status": "True", "lastTransitionTime": _now()},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()},
        {"type": "ContainersReady", "status": answers, "lastTransitionTime": _now()},
        {"type": "Ready", "status": answers, "lastTransitionTime": _now()},
    ]
    statuses = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": container["image"],
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": {"running": {"startedAt": _now()}},
        }
        for container in pod["spec"]["containers"]
    ]
    return {"conditions": conditions, "containerStatuses": statuses}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
