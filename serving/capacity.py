"""Wait until a Deployment of this cluster has a number of ready pods: what comes before their traffic.

Or, where it may have none, wake it: ask a page through what holds requests, until the page answers.
"""

import argparse
import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_EVERY_SECONDS = 2.0

Ask = Callable[[], int]
"""Returns how many pods are ready; raises OSError where the cluster doesn't answer."""


class RefusedError(Exception):
    """The cluster's answer is that asking again is of no use."""


def wait(ask: Ask, wanted: int, seconds: float, sleep: Callable[[float], None] = time.sleep) -> int:
    """Ask until enough pods are ready. Returns how many were at last: fewer when the time is over."""
    end = time.monotonic() + seconds
    ready = 0
    while True:
        try:
            ready = ask()
        except (OSError, http.client.HTTPException) as error:
            sys.stderr.write(f"the cluster does not answer: {error}\n")
        if ready >= wanted or time.monotonic() >= end:
            return ready
        sleep(_EVERY_SECONDS)


def deployment(namespace: str, name: str, environment: Mapping[str, str], account: Path = _ACCOUNT) -> Ask:
    """Return a question about a Deployment, asked as this pod's service account."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    url = f"https://{address}:{port}/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    opener = _inside(ssl.create_default_context(cafile=str(account / "ca.crt")))

    def ask() -> int:
        # Read each time: a token is replaced while it is valid.
        token = (account / "token").read_text().strip()
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        try:
            with opener.open(request, timeout=10) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404):
                raise RefusedError(f"{url} answered {error.code} {error.reason}") from None
            raise
        # A count that is older than the last change says nothing of it.
        status = found.get("status", {})
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return 0
        return int(status.get("readyReplicas", 0))

    return ask


def page(url: str, headers: Mapping[str, str], timeout: float) -> Ask:
    """Return a question about a page: 1 if it answers 200. Whoever asks may be made to wait meanwhile."""

    opener = _inside()

    def ask() -> int:
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310
        with opener.open(request, timeout=timeout) as answer:
            return int(answer.status == 200)

    return ask


def _inside(context: ssl.SSLContext | None = None) -> urllib.request.OpenerDirector:
    """What asks inside the cluster: without the proxy to the internet that an image may name in its
    environment, which knows nothing of Services."""
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )


def main(arguments: Sequence[str], environment: Mapping[str, str], account: Path = _ACCOUNT) -> int:
    """Wait as the command line says; returns 0, or 1 with a message."""
    parser = argparse.ArgumentParser(prog="python -m serving.capacity", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--deployment", help="a Deployment of --namespace")
    what.add_argument("--wake", metavar="URL", help="a page that answers when there is a server")
    parser.add_argument("--namespace")
    parser.add_argument(
        "--header", action="append", default=[], type=_header, help="NAME: VALUE for the page"
    )
    parser.add_argument("--ready", default=1, type=int, help="pods that must be ready")
    parser.add_argument("--seconds", required=True, type=float, help="how long to wait at most")
    given = parser.parse_args(arguments)
    if given.deployment and not given.namespace:
        parser.error("--deployment is one of a --namespace")
    if given.wake:
        ready = wait(page(given.wake, dict(given.header), given.seconds), 1, given.seconds)
        if not ready:
            sys.stderr.write(f"serving.capacity: {given.wake} has no server after {given.seconds:g} s\n")
        return 0 if ready else 1
    try:
        ask = deployment(given.namespace, given.deployment, environment, account)
        ready = wait(ask, given.ready, given.seconds)
    except RefusedError as error:
        sys.stderr.write(f"serving.capacity: {error}\n")
        return 1
    if ready < given.ready:
        sys.stderr.write(
            f"serving.capacity: {given.deployment} has {ready} of {given.ready} pods ready after"
            f" {given.seconds:g} s; is there room in the cluster?\n"
        )
        return 1
    return 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME: VALUE")
    return name.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
