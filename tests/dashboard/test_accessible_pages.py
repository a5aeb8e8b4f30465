"""Axe over the pages that a project of some weeks has, and over those of people who are not signed in."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import resolve

from bakeoff.accounts.invite import invite
from bakeoff.accounts.models import SecondFactor
from bakeoff.accounts.reset_by_link import make_reset_link
from bakeoff.dashboard.urls import urlpatterns
from tests.support.axe import WIDE, faults_of
from tests.support.browser import Visit
from tests.support.builders import now
from tests.support.dashboard import make_user
from tests.support.dashboard_pages import ANSWERS, NO_PAGES, PAGES, SEEDED_PAGES, STRANGERS, names_of
from tests.support.dated_looks import run_days
from tests.support.seeded_project import places_of, seed_project

PASSWORD = "a long secret 42"


@pytest.fixture
def seeded(lane):
    seeded = seed_project()
    run_days(seeded.running, [30, 30, 30], clicks={"control": 1, "treatment": 1})
    lane.refresh()
    return seeded


def test_pages_of_a_project_of_some_weeks_are_sound(chromium, lane, seeded, axe):
    """No serious fault by axe, no request elsewhere, no error, nothing wider than the screen."""
    person = get_user_model().objects.get(username=seeded.name)
    seen = Visit(chromium, lane, person, bypass_csp=True, is_mobile=True)
    faults, places = [], places_of(seeded)
    reports = [one for one in PAGES if one[0] in {"report", "report-running"}]
    for name, address in [*reports, *SEEDED_PAGES]:
        seen.page.set_viewport_size(WIDE)
        answer = seen.page.goto(address.format(**places))
        assert answer.ok, (name, answer.status)
        for one in seen.page.locator("main details:not(.menu)").all():
            one.evaluate("(node) => (node.open = true)")
        seen.page.evaluate(axe)
        faults += faults_of(seen.page, f"seeded-{name}")
    assert faults == []
    assert seen.elsewhere == []
    assert seen.errors == []
    seen.close()


def test_pages_of_strangers_are_sound(chromium, lane, seeded, axe):
    shop = seeded.shop
    person = make_user(shop.project, password=PASSWORD)
    admin = make_user(shop.project, role="admin")
    SecondFactor.objects.create(user=person, secret="A" * 32, confirmed_at=now())
    _, invited = invite(project=shop.project, role="viewer", by="a test")
    share = f"/experiments/{seeded.slug}/{seeded.shipped.key}/share/"
    page = seeded.client.post(share, {"days": "14"}, follow=True).content.decode()
    seen = Visit(chromium, lane, bypass_csp=True, is_mobile=True)
    reset = make_reset_link(username=person.username, project=shop.project, maker=admin)
    faults = []
    for name, address in (
        ("forgot-password", "/sign-in/forgot/"),
        ("invited", f"/invited/{invited}/"),
        ("reset-password", f"/reset/{reset}/"),
        ("shared", re.search(r"/shared/[^/]+/", page)[0]),
        ("second-factor", "/sign-in/"),
    ):
        seen.page.set_viewport_size(WIDE)
        answer = seen.page.goto(address)
        assert answer.ok, (name, answer.status)
        if name == "second-factor":  # the password is right, and the code is still missing
            seen.page.get_by_label("Username").fill(person.username)
            seen.page.get_by_label("Password").fill(PASSWORD)
            seen.page.get_by_role("button", name="Sign in", exact=True).click()
            seen.page.wait_for_url("**/sign-in/code/")
        seen.page.evaluate(axe)
        faults += faults_of(seen.page, f"stranger-{name}")
    assert faults == []
    assert seen.errors == []
    seen.close()


def test_every_page_is_in_a_list(seeded):
    """A page that is added is checked by axe, or its name says why not."""
    places = places_of(seeded)
    checked = {resolve(a.format(**places).partition("?")[0]).url_name for _, a in PAGES + SEEDED_PAGES}
    assert names_of(urlpatterns) - checked - STRANGERS - NO_PAGES - ANSWERS == set()
