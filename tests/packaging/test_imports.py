"""What tests share is in tests/support and in the conftests: no test borrows from another test's file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for room in ("tests", "benchmarks") for path in (ROOT / room).rglob("*.py"))
TESTS = [path for path in FILES if path.is_relative_to(ROOT / "tests")]
# Programs that docs name: `python -m tests.conformance.golden`.
SHARED = ("tests.support", "tests.conformance.golden", "tests.conformance.growthbook")


def imported(source: str) -> list[str]:
    """The modules of tests that a file imports, also inside functions."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            names += [f"{package}.{alias.name}" for alias in node.names]
    return [name for name in names if name.startswith((".", "tests."))]


def borrowed(source: str) -> list[str]:
    return [
        name
        for name in imported(source)
        if not any(name == shared or name.startswith(f"{shared}.") for shared in SHARED)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shared_is_in_support(file):
    assert borrowed(file.read_text()) == []


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
    assert borrowed(source) == [name]


def test_a_name_from_support_is_not_reported():
    assert borrowed("from tests.support.builders import event\nimport testtools") == []


BUILT = {"SlateRow", "ExposureRow", "EventRow", "FeedbackRow", "MetricInput"}


@pytest.mark.parametrize("file", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_rows_are_built_by_keyword(file):
    """By tests/support, so that a new field is added in one place and no position has a meaning."""
    positional = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in BUILT and node.args
    ]
    assert positional == []
