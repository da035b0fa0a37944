"""The images of the model server and of MLflow: how they are declared, and what their Dockerfiles say. They
are built in tests/image, where a Docker engine runs."""

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

from components.environment import Build, ImageBuild, Tracking
from components.image import (
    TRACKING_RECIPE,
    BuiltImage,
    Destination,
    Login,
    Recipe,
    content_tag,
    sagemaker_image,
    serving_image,
    serving_recipe,
    tracking_image,
)
from serving import sbom, slim
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
        build = ImageBuild(**{"base": BASE, **more})
        made = BuiltImage(serving_recipe(build), build, to)
        resolved(made.ref, [] if into is None else into)

    return declare(program, outputs)


def tag_of(root: Path, build: ImageBuild, *, sagemaker: bool = False) -> str:
    return content_tag(root, serving_recipe(build, sagemaker=sagemaker), build)


def test_one_image_is_pushed_and_known_by_its_digest() -> None:
    refs: list[Any] = []
    graph = image(refs)
    assert graph.counts() == {"delivery:image:ServingImage": 1, "docker-build:index:Image": 1}
    found = graph.one("docker-build:index:Image", "serving")
    tag = tag_of(ROOT, ImageBuild(base=BASE))
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


@pytest.mark.parametrize(
    ("flavors", "requirements"),
    [(("onnx",), "requirements-onnx.txt"), (("sklearn",), "requirements-sklearn.txt")],
)
def test_an_image_for_one_flavour_has_the_packages_of_that_flavour(
    flavors: tuple[Any, ...], requirements: str
) -> None:
    found = image(flavors=flavors).one("docker-build:index:Image", "serving").inputs
    assert found["buildArgs"]["REQUIREMENTS"] == requirements and (ROOT / "serving" / requirements).exists()
    assert "REQUIREMENTS" not in image().one("docker-build:index:Image", "serving").inputs["buildArgs"]


def test_the_image_for_sagemaker_is_beside_the_other_and_never_has_its_tag() -> None:
    build = ImageBuild(base=BASE, adapter=ADAPTER)

    def program() -> None:
        serving_image(build, lambda: Destination(repository=REPOSITORY))
        sagemaker_image(build, lambda: Destination(repository=REPOSITORY))

    graph = declare(program, outputs)
    found = graph.one("docker-build:index:Image", "serving-sagemaker").inputs
    assert found["target"] == "sagemaker" and "ADAPTER" not in found["buildArgs"]
    assert found["tags"] != graph.one("docker-build:index:Image", "serving").inputs["tags"]


def test_mlflows_image_is_built_likewise() -> None:
    build = Build(base=BASE, source="https://example.com/code", labels={"team": "ml"})
    graph = declare(
        lambda: tracking_image(Tracking(image=build), lambda: Destination(repository=REPOSITORY)), outputs
    )
    found = graph.one("docker-build:index:Image", "tracking-image")
    assert found.retained and found.inputs["dockerfile"] == {"location": "tracking/Dockerfile"}
    assert found.inputs["buildArgs"] == {"BASE": BASE, "SOURCE": "https://example.com/code"}
    assert tracking_image(Tracking(image=REFERENCE)) == REFERENCE


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
        build = ImageBuild(base=BASE)
        ref = BuiltImage(serving_recipe(build), build, to).ref
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
    names = (
        "app.py",
        "serve",
        "requirements.txt",
        "requirements-onnx.txt",
        "Dockerfile",
        "Dockerfile.dockerignore",
    )
    for name in names:
        (folder / name).write_text(name)
    build = ImageBuild(base=BASE)
    tags = [tag_of(tmp_path, build)]
    changes: dict[str, Any] = {
        "base": ADAPTER,
        "adapter": ADAPTER,
        "source": "https://example.com",
        "platforms": ("linux/arm64",),
        "labels": {"team": "ml"},
        "flavors": ("onnx",),
        # Where it is pushed is no part of what it is: the same bits have the same tag everywhere.
        "repository": "elsewhere.example.com/serving",
    }
    for key, value in changes.items():
        tags.append(tag_of(tmp_path, dataclasses.replace(build, **{key: value})))
    assert tags.pop() == tags[0]
    for name in names:
        (folder / name).write_text("other")
        tags.append(tag_of(tmp_path, build))
    tags.append(tag_of(tmp_path, build, sagemaker=True))
    (folder / "serve").chmod(0o755)
    tags.append(tag_of(tmp_path, build))
    assert len(set(tags)) == len(tags) == 15
    (folder / "notes.md").write_text("")
    assert tag_of(tmp_path, build) == tags[-1]
    (folder / "new.py").write_text("")
    assert tag_of(tmp_path, build) not in tags


