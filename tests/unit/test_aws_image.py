"""An image that is built goes into the platform's own registry, and all that runs takes it by its digest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.runtime import rpc

from components.environment import ConfigError, parse
from components.platform import declare as declare_platform
from tests.unit.aws import (
    ACCOUNT,
    BUILD,
    CALLS,
    DEV,
    DIGEST,
    IMAGE,
    PREFIX,
    ROOT,
    amazon,
    answers,
    one_policy,
)
from tests.unit.graph import Graph, declare

MODELS: dict[str, Any] = {
    "pods": {"stable": {"version": 3}, "autoscaling": {"min": 2}},
    "fast": {"runtime": "lambda", "stable": {"version": 3}},
    "split": {"runtime": "sagemaker", "stable": {"version": 3}},
}
HOST = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
REPOSITORY = f"{HOST}/{PREFIX}/serving"
BUILT = "docker-build:index:Image"
BUILDING: dict[str, Any] = {"image": BUILD, "sagemaker": {}}


def tag_of(graph: Graph) -> str:
    (tag,) = graph.one(BUILT, "serving").inputs["tags"]
    return str(tag)


def images(graph: Graph) -> dict[str, Any]:
    """The image of each thing that runs the model server, by its name."""
    found: dict[str, Any] = {}
    for resource in graph.resources:
        if resource.type == "aws:lambda/function:Function" and resource.inputs.get("packageType") == "Image":
            found[f"function {resource.name}"] = resource.inputs.get("imageUri")
        elif resource.type == "aws:sagemaker/model:Model":
            found[f"model {resource.name}"] = resource.inputs["primaryContainer"].get("image")
        elif resource.type in ("kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:Job"):
            pod = resource.inputs["spec"]["template"]["spec"]
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                found[f"{container['name']} of {resource.name}"] = container.get("image")
    return found


def test_it_is_pushed_into_the_platforms_registry_by_a_login_of_the_run() -> None:
    graph, _, outputs = amazon(MODELS, **BUILDING)
    image = graph.one(BUILT, "serving").inputs
    assert tag_of(graph).startswith(f"{REPOSITORY}:")
    assert image["target"] == "lambda" and image["push"] is True
    assert image["buildArgs"]["BASE"] == BUILD["build"]["base"]
    assert rpc.unwrap_rpc_secret(image["registries"]) == [
        {"address": HOST, "username": "AWS", "password": "of a registry"}
    ]
    # Lambda may pull it before there is a function that does.
    types = {r.urn: r.type for r in graph.resources}
    needed = {types[urn] for urn in graph.one("delivery:image:ServingImage", "serving").needs}
    assert "aws:ecr/repositoryPolicy:RepositoryPolicy" in needed
    assert graph.one("delivery:image:ServingImage", "serving").parent, "it is the platform's"
    assert set(outputs) >= {"image", "imageRepository"}


def test_everything_that_serves_runs_it_by_its_digest() -> None:
    graph, _, _ = amazon(MODELS, **BUILDING)
    found = images(graph)
    assert set(found) == {
        *("function fast-v3", "model split-v3"),
        *("fetch of pods-v3", "server of pods-v3", "wait of pods-v3-c2"),
        *("wait of pods-v3-identity", "apply of definitions"),
    }
    # Lambda refuses an image that is named by a tag and a digest, SageMaker knows one or the other.
    outside = {found.pop("function fast-v3"), found.pop("model split-v3")}
    assert outside == {f"{REPOSITORY}@{DIGEST}"}
    assert set(found.values()) == {f"{tag_of(graph)}@{DIGEST}"}
    inputs = [value for r in graph.resources for value in r.inputs.values()]
    assert IMAGE not in json.dumps([value for value in inputs if not rpc.is_rpc_secret(value)])
    for kind, name, image in (
        ("aws:lambda/function:Function", "fast-v3", "serving"),
        ("aws:sagemaker/model:Model", "split-v3", "serving-sagemaker"),
        ("kubernetes:apps/v1:Deployment", "pods-v3", "serving"),
    ):
        assert image in graph.waits_for(kind, name)


def test_the_endpoints_role_may_pull_from_the_platforms_repository() -> None:
    named = {"sagemaker": {"image": ROOT}}
    for platform, repository in ((BUILDING, f"repository/{PREFIX}/serving"), (named, "repository/serving")):
        graph, _, _ = amazon({"split": MODELS["split"]}, **platform)
        rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "split")
        (pull,) = [right for right in rights if "ecr:BatchGetImage" in right["Action"]]
        assert pull["Resource"] == [f"arn:aws:ecr:eu-central-1:{ACCOUNT}:{repository}"]


def test_a_preview_before_the_first_build_knows_all_but_the_image() -> None:
    environment = parse({**DEV, **BUILDING}, MODELS)

    def program() -> None:
        place = declare_platform(environment.platform)
        for model in environment.models:
            place.serve(model)

    def unbuilt(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in answers(type, name, inputs).items() if key != "ref"}

    graph = declare(program, unbuilt, preview=True, calls=CALLS)
    applied, _, _ = amazon(MODELS, **BUILDING)
    assert graph.counts() == applied.counts()
    found = images(graph)
    assert found.keys() == images(applied).keys() and not any(isinstance(v, str) for v in found.values())
    function = graph.one("aws:lambda/function:Function", "fast-v3").inputs
    assert function["environment"]["variables"]["SERVING_VERSION"] == "3"


def test_an_image_that_is_there_asks_for_no_login() -> None:
    graph, _, outputs = amazon(MODELS)  # the mocks know the registry's token for a build alone
    found = images(graph)
    assert not graph.names(BUILT) and found.pop("model split-v3") == ROOT
    assert set(found.values()) == {IMAGE}
    assert outputs["image"] == IMAGE


def test_the_tag_of_an_image_that_is_there_is_not_for_lambda_and_sagemaker() -> None:
    tagged = IMAGE.replace("@", ":2026-11@")
    root = ROOT.replace("@", ":2026-11@")
    found = images(amazon(MODELS, image=tagged, sagemaker={"image": root})[0])
    assert (found.pop("function fast-v3"), found.pop("model split-v3")) == (IMAGE, ROOT)
    assert set(found.values()) == {tagged}


@pytest.mark.parametrize(
    ("build", "models", "mistake"),
    [
        (
            {"base": BUILD["build"]["base"]},
            {"fast": MODELS["fast"]},
            'models.fast.runtime is "lambda": Lambda needs its Web Adapter in the image. Name it in'
            " platform.image.build.adapter, by its digest.",
        ),
        (
            {**BUILD["build"], "platforms": ["linux/amd64", "linux/arm64"]},
            {},
            "platform.image.build.platforms is a list of 2 items: must be [linux/amd64]: nodes, Lambda and"
            " SageMaker run it on x86-64.",
        ),
        (
            {**BUILD["build"], "repository": "example.com/serving"},
            {},
            'platform.image.build.repository is "example.com/serving": unknown key; accepted: adapter, base,'
            " flavors, labels, platforms, sagemaker, source.",
        ),
    ],
)
def test_what_a_build_for_aws_must_have(build: dict[str, Any], models: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**DEV, "image": {"build": build}, "sagemaker": {}}, models)
    assert [str(problem) for problem in caught.value.problems] == [mistake]


def test_sagemakers_image_is_built_with_the_first_model_there_or_where_the_file_asks() -> None:
    pods = {"pods": MODELS["pods"]}
    assert amazon(pods, **BUILDING)[0].names(BUILT) == {"serving"}
    asked = {**BUILDING, "image": {"build": {**BUILD["build"], "sagemaker": True}}}
    for models, platform in ((MODELS, BUILDING), (pods, asked)):
        graph, _, outputs = amazon(models, **platform)
        assert graph.names(BUILT) == {"serving", "serving-sagemaker"}
        built = graph.one(BUILT, "serving-sagemaker").inputs
        assert built["target"] == "sagemaker" and built["tags"] != graph.one(BUILT, "serving").inputs["tags"]
        # A stack's output, for prod's file.
        assert ("sagemakerImage" in outputs) is (platform is asked)


def test_mlflows_image_is_pushed_into_a_repository_of_its_own() -> None:
    build = {"base": BUILD["build"]["base"]}
    graph, _, _ = amazon(tracking={"image": {"build": build}})
    (tag,) = graph.one(BUILT, "tracking-image").inputs["tags"]
    assert tag.startswith(f"{HOST}/{PREFIX}/mlflow:")
    repository = graph.one("aws:ecr/repository:Repository", "mlflow").inputs
    assert repository["imageTagMutability"] == "IMMUTABLE"
    (container,) = graph.one("kubernetes:apps/v1:Deployment", "tracking").inputs["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == f"{tag}@{DIGEST}"
    with pytest.raises(ConfigError, match=r"platform\.tracking\.image\.build\.platforms"):
        parse({**DEV, "tracking": {"image": {"build": {**build, "platforms": ["linux/arm64"]}}}}, {})


def test_without_lambda_a_build_needs_no_adapter() -> None:
    build = {"build": {"base": BUILD["build"]["base"]}}
    graph, _, _ = amazon({"pods": MODELS["pods"]}, image=build)
    assert graph.one(BUILT, "serving").inputs["target"] == "server"
