"""The model server's image: how it is declared, and what its Dockerfile says. It isn't built here: no test
machine is sure to have a Docker engine."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from components.image import ImageArgs, Login, ServingImage, content_tag
from serving import sbom
from tests.unit.graph import Graph, declare, resolved

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "a" * 64
BASE, ADAPTER = f"docker.io/library/python:3.12-slim@{DIGEST}", f"example.com/adapter@{DIGEST}"
REPOSITORY = "example.com/serving"


def outputs(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"ref": f"{inputs['tags'][0]}@{DIGEST}"} if type == "docker-build:index:Image" else {}


def image(into: list[Any] | None = None, **more: Any) -> Graph:
    def program() -> None:
        made = ServingImage("serving", ImageArgs(**{"repository": REPOSITORY, "base": BASE, **more}))
        resolved(made.ref, [] if into is None else into)

    return declare(program, outputs)


def test_one_image_is_pushed_and_known_by_its_digest() -> None:
    refs: list[Any] = []
    graph = image(refs)
    assert graph.counts() == {"delivery:image:ServingImage": 1, "docker-build:index:Image": 1}
    found = graph.one("docker-build:index:Image", "serving")
    tag = content_tag(ROOT, {"BASE": BASE, "SOURCE": "", "platform": "linux/amd64"})
    assert found.parent == "serving"
    assert found.inputs == {
        "context": {"location": str(ROOT)},
        "dockerfile": {"location": str(ROOT / "serving/Dockerfile")},
        "target": "server",
        "buildArgs": {"BASE": BASE, "SOURCE": ""},
        "platforms": ["linux/amd64"],
        "tags": [f"{REPOSITORY}:{tag}"],
        "push": True,
        "buildOnPreview": False,
        "network": "default",
    }
    assert refs == [f"{REPOSITORY}:{tag}@{DIGEST}"]


def test_with_the_adapter_it_is_the_image_for_lambda() -> None:
    found = image(adapter=ADAPTER, platform="linux/arm64").one("docker-build:index:Image", "serving").inputs
    assert found["target"] == "lambda" and found["buildArgs"]["ADAPTER"] == ADAPTER
    assert found["platforms"] == ["linux/arm64"]


def test_a_registrys_password_is_a_secret() -> None:
    from pulumi.runtime import rpc

    login = Login(address="example.com", username="ann", password="pw")
    found = image(login=login).one("docker-build:index:Image", "serving").inputs["registries"]
    assert rpc.is_rpc_secret(found)
    assert rpc.unwrap_rpc_secret(found) == [{"address": "example.com", "username": "ann", "password": "pw"}]


@pytest.mark.parametrize("what", ["base", "adapter"])
def test_images_without_a_digest_are_refused(what: str) -> None:
    with pytest.raises(ValueError, match=f"{what} must be an image pinned by its digest.*python:3.12-slim'"):
        ServingImage(
            "serving", ImageArgs(**{"repository": REPOSITORY, "base": BASE, what: "python:3.12-slim"})
        )


def test_the_tag_changes_with_all_that_goes_in_and_with_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "serving"
    (folder / "deeper").mkdir(parents=True)
    for name in ("app.py", "serve", "requirements.txt", "Dockerfile", "Dockerfile.dockerignore"):
        (folder / name).write_text(name)
    tags = {content_tag(tmp_path, {"BASE": BASE}), content_tag(tmp_path, {"BASE": ADAPTER})}
    for name in ("app.py", "serve", "requirements.txt", "Dockerfile", "Dockerfile.dockerignore"):
        (folder / name).write_text("other")
        tags.add(content_tag(tmp_path, {"BASE": BASE}))
    assert len(tags) == 7
    (folder / "notes.md").write_text("")
    assert content_tag(tmp_path, {"BASE": BASE}) in tags
    (folder / "new.py").write_text("")
    assert content_tag(tmp_path, {"BASE": BASE}) not in tags


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, in order."""
    text = (ROOT / "serving/Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in found]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found[rest.rpartition(" AS ")[2]] = []
        if found:
            list(found.values())[-1].append((word, rest))
    return found


def test_every_base_is_an_argument_and_none_is_a_tag() -> None:
    assert [rest for word, rest in instructions() if word == "FROM"] == [
        "${BASE} AS packages",
        "${BASE} AS server",
        "${ADAPTER} AS adapter",
        "server AS lambda",
    ]
    assert ("ARG", "BASE") in instructions() and ("ARG", "ADAPTER=scratch") in instructions()
    assert "latest" not in (ROOT / "serving/Dockerfile").read_text()


def ignored(path: str) -> bool:
    """By the rules of the .dockerignore: the last pattern that fits decides."""
    verdict = False
    for line in (ROOT / "serving/Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and Path(path).match(pattern.lstrip("!")):
            verdict = not pattern.startswith("!")
    return verdict


def test_all_that_is_copied_exists_and_is_in_the_context() -> None:
    for word, rest in instructions():
        if word != "COPY" or "--from=" in rest:
            continue
        *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--")]
        for source in sources:
            found = list(ROOT.glob(source))
            assert found, source
            assert not any(ignored(file.relative_to(ROOT).as_posix()) for file in found), source
    assert ignored("Pulumi.prod.yaml") and ignored("components/image.py") and ignored("serving/Dockerfile")


def test_stages_copy_from_stages_that_exist() -> None:
    named = [match for _, rest in instructions() for match in re.findall(r"--from=(\S+)", rest)]
    assert named and set(named) <= stages().keys()


def test_it_does_not_run_as_root_and_brings_no_installer() -> None:
    server = stages()["server"]
    users = [rest for word, rest in server if word == "USER"]
    assert users == ["10001:10001"] and not any(word == "USER" for word, _ in stages()["lambda"])
    assert [word for word, _ in server].index("USER") > max(
        index for index, (word, _) in enumerate(server) if word == "COPY"
    )
    assert not any(word in ("RUN", "ADD") for word, _ in server)
    (build,) = [rest for word, rest in stages()["packages"] if word == "RUN"]
    assert "--require-hashes" in build and "--only-binary :all:" in build and "uninstall --yes pip" in build


def test_it_says_where_it_comes_from_and_what_is_in_it() -> None:
    (labels,) = [rest for word, rest in stages()["server"] if word == "LABEL"]
    assert 'org.opencontainers.image.source="${SOURCE}"' in labels
    (build,) = [rest for word, rest in stages()["packages"] if word == "RUN"]
    bill = re.findall(r'model-delivery\.sbom="([^"]+)"', labels)
    assert bill and f"> {bill[0]}" in build


def test_the_pods_user_is_the_images() -> None:
    from components.kubernetes.server import pod_security

    assert {pod_security().get("run_as_user"), pod_security().get("run_as_group")} == {10001}


def test_the_bill_of_materials_names_every_package() -> None:
    found = json.loads(
        subprocess.run(
            [sys.executable, ROOT / "serving/sbom.py"], capture_output=True, check=True, text=True
        ).stdout
    )
    assert found == sbom.bill() and found["bomFormat"] == "CycloneDX"
    import numpy

    component = {
        "type": "library",
        "name": "numpy",
        "version": numpy.__version__,
        "purl": f"pkg:pypi/numpy@{numpy.__version__}",
    }
    assert component in found["components"]
    names = [item["name"] for item in found["components"]]
    assert names == sorted(set(names)) and "scikit-learn" in names and "prometheus-client" in names


def lock() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        found.setdefault(package["name"], []).append(package)
    return found


def test_the_images_packages_are_the_locked_ones_and_only_those_the_server_needs() -> None:
    """`uv export --locked --only-group serving --no-emit-project --no-header --no-annotate -o
    serving/requirements.txt` writes the file."""
    text = (ROOT / "serving/requirements.txt").read_text().replace("\\\n", " ")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    known = lock()
    (project,) = known["model-delivery"]
    pending = [item["name"] for item in project["dev-dependencies"]["serving"]]
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += [item["name"] for package in known[name] for item in package.get("dependencies", [])]
    elsewhere = {"colorama", "exceptiongroup"}  # for Windows and for older Pythons
    assert pinned.keys() - elsewhere == needed - elsewhere
    for name, version in pinned.items():
        (package,) = [package for package in known[name] if package["version"] == version]
        hashes = {file["hash"] for file in [*package["wheels"], package.get("sdist", {"hash": ""})]}
        line = next(line for line in text.splitlines() if line.startswith(f"{name}=={version} "))
        assert set(re.findall(r"sha256:[0-9a-f]{64}", line)) <= hashes, name


def test_the_servers_group_is_part_of_the_projects_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    ours = set(project["project"]["dependencies"])
    assert set(project["dependency-groups"]["serving"]) - ours == {"boto3", "pandas", "skops"}


def test_the_image_has_every_package_that_the_server_imports() -> None:
    names: set[str] = set()
    for file in (ROOT / "serving").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names.add(ast.literal_eval(node.args[0]))
    tops = {name.split(".")[0] for name in names} - {"serving"} - sys.stdlib_module_names
    requirements = (ROOT / "serving/requirements.txt").read_text()
    there = set(re.findall(r"^([a-z0-9-]+)==", requirements, re.MULTILINE))
    distributions = metadata.packages_distributions()
    assert {"skops", "onnxruntime", "boto3", "uvicorn"} <= tops
    for top in sorted(tops):
        assert {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[top]} & there, top
