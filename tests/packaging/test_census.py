"""Limits of the code's shape: imports that go one way."""

from __future__ import annotations

import ast

from tests.support import census


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
