"""The toolchain is made once for all tests of this folder that need it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import checkouts
from tests.tools.checkouts import Checkout


@pytest.fixture(scope="session")
def made_toolchain() -> None:
    from tools import environment, toolchain

    environment.ensure()
    toolchain.pulumi()


@pytest.fixture
def checkout(tmp_path: Path, made_toolchain: None) -> Callable[..., Checkout]:
    """Makes a checkout around a program: `checkout(program, config=...)`."""

    def make(program: str, **further: str) -> Checkout:
        return checkouts.make(tmp_path, program, **further)

    return make
