"""A container of the model server's image, by its digest, fetches an artifact, checks it and answers."""

from __future__ import annotations

import pytest

from tests.image.engine import Engine
from tests.image.models import REQUESTS, SERVER_PORT, Models, answering, ask
from tests.image.variants import POD, SERVES, Built

pytestmark = pytest.mark.image

_OF_PODS = ("both", "onnx", "sklearn")


@pytest.mark.parametrize(
    ("variant", "flavor"), [(variant, flavor) for variant in _OF_PODS for flavor in SERVES[variant]]
)
def test_it_fetches_checks_and_answers_like_the_local_server(
    docker: Engine, variants: Built, models: Models, variant: str, flavor: str
) -> None:
    with docker.container(variants[variant], env=models.variables(flavor), options=POD) as container:
        url = f"http://{container.address}:{SERVER_PORT}"
        answering(container, f"{url}/v2/health/ready")
        assert {name: ask(url, name) for name in REQUESTS} == models.released[flavor].answers
        assert container.run("id", "-u") == "10001"
        assert container.stop() == 0


@pytest.mark.parametrize(("variant", "flavor"), [("onnx", "sklearn"), ("sklearn", "onnx")])
def test_a_model_of_another_flavour_is_refused_with_a_sentence(
    docker: Engine, variants: Built, models: Models, variant: str, flavor: str
) -> None:
    with docker.container(variants[variant], env=models.variables(flavor), options=POD) as container:
        code, said = container.ended()
    assert code != 0 and "Traceback" not in said
    assert f"Add {flavor} to the image's flavours" in said


def test_other_bytes_than_the_pinned_ones_are_refused(
    docker: Engine, variants: Built, models: Models
) -> None:
    env = {**models.variables("onnx"), "SERVING_DIGEST": "sha256:" + "0" * 64}
    with docker.container(variants["both"], env=env, options=POD) as container:
        code, said = container.ended()
    assert code != 0 and "Traceback" not in said
    assert models.released["onnx"].digest in said


@pytest.mark.parametrize("variant", sorted(SERVES))
def test_no_variant_has_an_installer_or_a_compiler(docker: Engine, variants: Built, variant: str) -> None:
    for module in ("pip", "setuptools"):
        with docker.container(variants[variant], "python", "-c", f"import {module}") as container:
            code, said = container.ended()
        assert code != 0 and "ModuleNotFoundError" in said
