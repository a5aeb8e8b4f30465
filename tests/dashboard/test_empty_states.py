"""Where a page has nothing to show yet, it says what to do next: a link, a command, or an address."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from inference.models import ModelVersion, Surface
from tests.support import builders
from tests.support.dashboard import sign_in

PROJECT_PAGES = (
    "surfaces/", "feedback/", "feedback/themes/", "feedback/surveys/", "runs/", "models/", "metrics/",
    "experiments/",
)  # fmt: skip
VOID = {"br", "img", "input", "hr", "meta", "link"}


class _Empties(HTMLParser):
    """Collects the texts of elements of the class `empty`, and whether each leads on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list] = []
        self.depth = 0

    def handle_starttag(self, tag, attrs):
        if self.depth and tag not in VOID:
            self.depth += 1
            self.found[-1][1] |= tag in {"a", "code", "button"}
        elif "empty" in (dict(attrs).get("class") or "").split():
            self.depth = 1
            self.found.append(["", False])

    def handle_endtag(self, tag):
        if self.depth and tag not in VOID:
            self.depth -= 1

    def handle_data(self, data):
        if self.depth:
            self.found[-1][0] += data


def empties(client, address, language="en"):
    answer = client.get(address, headers={"accept-language": language})
    assert answer.status_code == 200, address
    reader = _Empties()
    reader.feed(answer.content.decode())
    return [(" ".join(text.split()), leads_on) for text, leads_on in reader.found]


def bare(client, address):
    return [text for text, leads_on in empties(client, address) if not leads_on]


@pytest.fixture
def blank(tables):
    """A project in which nothing is yet."""
    return builders.make_project()


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_every_page_of_an_empty_project_says_what_to_do(blank, role):
    client = sign_in(blank, role=role)
    shown = {page: empties(client, f"/p/{blank.slug}/{page}") for page in PROJECT_PAGES}
    assert {page for page, found in shown.items() if not found} == set()
    assert {page: bare(client, f"/p/{blank.slug}/{page}") for page in PROJECT_PAGES} == {
        page: [] for page in PROJECT_PAGES
    }


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_every_page_of_surfaces_without_data_says_what_to_do(shop, role):
    project, client = shop.project, sign_in(shop.project, role=role)
    for kind in ("classify", "generate", "rank", "flag"):
        Surface.objects.create(project=project, key=kind, kind=kind)
    builders.make_version(shop.surface, list(range(1, 11)), alias=ModelVersion.Alias.CHALLENGER)
    surfaces = [f"surfaces/{key}/" for key in ("home-feed", "classify", "generate", "rank", "flag")]
    versions = [f"models/{one.pk}/" for one in shop.surface.versions.all()]
    more = ["surfaces/generate/generations/", "surfaces/rank/policy/", f"metrics/{shop.metric.key}/"]
    pages = [*PROJECT_PAGES, *surfaces, *versions, *more]
    found = {page: bare(client, f"/p/{project.slug}/{page}") for page in pages}
    assert {page: texts for page, texts in found.items() if texts} == {}


def test_what_to_do_is_said_in_chinese_too(blank):
    client = sign_in(blank, role="admin")
    texts = [text for text, _ in empties(client, f"/p/{blank.slug}/surfaces/", "zh-hans")]
    assert texts
    assert all("推荐位" in text for text in texts)
