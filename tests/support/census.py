"""Measure the code: sizes, comments, types, docstrings and import cycles.

`python -m tests.support.census` prints the figures; tests/packaging/test_census.py holds the limits.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("platform/bakeoff", "experiments", "inference")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        """Its dotted name, as an import spells it."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        parts = parts[1:] if parts[0] == "platform" else parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def comments(self) -> int:
        """Lines with a comment; a linter's directive is none."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        texts = [token.string for token in tokens if token.type == tokenize.COMMENT]
        return sum(not text.startswith(("# noqa", "# type:", "#!")) for text in texts)

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def modules(rooms: tuple[str, ...] = ROOMS) -> Iterator[Module]:
    """Every module of some folders, migrations left out."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield Module(path)


def length(function: Function) -> int:
    """Lines of a function, its decorators left out, its docstring counted."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def imports_of(module: Module, known: frozenset[str]) -> set[str]:
    """The modules of ours that a module imports when it runs, also inside functions."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(module.tree):
        # What only a type checker reads makes no cycle.
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(inner for child in node.body for inner in ast.walk(child))
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in known else node.module)
    return (names & known) - {module.name}


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """A way from a module back to itself, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def import_graph() -> dict[str, set[str]]:
    """By module, the modules of ours that it imports."""
    every = list(modules())
    known = frozenset(module.name for module in every)
    return {module.name: imports_of(module, known) for module in every}


def _spread(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f} / {ordered[int(len(ordered) * 0.9)]} / {ordered[-1]}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"


def report() -> list[tuple[str, str]]:
    """The figures as names and values."""
    every = list(modules())
    functions = [function for module in every for function in module.functions]
    public = [f for f in functions if not f.name.startswith("_")]
    arguments = [a for f in functions for a in (*f.args.args, *f.args.kwonlyargs)]
    typed = [a for a in arguments if a.annotation is not None or a.arg in {"self", "cls"}]
    lines = sum(module.lines for module in every)
    tests = sum(module.lines for module in modules(("tests",)))
    return [
        ("files / lines", f"{len(every)} / {lines / 1000:.1f}k"),
        ("file median / p90 / max", _spread([module.lines for module in every])),
        ("function median / p90 / max", _spread([length(f) for f in functions])),
        ("comments per 100 lines", f"{100 * sum(m.comments for m in every) / lines:.1f}"),
        ("annotated", _share(len(typed), len(arguments))),
        (
            "public docstrings",
            _share(sum(ast.get_docstring(f) is not None for f in public), len(public)),
        ),
        ("test lines per line", f"{tests / lines:.2f}"),
        ("an import cycle", " > ".join(cycle_in(import_graph())) or "none"),
    ]


if __name__ == "__main__":
    for title, value in report():
        print(f"{title:30} {value}")  # noqa: T201  # its output