DOCKERFILES = ("serving", "tracking")


def instructions(folder: str = "serving") -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments, in order."""
    text = (ROOT / folder / "Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in found]


def stages(folder: str = "serving") -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions(folder):
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
        "server AS sagemaker",
    ]
    assert ("ARG", "BASE") in instructions() and ("ARG", "ADAPTER=scratch") in instructions()
    assert [rest for word, rest in instructions("tracking") if word == "FROM"] == [
        "${BASE} AS packages",
        "${BASE} AS tracking",
    ]


@pytest.mark.parametrize("folder", DOCKERFILES)
def test_nothing_is_asked_of_docker_hub(folder: str) -> None:
    text = (ROOT / folder / "Dockerfile").read_text()
    assert "latest" not in text
    # Such a line has every build fetch its frontend from there, where a mirror may be all that is reached.
    assert not re.search(r"^#\s*syntax\s*=", text, re.MULTILINE | re.IGNORECASE)


def ignored(folder: str, path: str) -> bool:
    """By the rules of the .dockerignore: the last pattern that fits decides."""
    verdict = False
    for line in (ROOT / folder / "Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and Path(path).match(pattern.lstrip("!")):
            verdict = not pattern.startswith("!")
    return verdict


def copied(folder: str) -> set[str]:
    """The files of the checkout that go into an image."""
    found: set[str] = set()
    for word, rest in instructions(folder):
        if word == "COPY" and "--from=" not in rest:
            *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--")]
            for source in sources:
                files = list(ROOT.glob(source))
                assert files, source
                found |= {file.relative_to(ROOT).as_posix() for file in files}
    return found


@pytest.mark.parametrize("folder", DOCKERFILES)
def test_all_that_is_copied_exists_and_is_in_the_context(folder: str) -> None:
    for file in copied(folder):
        assert not ignored(folder, file), file
    for file in ("Pulumi.prod.yaml", "components/image.py", f"{folder}/Dockerfile"):
        assert ignored(folder, file)


@pytest.mark.parametrize("folder", DOCKERFILES)
def test_all_that_is_copied_counts_for_the_tag(folder: str) -> None:
    recipes: dict[str, Recipe] = {
        "serving": serving_recipe(ImageBuild(base=BASE)),
        "tracking": TRACKING_RECIPE,
    }
    contents = {
        file.relative_to(ROOT).as_posix()
        for pattern in recipes[folder].contents
        for file in ROOT.glob(pattern)
    }
    assert contents >= copied(folder) | {f"{folder}/Dockerfile", f"{folder}/Dockerfile.dockerignore"}


@pytest.mark.parametrize("folder", DOCKERFILES)
def test_stages_copy_from_stages_that_exist(folder: str) -> None:
    named = [match for _, rest in instructions(folder) for match in re.findall(r"--from=(\S+)", rest)]
    assert named and set(named) <= stages(folder).keys()


@pytest.mark.parametrize(("folder", "stage"), [("serving", "server"), ("tracking", "tracking")])
def test_it_does_not_run_as_root_and_brings_no_installer(folder: str, stage: str) -> None:
    server = stages(folder)[stage]
    users = [rest for word, rest in server if word == "USER"]
    assert users == ["10001:10001"]
    assert [word for word, _ in server].index("USER") > max(
        index for index, (word, _) in enumerate(server) if word == "COPY"
    )
    assert not any(word in ("RUN", "ADD") for word, _ in server)
    build = " ".join(rest for word, rest in stages(folder)["packages"] if word == "RUN")
    assert "--require-hashes" in build and "--only-binary :all:" in build
    assert "uninstall --yes setuptools pip" in build


def test_it_is_root_for_sagemaker_alone() -> None:
    """SageMaker's guide asks for it (docs.aws.amazon.com, your-algorithms-inference-code.html)."""
    others = {name: [rest for word, rest in found if word == "USER"] for name, found in stages().items()}
    assert others == {
        "packages": [],
        "server": ["10001:10001"],
        "adapter": [],
        "lambda": [],
        "sagemaker": ["0:0"],
    }


