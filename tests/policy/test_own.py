"""A company's own rules: found where they are, judged like the shipped ones, mistakes said."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.environment import ConfigError
from policy import own, rules
from tests.policy.test_compliance import OWN


def test_the_rules_of_every_module_are_found_by_their_ids(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("raise AssertionError")
    (tmp_path / "b.py").write_text(OWN)
    (tmp_path / "a.py").write_text(OWN.replace("team-is-named", "first"))
    assert list(own.load(rules.RULES, tmp_path)) == ["first", "team-is-named"]


def test_this_project_ships_none() -> None:
    assert rules.every() == rules.RULES


def test_mistakes_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from policy.rule import Rul")
    (tmp_path / "empty.py").write_text("RULE = ()")
    (tmp_path / "twice.py").write_text(OWN.replace("team-is-named", "canary-step"))
    with pytest.raises(ConfigError) as caught:
        own.load(rules.RULES, tmp_path)
    text = str(caught.value)
    assert "policy/own has 3 mistakes" in text
    assert "policy/own/broken.py: can't be imported: ImportError: cannot import name 'Rul'" in text
    assert "policy/own/empty.py: must have RULES" in text
    assert "policy/own/twice.py: the id canary-step is taken" in text
