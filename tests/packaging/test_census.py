"""Limits of the code's shape: sizes, and imports that go one way."""

from __future__ import annotations

import ast

from tests.support import census

MAX_FUNCTION = 60
MAX_FILE = 450


def test_no_function_is_longer_than_its_limit() -> None:
    long = [
        f"{module.name}.{function.name}: {census.length(function)}"
        for module in census.modules()
        for function in module.functions
        if census.length(function) > MAX_FUNCTION
    ]
    assert long == []


def test_no_file_is_longer_than_its_limit() -> None:
    every = census.modules((*census.ROOMS, "clients", "tests"))
    assert [f"{module.path.name}: {module.lines}" for module in every if module.lines > MAX_FILE] == []


def test_imports_make_no_circle_also_inside_functions() -> None:
    assert census.cycle_in(census.import_graph()) == []


def test_no_model_is_looked_up_by_name_to_reach_upwards() -> None:
    calls = [
        f"{module.name}:{node.lineno}"
        for module in census.modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_model")
    ]
    assert calls == []


def test_a_circle_is_seen() -> None:
    assert set(census.cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}