@pytest.mark.parametrize(("folder", "stage"), [("serving", "server"), ("tracking", "tracking")])
def test_it_says_where_it_comes_from_and_what_is_in_it(folder: str, stage: str) -> None:
    (labels,) = [rest for word, rest in stages(folder)[stage] if word == "LABEL"]
    assert 'org.opencontainers.image.source="${SOURCE}"' in labels
    build = " ".join(rest for word, rest in stages(folder)["packages"] if word == "RUN")
    bill = re.findall(r'model-delivery\.sbom="([^"]+)"', labels)
    assert bill and f"> {bill[0]}" in build


def test_what_no_image_uses_goes(tmp_path: Path) -> None:
    kept = [
        "numpy/core.py",
        "numpy/testing/__init__.py",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "botocore/data/sts/x.json",
        "botocore/data/endpoints.json",
    ]
    gone = [
        "numpy/tests/test_core.py",
        "numpy/tests/data/tests/x.npy",
        "botocore/data/ec2/x.json",
        "botocore/data/s3control/x.json",
    ]
    for name in (*kept, *gone):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("ten bytes.")
    assert slim.slim(tmp_path) == 40
    left = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert left == set(kept)


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


LISTS = {
    "serving": "serving/requirements.txt",
    "serving-onnx": "serving/requirements-onnx.txt",
    "serving-sklearn": "serving/requirements-sklearn.txt",
    "tracking": "tracking/requirements.txt",
}
"""Each image's list of packages, by the group of pyproject.toml that it is made of."""


@pytest.mark.parametrize("group", LISTS)
def test_the_images_packages_are_the_locked_ones_and_only_those_it_needs(group: str) -> None:
    """`uv export --locked --only-group GROUP --no-emit-project --no-header --no-annotate -o LIST` writes
    each of them."""
    text = (ROOT / LISTS[group]).read_text().replace("\\\n", " ")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    known = lock()
    (project,) = known["model-delivery"]
    pending = [item["name"] for item in project["dev-dependencies"][group]]
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            for package in known[name]:
                extras = [] if group != "tracking" else package.get("optional-dependencies", {}).values()
                pending += [item["name"] for item in package.get("dependencies", [])]
                pending += [item["name"] for extra in extras for item in extra]
    # For Windows, for older Pythons, and extras that nothing asks for.
    assert pinned.keys() <= needed | {"colorama", "exceptiongroup"}
    if group != "tracking":
        assert pinned.keys() - {"colorama", "exceptiongroup"} == needed - {"colorama", "exceptiongroup"}
    for name, version in pinned.items():
        (package,) = [package for package in known[name] if package["version"] == version]
        hashes = {file["hash"] for file in [*package["wheels"], package.get("sdist", {"hash": ""})]}
        line = next(line for line in text.splitlines() if line.startswith(f"{name}=={version} "))
        assert set(re.findall(r"sha256:[0-9a-f]{64}", line)) <= hashes, name


def test_each_flavours_image_leaves_the_others_packages_out() -> None:
    onnx, sklearn, both = (
        set(re.findall(r"^([a-z0-9-]+)==", (ROOT / LISTS[group]).read_text(), re.MULTILINE))
        for group in ("serving-onnx", "serving-sklearn", "serving")
    )
    assert onnx | sklearn == both and both - onnx >= {"scikit-learn", "scipy", "pandas", "skops"}
    assert both - sklearn >= {"onnxruntime", "protobuf"}


def test_the_servers_group_is_part_of_the_projects_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    ours, groups = set(project["project"]["dependencies"]), project["dependency-groups"]
    plain = {
        item
        for name in ("server", "serving-onnx", "serving-sklearn")
        for item in groups[name]
        if isinstance(item, str)
    }
    assert plain - ours == {"pandas", "skops"}


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
