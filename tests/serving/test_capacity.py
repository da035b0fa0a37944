"""The wait for a Deployment's pods: how often it asks, what it believes, when it gives up."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.capacity import main, wait


def never(_: float) -> None:
    """A pause that takes no time."""


class TestWaiting:
    def test_it_asks_until_there_are_enough(self) -> None:
        answers = iter([0, 2, 5, 9])
        assert wait(lambda: next(answers), 5, 60, never) == 5
        assert next(answers) == 9

    def test_a_cluster_that_does_not_answer_is_asked_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        answers = iter([ConnectionRefusedError("refused"), TimeoutError("slow"), 3])

        def ask() -> int:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return answer

        assert wait(ask, 3, 60, never) == 3
        assert capsys.readouterr().err.count("the cluster does not answer") == 2

    def test_it_gives_up_and_says_how_many_there_were(self) -> None:
        assert wait(lambda: 2, 3, 0, never) == 2


class Cluster:
    """An API server of one Deployment, with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.deployment: dict[str, Any] = {"metadata": {"generation": 1}, "status": {}}
        self.code = 200
        self.asked: list[tuple[str, str | None]] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append((self.path, self.headers.get("Authorization")))
                self.send_response(owner.code)
                self.end_headers()
                self.wfile.write(json.dumps(owner.deployment).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(folder))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        (folder / "token").write_text("secret-token\n")
        self.environment = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self._server.server_port),
        }
        self.account = folder

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, ready: int, seconds: float = 0) -> int:
        words = ["--namespace", "models", "--deployment", "churn-v3", "--ready", str(ready)]
        return main([*words, "--seconds", str(seconds)], self.environment, self.account)


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "ca.crt", folder / "key.pem"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.close()


def test_it_asks_for_the_deployment_as_the_pods_service_account(cluster: Cluster) -> None:
    cluster.deployment["status"] = {"observedGeneration": 1, "readyReplicas": 5}
    assert cluster.wait(5) == 0
    assert cluster.asked == [("/apis/apps/v1/namespaces/models/deployments/churn-v3", "Bearer secret-token")]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an image behind a proxy, which reaches nothing inside the cluster."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("proxied")
def test_the_cluster_is_asked_without_the_images_proxy(cluster: Cluster) -> None:
    cluster.deployment["status"] = {"observedGeneration": 1, "readyReplicas": 5}
    assert cluster.wait(5) == 0


@pytest.mark.usefixtures("proxied")
def test_a_release_is_woken_without_the_images_proxy() -> None:
    page = Page(failures=0)
    try:
        assert main(["--wake", page.url, *WAKE, "--seconds", "5"], {}) == 0
    finally:
        page.close()


def test_too_few_are_an_error_that_says_how_many(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.deployment["status"] = {"observedGeneration": 1, "readyReplicas": 4}
    assert cluster.wait(5) == 1
    assert "churn-v3 has 4 of 5 pods ready after 0 s; is there room" in capsys.readouterr().err


def test_pods_of_an_older_declaration_do_not_count(cluster: Cluster) -> None:
    cluster.deployment = {
        "metadata": {"generation": 2},
        "status": {"observedGeneration": 1, "readyReplicas": 5},
    }
    assert cluster.wait(5) == 1


def test_a_deployment_without_ready_pods_has_none(cluster: Cluster) -> None:
    cluster.deployment["status"] = {"observedGeneration": 1}
    assert cluster.wait(1) == 1


@pytest.mark.parametrize("code", [401, 403, 404])
def test_an_answer_that_will_not_change_ends_it(
    cluster: Cluster, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.code = code
    assert cluster.wait(1, seconds=60) == 1
    assert f"answered {code}" in capsys.readouterr().err
    assert len(cluster.asked) == 1


def test_a_server_that_fails_is_asked_again(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.code = 503
    assert cluster.wait(1) == 1
    assert "the cluster does not answer: HTTP Error 503" in capsys.readouterr().err


class Page:
    """A page that fails as often as it is told to, and then answers."""

    def __init__(self, failures: int) -> None:
        self.asked: list[tuple[str, str | None, str | None]] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(
                    (self.path, self.headers.get("Host"), self.headers.get("x-model-delivery-release"))
                )
                self.send_response(404 if len(owner.asked) <= failures else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2/health/ready"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


WAKE = ["--header", "Host: models.example.com", "--header", "x-model-delivery-release: churn-v3"]


class TestWaking:
    def test_a_page_is_asked_under_the_name_and_for_the_release_that_are_given(self) -> None:
        page = Page(failures=0)
        try:
            assert main(["--wake", page.url, *WAKE, "--seconds", "5"], {}) == 0
        finally:
            page.close()
        assert page.asked == [("/v2/health/ready", "models.example.com", "churn-v3")]

    def test_a_way_that_is_not_known_yet_is_asked_for_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serving.capacity._EVERY_SECONDS", 0.0)
        page = Page(failures=2)
        try:
            assert main(["--wake", page.url, *WAKE, "--seconds", "30"], {}) == 0
        finally:
            page.close()
        assert len(page.asked) == 3

    def test_what_does_not_wake_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        page = Page(failures=99)
        try:
            assert main(["--wake", page.url, *WAKE, "--seconds", "0.001"], {}) == 1
        finally:
            page.close()
        error = capsys.readouterr().err
        assert f"{page.url} has no server after 0.001 s" in error

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--seconds", "1"], "one of the arguments --deployment --wake is required"),
            (["--deployment", "churn-v3", "--seconds", "1"], "--deployment is one of a --namespace"),
            (["--wake", "http://x", "--header", "none", "--seconds", "1"], "'none' is not NAME: VALUE"),
        ],
    )
    def test_a_command_line_that_says_too_little(
        self, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(words, {})
        assert message in capsys.readouterr().err
