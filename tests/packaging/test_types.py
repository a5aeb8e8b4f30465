"""mypy says the same wherever it runs: of an extra that a developer may lack, it reads nothing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MYPY = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
OWN = {"bakeoff", "bakeoff_client", "clients", "experiments", "inference", "platform", "tests"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> set[str]:
    """The distributions that every developer has."""
    lines = [
        line
        for file in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / file).read_text().splitlines()
    ]
    return {normalised(found[0]) for line in lines if (found := re.match(r"[\w.-]+", line))}


def skipped(module: str) -> bool:
    return any(
        module.startswith(pattern.removesuffix("*")) or module == pattern.removesuffix(".*")
        for override in MYPY["overrides"]
        if override.get("follow_imports") == "skip"
        for pattern in override["module"]
    )


def foreign_modules(source: str) -> set[str]:
    """The modules of other people that a file imports, also inside functions."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules.add(node.module)
    ours = OWN | sys.stdlib_module_names
    return {module for module in modules if module.partition(".")[0] not in ours}


def unpinned(modules: set[str], pins: set[str], distributions: dict[str, list[str]]) -> list[str]:
    """Those whose types depend on what a developer happens to have installed."""
    return sorted(
        module
        for module in modules
        if not skipped(module)
        and not pins & {normalised(name) for name in distributions.get(module.partition(".")[0], [])}
    )


def test_every_module_that_mypy_reads_is_installed_for_every_developer():
    files = [path for folder in MYPY["files"] for path in (ROOT / folder).rglob("*.py")]
    modules = set().union(*(foreign_modules(path.read_text()) for path in files))
    assert {"django.db", "pyspark.sql"} <= modules
    assert unpinned(modules, pinned(), packages_distributions()) == []


@pytest.mark.parametrize("source", ["import lamps.warm", "def f():\n    from lamps.warm import on"])
def test_a_module_of_an_extra_is_reported(source):
    modules = foreign_modules(source)
    # Whether it is installed here or not.
    assert unpinned(modules, {"django"}, {}) == ["lamps.warm"]
    assert unpinned(modules, {"django"}, {"lamps": ["Lamps"]}) == ["lamps.warm"]
    assert unpinned(modules, {"lamps"}, {"lamps": ["Lamps"]}) == []
