"""The model server's image: how it is declared, and what its Dockerfile says. It isn't built here: no test
machine is sure to have a Docker engine."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from components.environment import ImageBuild
from components.image import Destination, Login, ServingImage, content_tag, serving_image
from serving import sbom
from tests.unit.graph import Graph, declare, resolved

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "a" * 64
BASE, ADAPTER = f"docker.io/library/python:3.12-slim@{DIGEST}", f"example.com/adapter@{DIGEST}"
REPOSITORY = "example.com/serving"
REFERENCE = f"{REPOSITORY}@{DIGEST}"


def outputs(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    if type != "docker-build:index:Image":
        return {}
    # The provider takes its outputs to be as secret as the password that it has been given.
    ref: Any = f"{inputs['tags'][0]}@{DIGEST}"
    return {"ref": rpc.wrap_rpc_secret(ref) if "registries" in inputs else ref}


def image(into: list[Any] | None = None, login: Login | None = None, **more: Any) -> Graph:
    def program() -> None:
        to = Destination(repository=REPOSITORY, login=login)
        made = ServingImage("serving", ImageBuild(**{"base": BASE, **more}), to)
        resolved(made.ref, [] if into is None else into)

    return declare(program, outputs)


def test_one_image_is_pushed_and_known_by_its_digest() -> None:
    refs: list[Any] = []
    graph = image(refs)
    assert graph.counts() == {"delivery:image:ServingImage": 1, "docker-build:index:Image": 1}
    found = graph.one("docker-build:index:Image", "serving")
    tag = content_tag(ROOT, ImageBuild(base=BASE))
    assert found.parent == "serving"
    assert found.retained, "what is deployed elsewhere may still run it"
    assert found.inputs == {
        # Not the checkout's own path: on another machine nothing would have changed.
        "context": {"location": "."},
        "dockerfile": {"location": "serving/Dockerfile"},
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
    found = image(adapter=ADAPTER).one("docker-build:index:Image", "serving").inputs
    assert found["target"] == "lambda" and found["buildArgs"]["ADAPTER"] == ADAPTER


def test_platforms_source_and_labels_are_the_files() -> None:
    graph = image(
        platforms=("linux/amd64", "linux/arm64"), source="https://example.com/code", labels={"team": "ml"}
    )
    found = graph.one("docker-build:index:Image", "serving").inputs
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]
    assert found["buildArgs"]["SOURCE"] == "https://example.com/code" and found["labels"] == {"team": "ml"}


def test_a_registrys_password_is_a_secret_and_the_reference_is_none() -> None:
    refs: list[Any] = []
    secret: list[bool] = []

    def program() -> None:
        login = Login(address="example.com", username="ann", password="pw")
        to = Destination(repository=REPOSITORY, login=login)
        ref = ServingImage("serving", ImageBuild(base=BASE), to).ref
        resolved(ref, refs)
        pulumi.Output.from_input(ref.is_secret()).apply(secret.append)

    found = declare(program, outputs).one("docker-build:index:Image", "serving").inputs["registries"]
    assert rpc.is_rpc_secret(found)
    assert rpc.unwrap_rpc_secret(found) == [{"address": "example.com", "username": "ann", "password": "pw"}]
    assert len(refs) == 1 and refs[0].endswith(DIGEST) and secret == [False]


def test_an_image_that_is_there_is_taken_as_it_is() -> None:
    def never() -> Destination:
        raise AssertionError("no registry is asked for an image that is there")

    found: list[Any] = []
    graph = declare(lambda: found.append(serving_image(REFERENCE, never)), outputs)
    assert found == [REFERENCE] and graph.resources == []


def test_a_build_goes_where_the_file_says_or_into_the_platforms_registry() -> None:
    named = ImageBuild(base=BASE, repository="elsewhere.example.com/serving")
    own = Destination(repository=REPOSITORY)
    for build, repository in ((named, named.repository), (ImageBuild(base=BASE), REPOSITORY)):
        graph = declare(lambda build=build: serving_image(build, lambda: own), outputs)
        (tag,) = graph.one("docker-build:index:Image", "serving").inputs["tags"]
        assert tag.rpartition(":")[0] == repository
    with pytest.raises(ValueError, match="neither its file nor its platform has a repository"):
        serving_image(ImageBuild(base=BASE))


def test_the_tag_changes_with_all_that_goes_in_and_with_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "serving"
    (folder / "deeper").mkdir(parents=True)
    names = ("app.py", "serve", "requirements.txt", "Dockerfile", "Dockerfile.dockerignore")
    for name in names:
        (folder / name).write_text(name)
    build = ImageBuild(base=BASE)
    tags = [content_tag(tmp_path, build)]
    changes: dict[str, Any] = {
        "base": ADAPTER,
        "adapter": ADAPTER,
        "source": "https://example.com",
        "platforms": ("linux/arm64",),
        "labels": {"team": "ml"},
        # Where it is pushed is no part of what it is: the same bits have the same tag everywhere.
        "repository": "elsewhere.example.com/serving",
    }
    for key, value in changes.items():
        tags.append(content_tag(tmp_path, dataclasses.replace(build, **{key: value})))
    assert tags.pop() == tags[0]
    for name in names:
        (folder / name).write_text("other")
        tags.append(content_tag(tmp_path, build))
    (folder / "serve").chmod(0o755)
    tags.append(content_tag(tmp_path, build))
    assert len(set(tags)) == len(tags) == 12
    (folder / "notes.md").write_text("")
    assert content_tag(tmp_path, build) == tags[-1]
    (folder / "new.py").write_text("")
    assert content_tag(tmp_path, build) not in tags


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
    assert set(project["dependency-groups"]["serving"]) - ours == {"pandas", "skops"}


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
