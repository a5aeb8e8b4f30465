"""Every page stands under its own project, whichever projects the person has beside it."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import Client

from bakeoff.accounts.models import Membership, Project
from bakeoff.page_tickets import read_ticket
from inference.models import TrainingRun
from tests.support import builders
from tests.support.dashboard import make_user
from tests.support.dashboard_pages import PAGES, SEEDED_PAGES
from tests.support.ended_run import ended_run
from tests.support.seeded_project import seed_project

OF_NO_PROJECT = {"sign-in", "home", "account", "health", "demo"}


@pytest.fixture(scope="module")
def seeded(shared_lane):
    seeded = seed_project()
    shared_lane.refresh()
    return seeded


def addresses(seeded):
    """Return the addresses of a project's pages, by name."""
    shop = seeded.shop
    runs = [ended_run(shop, 0.3), ended_run(shop, 0.4)]
    version = runs[0].version_id
    values = {
        "p": seeded.slug, "done": seeded.shipped.key, "running": seeded.running.key,
        "draft": seeded.draft.key, "halted": seeded.halted.key, "version": version, "trained": version,
        "run": runs[0].pk, "other": runs[1].pk,
    }  # fmt: skip
    pages = [page for page in [*PAGES, *SEEDED_PAGES] if page[0] not in OF_NO_PROJECT]
    return {name: path.format(**values) for name, path in pages if "{slate}" not in path}


def crumb_and_chosen(page):
    """Return the first step of the path, and what the switcher of projects shows."""
    first = re.search(r'<nav class="crumbs".*?<li><a href="([^"]*)">(.*?)</a>', page, re.DOTALL)
    chosen = re.findall(r'<option value="([^"]*)" selected>', page.partition('name="project"')[2])
    return first.group(2), chosen[0] if chosen else None


def test_every_page_names_its_own_project(seeded):
    """A person of two projects, of which another comes first."""
    person = make_user(seeded.shop.project, role="operator")
    first = Project.objects.create(slug="aaa-first", name="First")
    Membership.objects.create(user=person, project=first, role="viewer")
    client = Client()
    client.force_login(person)
    wrong = {}
    for name, address in addresses(seeded).items():
        answer = client.get(address)
        if answer.status_code == 403:  # for administrators alone
            continue
        assert answer.status_code == 200, (name, address)
        found = crumb_and_chosen(answer.content.decode())
        if found != (seeded.slug, seeded.slug):
            wrong[name] = found
    assert wrong == {}


def test_a_run_has_its_projects_rights_and_live_ticket(seeded):
    """A viewer of the first project who operates the second; and the other way round."""
    run = TrainingRun.objects.create(
        surface=seeded.shop.surface, algorithm="popularity", state="running", trigger="a test"
    )
    first = Project.objects.create(slug="aab-first", name="First")
    for here, there, shown in (("operator", "viewer", True), ("viewer", "operator", False)):
        person = make_user(seeded.shop.project, role=here)
        Membership.objects.create(user=person, project=first, role=there)
        client = Client()
        client.force_login(person)
        page = client.get(f"/runs/{run.pk}/").content.decode()
        assert (f"/runs/{run.pk}/cancel/" in page) == shown, here
        assert f'href="/p/{seeded.slug}/models/"' in page
        ticket = re.search(r'<meta name="live" content="([^"]+)"', page)
        assert read_ticket(settings.SECRET_KEY, ticket[1]) == seeded.shop.project.pk


def test_a_person_of_one_project_sees_no_run_of_another(seeded):
    run = ended_run(seeded.shop, 0.3)
    own = Project.objects.create(slug="aac-own", name="Own")
    client = Client()
    client.force_login(make_user(own))
    answer = client.get(f"/runs/{run.pk}/")
    assert answer.status_code == 404
    assert seeded.slug not in answer.content.decode()


def test_the_overview_of_several_projects_says_so_and_names_each(lane):
    one, other = builders.make_shop(), builders.make_shop()
    person = make_user(one.project)
    Membership.objects.create(user=person, project=other.project, role="viewer")
    client = Client()
    client.force_login(person)
    page = client.get("/").content.decode()
    assert "<h1>Overview of all projects</h1>" in page
    assert crumb_and_chosen(page) == ("All projects", "")
    for shop in (one, other):
        assert f"{shop.project.slug} / home-feed" in page
    page = client.get(f"/?project={other.project.slug}").content.decode()
    assert "<h1>Overview</h1>" in page
    assert crumb_and_chosen(page) == (other.project.slug, other.project.slug)
    assert f"{one.project.slug} /" not in page
    assert crumb_and_chosen(client.get("/health/").content.decode())[0] == "All projects"
    chinese = client.get("/", headers={"accept-language": "zh-hans"}).content.decode()
    assert "<h1>所有项目概览</h1>" in chinese
