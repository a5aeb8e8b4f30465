"""The words of docs/concepts.md are those of the code: names by their parts, prose by a list of phrases."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.wording import find_banned

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "concepts.md"
ROOMS = ("platform", "experiments", "inference", "clients", "benchmarks", "tests")
# Names that have such a part for a reason that is not ours, or that stand for what is stored.
EXCEPTIONS = {
    "NotFoundError": "HTTP's own word",
    "not_found": "HTTP's own word",
    "connection_made": "a method of asyncio's protocols",
    "created_by": "a column of decisions, and so in their hashed records",
    "created_at": "a column of decisions, and so in their hashed records",
    "largest_weight": "the statistician's name of a weight's maximum, stored with gates",
    "most_doubled": "a field of policies, which are hashed",
    "forget_kept": "a field of the management API",
}
# Names that are older than this test, by top folder. Rename the last use of one, and take it out.
DEBTS = Path(__file__).with_name("names_to_rename.txt")


@cache
def debts() -> frozenset[tuple[str, str]]:
    lines = (line.partition(": ") for line in DEBTS.read_text(encoding="utf-8").splitlines())
    return frozenset((room, name) for room, _colon, names in lines for name in names.split())


@cache
def banned_parts() -> frozenset[str]:
    text = GLOSSARY.read_text(encoding="utf-8").partition("These parts of names are not used:")[2]
    return frozenset(re.findall(r"`(\w+)`", text.partition(".")[0]))


def names_bound(tree: ast.AST) -> set[str]:
    """Return the names that a module gives: variables, attributes, arguments, functions, classes."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias) and node.asname:
            names.add(node.asname)
    return names


def parts_of(name: str) -> set[str]:
    return set(re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().split("_"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def sources() -> list[Path]:
    files = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return sorted(path for path in files if "migrations" not in path.parts)


def is_sentence(name: str) -> bool:
    """Whether a name is that of a test: a sentence, which may use any word."""
    return name.startswith("test_")


def test_the_glossary_lists_parts_of_names():
    assert {"said", "found", "most", "doubled"} <= banned_parts()


@pytest.mark.parametrize("room", ROOMS)
def test_names_use_the_glossarys_words(room):
    wrong = {
        (str(path.relative_to(ROOT)), name)
        for path in sources()
        if path.relative_to(ROOT).parts[0] == room
        for name in names_bound(tree_of(path))
        if parts_of(name) & banned_parts() and name not in EXCEPTIONS and not is_sentence(name)
    }
    assert {one for one in wrong if (room, one[1]) not in debts()} == set()


def test_prose_uses_no_banned_phrase():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    pages += (ROOT / "platform").rglob("*.html")
    found = {
        str(path.relative_to(ROOT)): banned
        for path in pages
        if path.name != "CHANGELOG.md" and (banned := find_banned(_without_not_column(path)))
    }
    assert found == {}


def _without_not_column(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub(r"\|[^|\n]*\|$", "|", text, flags=re.MULTILINE) if path == GLOSSARY else text


def test_docstrings_and_messages_use_no_banned_phrase():
    found = {
        (str(path.relative_to(ROOT)), banned)
        for path in sources()
        if path.relative_to(ROOT).parts[0] not in {"tests", "benchmarks"}
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for banned in find_banned(node.value)
    }
    assert found == set()
