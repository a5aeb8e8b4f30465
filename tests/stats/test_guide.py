"""The guide's examples and the docstrings' are run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import experiments.stats

GUIDE = Path(__file__).parents[2] / "docs" / "statistics" / "guide.md"
MODULES = [
    f"experiments.stats.{module.name}" for module in pkgutil.iter_modules(experiments.stats.__path__)
]
OPTIONS = doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE


def test_the_guide_runs():
    results = doctest.testfile(str(GUIDE), module_relative=False, optionflags=OPTIONS)
    assert results.attempted > 40
    assert results.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=OPTIONS).failed == 0
