"""A real Kubernetes control plane on loopback: etcd, the API server, its controllers and the scheduler.

It has no node of its own and starts no container: see `kubelet.py` for what stands in for those.
"""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster.api import Access
from tests.ports import free_port
from tools import toolchain

READY_SECONDS = 120
_STOP_SECONDS = 20
_SYSTEM = "system:masters"
USERS = ("viewer", "restricted")
"""Who else has a token, without any right: see ``Access.of``."""


class ControlPlaneError(Exception):
    """A program of the control plane that ended or never got ready; the text has its last words."""


@contextmanager
def control_plane(folder: Path) -> Generator[Access]:
    """Run a control plane with its data, log files and keys in ``folder``; yields the way in as its admin."""
    bin = toolchain.kubernetes().folder
    token = secrets.token_hex(16)
    # Who the cluster knows by no group has the rights that a test binds to the name.
    users = [f"{token},admin,admin,{_SYSTEM}", *(f"{token}-{user},{user},{user}" for user in USERS)]
    (folder / "tokens.csv").write_text("\n".join(users) + "\n")
    _service_account_key(folder / "accounts.key")
    etcd, peers, port = free_port(), free_port(), free_port()
    access = Access(f"https://127.0.0.1:{port}", str(folder / "certificates" / "apiserver.crt"), token)
    kubeconfig = access.kubeconfig(folder / "kubeconfig", "test")
    with ExitStack() as running:

        def start(name: str, *words: str) -> subprocess.Popen[bytes]:
            return running.enter_context(_running([str(bin / name), *words], folder / f"{name}.log"))

        start(
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
            "--unsafe-no-fsync",
        )
        server = start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            # The address of this server is a loopback one, which no Service may lead to.
            "--endpoint-reconciler-type=none",
        )
        _await_ready(access, server, folder / "kube-apiserver.log")
        start(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={folder / 'controllers'}",
            f"--service-account-private-key-file={folder / 'accounts.key'}",
            f"--root-ca-file={access.authority}",
            "--leader-elect=false",
            # Nodes have no kubelet that would report every few seconds.
            "--node-monitor-grace-period=24h",
            # Nobody measures pods here: what the autoscaler does by its bounds alone, it may do soon.
            "--horizontal-pod-autoscaler-sync-period=1s",
        )
        start(
            "kube-scheduler",
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={folder / 'scheduler'}",
            "--leader-elect=false",
        )
        yield access


@contextmanager
def _running(command: Sequence[str], log: Path) -> Generator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(access: Access, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    said = "no answer"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ControlPlaneError(f"the API server ended with {process.returncode}:\n{_tail(log)}")
        # It makes its own certificate, and nothing can be asked before.
        if Path(access.authority).exists():
            try:
                with access.client() as client:
                    answer = client.get("/readyz", timeout=5)
            except (httpx.HTTPError, OSError) as error:
                said = repr(error)
            else:
                if answer.status_code == 200:
                    return
                said = answer.text
        time.sleep(0.1)
    raise ControlPlaneError(f"not ready after {READY_SECONDS} s: {said}\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _service_account_key(file: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
