"""Tests of several files share tables: none counts the rows of another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Jobs of the whole platform: what they return depends on the rows of every project.
JOBS = {"build_missing_indexes", "embed_images", "flag_feedback", "reconcile"}
OF_ALL_ROWS = {"count", "exists", "first", "get", "last"}


def unfiltered(node: ast.AST) -> str:
    """The read of a whole table that an expression is, or nothing."""
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        source = ast.unparse(node.func).replace(".all()", "")
        manager, _, method = source.rpartition(".")
        if method in OF_ALL_ROWS and manager.endswith(".objects"):
            return ast.unparse(node)
    return ""


def takes(function: ast.FunctionDef) -> bool:
    """Whether a test or fixture has the platform for its file's projects."""
    return "empty_platform" in {one.arg for one in function.args.args}


def violations(source: str) -> Iterator[str]:
    """Lines of tests that compare what is of the whole platform."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    of_file = any("autouse" in ast.unparse(one.decorator_list[0]) and takes(one)
                  for one in functions if one.decorator_list)  # fmt: skip
    for function in functions:
        alone = of_file or takes(function)
        for node in (one for check in ast.walk(function) if isinstance(check, ast.Assert)
                     for one in ast.walk(check)):  # fmt: skip
            if read := unfiltered(node):
                yield f"{node.lineno}: {read} reads the rows of all tests: filter by project"
            called = isinstance(node, ast.Call) and ast.unparse(node.func) in JOBS
            if called and not alone:
                yield f"{node.lineno}: {ast.unparse(node)} counts for all projects: use empty_platform"


def test_no_test_counts_rows_of_others():
    found = {
        f"{path.relative_to(ROOT)}:{violation}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for violation in violations(path.read_text())
    }
    assert not found


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("assert Item.objects.count() == 3", True),
        ("assert Item.objects.all().count() == 3", True),
        ("assert 'x' in Decision.objects.first().reason", True),
        ("assert reconcile() == 1", True),
        ("assert Item.objects.filter(project=shop.project).count() == 3", False),
        ("reconcile()", False),
    ],
)
def test_what_is_refused(line, refused):
    assert bool(list(violations(f"def test_x(shop):\n    {line}"))) == refused
    assert not list(violations("def test_x(empty_platform):\n    assert reconcile() == 1"))
