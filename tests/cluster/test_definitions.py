"""Definitions of custom resources on a real API server: created, raised, left alone or refused."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from components.kubernetes.crds import apply
from components.kubernetes.definitions import FOLDER, index
from tests.cluster import definitions as sources
from tests.cluster.api import DEFINITION, JOB, POD, ROUTE, Access, Api, ApiError, Object
from tests.cluster.control_plane import control_plane
from tests.cluster.stack import SPACE, ClusterStack

pytestmark = pytest.mark.cluster

OLD = sources.Source(
    module="github.com/envoyproxy/gateway",
    version="v1.7.0",
    sum="h1:noVz4fADhljSKpQFaspb25+C3kC8bBBisQZle9W0ei4=",
    files=("charts/gateway-helm/crds", "charts/gateway-helm/crds/generated"),
)
"""What an earlier version of this project installed: Gateway API 1.4.1 and Envoy Gateway 1.7.0."""
HELM = "pulumi-resource-kubernetes"
SPLIT = "httproutes.gateway.networking.k8s.io"
PROXY = "envoyproxies.gateway.envoyproxy.io"


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A second cluster, in which nothing has been installed: one a test, since definitions that are deleted
    soon after they were made may stay, terminating, for ever."""
    with control_plane(tmp_path_factory.mktemp("empty")) as access:
        api = Api(access)
        try:
            yield api
        finally:
            api.close()


def sets(*names: str) -> list[apply.Definitions]:
    return [apply.read(FOLDER / f"{name}.json.xz") for name in names]


def send(api: Api, folder: Path) -> apply.Send:
    """The API server as the Job's program asks it, with a token of the cluster's admin."""
    access: Access = api.access
    (folder / "token").write_text(access.token)
    (folder / "ca.crt").write_bytes(Path(access.authority).read_bytes())
    host, _, port = access.url.removeprefix("https://").partition(":")
    where = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    return apply.api_server(where, folder)


def bring(api: Api, found: Sequence[Object], manager: str) -> None:
    for each in found:
        api.send("POST", api.path(DEFINITION), {"fieldManager": manager}, each)


def state(api: Api) -> dict[str, str]:
    """By definition, the revision of its content."""
    return {
        found["metadata"]["name"]: f"{found['metadata']['uid']} {found['metadata']['generation']}"
        for found in api.list(DEFINITION)
    }


def version(api: Api, name: str) -> str:
    annotations = api.get(DEFINITION, None, name)["metadata"].get("annotations") or {}
    return str(annotations.get(apply.APPLIED, ""))


@pytest.mark.parametrize("name", sorted(sources.KEPT))
def test_the_files_are_the_projects_own(name: str) -> None:
    wanted = sources.kept()[name]
    assert apply.read(FOLDER / f"{name}.json.xz") == wanted
    assert index()[name]["names"] == sorted(each["metadata"]["name"] for each in wanted.objects)
    assert index()[name]["version"] == wanted.version


def test_the_controller_of_the_earlier_version_goes_on_until_its_chart_is_upgraded() -> None:
    """Its watches are of versions that are served still; it runs for minutes beside the new definitions."""

    def served(found: Object) -> set[str]:
        return {each["name"] for each in found["spec"]["versions"] if each["served"]}

    raised = {each["metadata"]["name"]: each for one in sources.kept().values() for each in one.objects}
    earlier = {each["metadata"]["name"]: each for each in sources.definitions(OLD)}
    assert len(earlier.keys() & raised.keys()) > 15
    for name in earlier.keys() & raised.keys():
        assert served(earlier[name]) <= served(raised[name]), name


def test_the_stack_has_brought_all_of_them(api: Api, canary: ClusterStack) -> None:
    (job,) = [found for found in api.list(JOB, SPACE) if found["metadata"]["name"].startswith("definitions")]
    assert job["status"]["succeeded"] == 1
    for name, content in index().items():
        for each in content["names"]:
            assert version(api, each) == f"{name} {content['version']}"


