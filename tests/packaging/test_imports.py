"""What tests share is in tests/support and in the conftests: no test borrows from another test's file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for room in ("tests", "benchmarks") for path in (ROOT / room).rglob("*.py"))
# Programs that docs name: `python -m tests.conformance.golden`.
SHARED = ("tests.support", "tests.conformance.golden", "tests.conformance.growthbook")


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Each file, read once."""
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in FILES}


def imported(tree: ast.Module) -> list[str]:
    """The modules of tests that a file imports, also inside functions."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            names += [f"{package}.{alias.name}" for alias in node.names]
    return [name for name in names if name.startswith((".", "tests."))]


def borrowed(tree: ast.Module) -> list[str]:
    return [
        name
        for name in imported(tree)
        if not any(name == shared or name.startswith(f"{shared}.") for shared in SHARED)
    ]


def test_what_is_shared_is_in_support(trees):
    assert {name: names for name, tree in trees.items() if (names := borrowed(tree))} == {}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from tests.gateway.test_flags import run", "tests.gateway.test_flags.run"),
        ("def f():\n    from tests.conftest import lane", "tests.conftest.lane"),
        ("import tests.api.test_keys", "tests.api.test_keys"),
        ("from . import test_keys", "..test_keys"),
        ("from tests import conftest", "tests.conftest"),
    ],
)
def test_a_borrowed_name_is_reported(source, name):
    assert borrowed(ast.parse(source)) == [name]


def test_a_name_from_support_is_not_reported():
    source = "from tests.support.builders import event\nimport testtools"
    assert borrowed(ast.parse(source)) == []


BUILT = {"SlateRow", "ExposureRow", "EventRow", "FeedbackRow", "MetricInput"}


def test_rows_are_built_by_keyword(trees):
    """By tests/support, so that a new field is added in one place and no position has a meaning."""
    positional = [
        (name, ast.unparse(node))
        for name, tree in trees.items()
        if name.startswith("tests/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in BUILT and node.args
    ]
    assert positional == []
