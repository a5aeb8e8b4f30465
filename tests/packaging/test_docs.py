"""What the pages of docs promise about themselves: numbers, links, and that no setting is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bakeoff.environment import read_environment

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = [
    path for room in ("platform", "experiments", "inference") for path in (ROOT / room).rglob("*.py")
]


def test_decisions_are_numbered_without_gaps():
    assert [path.name[:4] for path in DECISIONS] == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_number_and_three_parts(path):
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]}: ")
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
    ]


def test_the_index_lists_every_decision_with_its_title():
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+?) \| (.+?) \|$", index, re.MULTILINE)
    titles = [
        path.read_text().splitlines()[0].removeprefix(f"# {path.name[:4]}: ") for path in DECISIONS
    ]
    assert [(number, name, title) for number, name, title, _line in rows] == [
        (path.name[:4], path.name, title) for path, title in zip(DECISIONS, titles, strict=True)
    ]


def test_the_architecture_names_what_is_there():
    page = (ROOT / "docs" / "architecture.md").read_text()
    paths = set(re.findall(r"`((?:platform|experiments|inference|tests|docs|clients)/[\w./-]+)`", page))
    assert len(paths) > 40
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize(
    "room", ["experiments", "inference", "platform/bakeoff", "platform/bakeoff/gateway"]
)
def test_the_architecture_names_every_room(room):
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.parent for path in (ROOT / room).glob("*/__init__.py")]
    unnamed = [str(path.relative_to(ROOT)) for path in rooms if path.name != "migrations"]
    assert [path for path in unnamed if f"`{path}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text())
    files = [target for target in targets if "://" not in target and not target.startswith("/")]
    assert [target for target in files if not (page.parent / target).exists()] == []


def test_every_setting_is_documented():
    names = {name for path in SOURCES for name in re.findall(r"\bBAKEOFF_[A-Z_]+\b", path.read_text())}
    page = (ROOT / "docs" / "settings.md").read_text()
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", page)) == []


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    page = (ROOT / "docs" / "settings.md").read_text().partition("## Behind a proxy")[0]
    names = {
        name
        for row in re.findall(r"^\| ([A-Z_, ]+) \|", page, re.MULTILINE)
        for name in row.split(", ")
    }
    assert "BAKEOFF_TICK_SECONDS" in names
    for name in names:
        monkeypatch.delenv(name, raising=False)
    unset = read_environment()
    for name in names:
        monkeypatch.setenv(name, "")
    assert read_environment() == unset