def test_what_an_earlier_version_installed_by_helm_is_raised_and_its_objects_stay(
    empty: Api, tmp_path: Path
) -> None:
    bring(empty, sources.definitions(OLD), HELM)
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "churn", "namespace": "default"},
        "spec": {"rules": [{"backendRefs": [{"name": "churn-v1", "port": 8080, "weight": 100}]}]},
    }
    before = empty.apply(route)
    lines = apply.apply(sets("gateway-api", "envoy-gateway"), send(empty, tmp_path))
    assert lines == ["gateway-api 1.6.1: 13 applied", "envoy-gateway 1.9.1: 8 applied"]
    after = empty.get(ROUTE, "default", "churn")
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    for wanted in sets("gateway-api", "envoy-gateway"):
        for each in wanted.objects:
            found = empty.get(DEFINITION, None, each["metadata"]["name"])
            # Nothing of the older schema is left beside the new one.
            assert described(found) == described(each)
    # What the newer bundle no longer has is not deleted.
    assert "xlistenersets.gateway.networking.x-k8s.io" in state(empty)
    # A second run changes nothing.
    settled = state(empty)
    apply.apply(sets("gateway-api", "envoy-gateway"), send(empty, tmp_path))
    assert state(empty) == settled


def described(found: Object) -> dict[str, Object]:
    """By version, the schema's text."""
    return {each["name"]: each["schema"]["openAPIV3Schema"] for each in found["spec"]["versions"]}


def test_a_newer_version_stays(empty: Api, tmp_path: Path) -> None:
    found = sources.definitions(OLD)
    newer = copy.deepcopy([each for each in found if each["metadata"]["name"] == SPLIT])
    newer[0]["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"] = "v1.10.0"
    bring(empty, newer, HELM)
    before = state(empty)
    (line,) = apply.apply(sets("gateway-api"), send(empty, tmp_path))
    assert line == "gateway-api 1.6.1: 12 applied, 1 left as found"
    assert state(empty)[SPLIT] == before[SPLIT]


def test_other_owners_older_definitions_are_refused_and_nothing_is_applied(
    empty: Api, tmp_path: Path
) -> None:
    theirs = [each for each in sources.definitions(OLD) if each["metadata"]["name"] in (SPLIT, PROXY)]
    bring(empty, theirs, "kubectl-client-side-apply")
    before = state(empty)
    with pytest.raises(apply.RefusedError) as refused:
        apply.apply(sets("gateway-api", "envoy-gateway"), send(empty, tmp_path))
    assert f"{SPLIT}, applied by kubectl-client-side-apply, is v1.4.1; gateway-api 1.6.1" in str(
        refused.value
    )
    assert f"{PROXY}, applied by kubectl-client-side-apply, is of a version" in str(refused.value)
    assert state(empty) == before
    # What the message says of handing them over is true.
    for name in (SPLIT, PROXY):
        empty.send(
            "PATCH",
            empty.path(DEFINITION, None, name),
            {"fieldManager": "kubectl-annotate"},
            {"metadata": {"annotations": {apply.TAKE_OVER: "true"}}},
            "application/merge-patch+json",
        )
    apply.apply(sets("gateway-api", "envoy-gateway"), send(empty, tmp_path))
    assert version(empty, SPLIT) == "gateway-api 1.6.1"


def test_one_definition_that_the_cluster_refuses_keeps_all_others_from_being_applied(
    empty: Api, tmp_path: Path
) -> None:
    (wanted,) = sets("gateway-api")
    broken = copy.deepcopy(wanted.objects[-1])
    broken["spec"]["scope"] = "Everywhere"
    objects = [*wanted.objects[:-1], broken]
    with pytest.raises(apply.RefusedError, match=r'Unsupported value: "Everywhere"'):
        apply.apply([apply.Definitions(wanted.name, wanted.version, objects)], send(empty, tmp_path))
    assert state(empty) == {}


def test_a_cluster_that_is_too_old_is_told(
    empty: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever proxy to the internet its image names.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    send(empty, tmp_path)
    host, _, port = empty.access.url.removeprefix("https://").partition(":")
    where = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    assert apply.main(["--least", "1.99", str(FOLDER)], where, tmp_path) == 1
    assert "the cluster is Kubernetes 1.35, and what is installed here needs 1.99" in capsys.readouterr().err


def test_the_jobs_account_may_do_this_and_nothing_else(api: Api, canary: ClusterStack) -> None:
    answer = api.send(
        "POST",
        f"/api/v1/namespaces/{SPACE}/serviceaccounts/definitions/token",
        {},
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}},
    )
    pod = Api(Access(api.access.url, api.access.authority, answer["status"]["token"]))
    try:
        assert pod.get(DEFINITION, None, SPLIT)["metadata"]["name"] == SPLIT
        for refused in (
            lambda: pod.delete(pod.path(DEFINITION, None, SPLIT)),
            lambda: pod.list(DEFINITION),
            lambda: pod.list(POD, SPACE),
            lambda: pod.list(ROUTE, SPACE),
        ):
            with pytest.raises(ApiError, match="forbidden"):
                refused()
    finally:
        pod.close()
