"""The help pages: built strictly, served at /help, searched in a browser, and complete."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from django.conf import settings

from bakeoff.alerts.models import Alert
from bakeoff.api import api
from bakeoff.cli import main as cli
from bakeoff.dashboard.navigation import HELP_PAGES
from bakeoff.help_site import build, sources, view
from bakeoff.help_site.reference_cli import cli_page
from bakeoff.help_site.reference_errors import errors_page
from bakeoff.help_site.reference_events import events_page

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(console) -> Path:
    """The pages, where the platform of these tests serves them from."""
    folder = sources.site_folder(settings.BAKEOFF.home)
    done = console("docs", "--to", str(folder))
    assert done.status == 0, done.output
    return folder


def text_of(site: Path, page: str) -> str:
    html = (site / page / "index.html").read_text()
    return re.sub(r"<[^>]+>", "", html[html.index("<article") : html.index("</article>")])


def test_pages_load_their_files_from_where_they_are_and_have_no_script_inside(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 80
    for page in pages:
        html = page.read_text()
        assert not re.search(r"<script>", html), page
        loaded = re.findall(r'<(?:script|img)\b[^>]*\bsrc="?([^" >]+)', html)
        loaded += re.findall(r'<link\b[^>]*\bhref="?([^" >]+)[^>]*\brel="?(?:stylesheet|icon)', html)
        assert loaded
        assert [one for one in loaded if one.startswith(("http:", "https:", "//"))] == [], page


def test_every_page_of_the_docs_stands_in_the_navigation(site):
    """Decisions stand in their own index."""
    html = (site / "index.html").read_text()
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    pages = {str(path.with_suffix("")).replace("README", "").replace("index", "").rstrip("/") for path in pages
             if not re.match(r"decisions/\d", str(path))}  # fmt: skip
    linked = {
        link.rstrip("/") for link in re.findall(r'class="md-nav__link[^>]*href="?([^" >#]+)', html)
    }
    linked |= {
        link.rstrip("/") for link in re.findall(r'href="?([^" >#]+)"? class="?md-nav__link', html)
    }
    assert sorted(pages - linked - {""}) == []


@pytest.mark.parametrize("page", sorted(set(HELP_PAGES.values())))
def test_a_page_of_the_dashboard_leads_to_help_that_is_there(site, page):
    assert (site / page / "index.html").exists()


def options(command: click.Command, path: str):
    """Every command with its options, by the path one types."""
    yield path, [name for one in command.params if isinstance(one, click.Option) for name in one.opts]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from options(command.get_command(context, name), f"{path} {name}")


def test_the_reference_of_commands_has_every_option():
    page = cli_page(cli)
    sections = dict(re.findall(r"^#+ `([^`]+)`\n(.*?)(?=^#+ `|\Z)", page, re.MULTILINE | re.DOTALL))
    commands = dict(options(cli, "bakeoff"))
    assert len(commands) > 60
    for path, names in commands.items():
        if path != "bakeoff":
            assert [name for name in names if f"`{name}`" not in sections[path]] == [], path


def test_the_reference_of_the_api_has_every_operation(site):
    text = text_of(site, "reference/api")
    document = api.get_openapi_schema()
    operations = [
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    ]
    assert len(operations) > 90
    assert [one for one in operations if one not in text] == []


def test_the_reference_of_errors_has_the_codes_of_both_lanes():
    page = errors_page()
    for code in (
        "unknown_surface",
        "rate_limited",
        "would_reshuffle",
        "scope_needed",
        "not_json",
        "no_space",
    ):
        assert f"| `{code}` | " in page
    assert "k == 0" in page


def test_the_reference_of_events_has_every_alert_and_field():
    page = events_page()
    assert [event for event in Alert.Event.values if f"| `{event}` |" not in page] == []
    assert "| `occurred_at` |" in page
    assert "| `recommendation_id` |" in page


def test_a_link_that_leads_nowhere_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Pages\n\n[one](nowhere.md)\n")
    text = (ROOT / "mkdocs.yml").read_text()
    (tmp_path / "mkdocs.yml").write_text(
        text[: text.index("nav:\n  - index.md")].replace("images/icon.svg", "")
    )
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    with pytest.raises(build.BuildError, match=r"nowhere\.md"):
        build.build_site(tmp_path / "site", {})
    assert not (tmp_path / "site").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".building")] == []


def test_pages_are_served_with_the_policy_of_all_pages(site, lane):
    answer = lane.client.get("/help/settings/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert lane.client.get("/help").headers["location"] == "/help/"
    assert lane.client.get("/help/settings").headers["location"] == "/help/settings/"
    assert lane.client.get("/help/nowhere/").status_code == 404
    assert lane.client.get("/help/../../secret_key").status_code == 404
    # The same whether there is such a file: an answer tells nothing of other folders.
    assert lane.client.get("/help/%2e%2e/%2e%2e/secret_key").status_code == 400
    assert lane.client.get("/help/%2e%2e/%2e%2e/logs").status_code == 400
    assert lane.client.post("/help/").status_code == 403  # no form stands there: its token is missing


def test_search_finds_a_page_without_asking_any_other_host(site, lane, chromium):
    context = chromium.new_context(base_url=lane.url)
    page = context.new_page()
    elsewhere, errors = [], []
    page.on(
        "request",
        lambda r: urlsplit(r.url).netloc in {urlsplit(lane.url).netloc, ""} or elsewhere.append(r.url),
    )
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/help/")
    page.get_by_role("textbox", name="Search").fill("sample ratio mismatch")
    hit = page.locator(".md-search-result__link").first
    hit.wait_for(timeout=30_000)
    hit.click()
    page.wait_for_url("**/help/**/?h=**")
    assert page.locator("article mark").count() > 0
    assert (elsewhere, errors) == ([], [])
    context.close()


def test_without_the_builder_the_page_says_what_to_install(lane, monkeypatch):
    monkeypatch.setattr(view, "site_folder", lambda home: home / "nowhere")
    monkeypatch.setattr(view, "can_build", lambda: False)
    answer = lane.client.get("/help/")
    assert answer.status_code == 503
    assert "pip install &#x27;bakeoff[docs]&#x27;" in answer.text
    assert "refresh" not in answer.headers


def test_the_first_call_builds_and_a_failure_is_told(lane, monkeypatch, tmp_path):
    """The builder runs beside the requests: the page says so, and reloads."""
    monkeypatch.setattr(view, "site_folder", lambda home: home / "nowhere")
    monkeypatch.setattr(view, "BUILDER", view.Builder())
    (tmp_path / "bakeoff").mkdir()
    (tmp_path / "bakeoff" / "__init__.py").write_text("")  # else the installed package is found first
    (tmp_path / "bakeoff" / "__main__.py").write_text("raise SystemExit('No space left on device.')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = lane.client.get("/help/")
    assert (answer.status_code, answer.headers["refresh"], answer.headers["retry-after"]) == (
        503,
        "2",
        "2",
    )
    assert "being built" in answer.text
    view.BUILDER._process.wait(30)
    failed = lane.client.get("/help/")
    assert "No space left on device." in failed.text
    assert "refresh" not in failed.headers
    shutil.rmtree(tmp_path / "bakeoff")
