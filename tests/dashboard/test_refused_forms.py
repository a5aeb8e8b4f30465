"""Forms that an action refuses: 422, the rule at its field, and what was typed is still there."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.urls import reverse

from bakeoff.accounts.models import ApiKey, AuditEntry
from experiments.models import judge_plan_of
from inference.models import Surface
from tests.support import alerts, builders
from tests.support.dashboard import report_path, sign_in
from tests.support.html import elements

FIELD = re.compile(r'<(div|fieldset) class="field[^"]* ?wrong".*?</\1>', re.DOTALL)
HOOK = "https://hooks.example/bakeoff"
RUBRIC = "It is right. " * 40


@pytest.fixture
def admin(shop):
    return sign_in(shop.project, role="admin")


def wrong_fields(page: str) -> str:
    return " ".join(unescape(one[0]) for one in FIELD.finditer(page))


def refuse(admin, address, body, *, typed, rule):
    """Send a form; expect the rule at a field, what was typed, and nothing changed."""
    entries = AuditEntry.objects.count()
    for language, sentence in (("en", rule), ("zh-hans", None)):
        answer = admin.post(address, body, headers={"accept-language": language})
        page = answer.content.decode()
        assert answer.status_code == 422, address
        wrong = wrong_fields(page)
        assert wrong, address
        if sentence is None:
            assert 'class="problem" role="alert"><span lang="en"' not in wrong, wrong
        else:
            assert sentence in wrong
        text = unescape(page)
        for value in typed:
            assert value in text, (address, value)
    assert AuditEntry.objects.count() == entries
    return page


def lead_on(admin, page):
    """What leads on from the address of a form, which shows nothing, leads on from the page."""
    for one in elements(page):
        to = one.get("href" if one["tag"] == "a" else "action" if one["tag"] == "form" else "", "")
        assert not to or to[0] in "/#h", to
    (following, *_others) = elements(page, tag="input", name="next")
    assert admin.get(following["value"]).status_code == 200


def test_the_team_page(shop, admin):
    team = reverse("team", args=[shop.project.slug])
    key, _ = ApiKey.make(shop.project, "pk", name="old")
    new = {"name": "Checkout pages", "kind": "pk", "origins": "https://a.example"}
    for body, rule in (
        (new | {"origins": "shop"}, "“shop” is no origin."),
        (new | {"scopes": ["manage"]}, "cannot have the scope “manage”"),
        (new | {"expires": "2001-01-31"}, "cannot be in the past"),
        (new | {"expires": "soon"}, "Enter a valid date."),
    ):
        refuse(admin, f"{team}keys/", body, typed=["Checkout pages", body["origins"]], rule=rule)
    change = {"scopes": [], "origins": "https://b.example https://c.example", "expires": ""}
    typed = ["https://b.example https://c.example"]
    refuse(admin, f"{team}keys/{key.pk}/", change, typed=typed, rule="Select at least one scope.")
    body = {"email": "ann at example", "role": "analyst"}
    refuse(admin, f"{team}invitations/", body, typed=["ann at example"], rule="valid email address")
    body = {"username": "nobody-here", "role": "operator"}
    refuse(admin, f"{team}members/", body, typed=["nobody-here"], rule="There is no account with")
    for form in ("reset-link", "second-factor", "sessions"):
        body = {"username": "nobody-here"}
        page = refuse(
            admin, f"{team}{form}/", body, typed=["nobody-here"], rule="Nobody here has the name"
        )
    lead_on(admin, page)


def test_the_page_of_alerts(shop, admin):
    page = reverse("alerts", args=[shop.project.slug])
    one = alerts.subscribe(shop.project, HOOK, name="ops")
    new = {"name": "On call", "kind": "webhook", "target": HOOK, "events": ["halt"]}
    private = "https://127.0.0.2/hook"
    body, typed = new | {"target": private}, ["On call", private]
    refuse(admin, f"{page}subscribe/", body, typed=typed, rule="is not a public address")
    body, rule = new | {"name": "ops"}, "There is a subscription with the name 'ops' already."
    refuse(admin, f"{page}subscribe/", body, typed=[HOOK], rule=rule)
    body = {"name": "Renamed", "target": private, "events": ["drift"]}
    typed = ["Renamed", private]
    refused = refuse(admin, f"{page}{one.pk}/", body, typed=typed, rule="is not a public address")
    lead_on(admin, refused)


def test_judging_on_the_page_of_a_surface(shop, admin):
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    address = reverse("surface-judging", args=[shop.project.slug, shop.surface.key])
    for field, value, rule in (
        ("points", "many", "Enter a whole number in [2, 10]."),
        ("judge_share", "7", "must be in [0, 1]"),
        ("judge", "nobody/x@1", "The judge must be a version of another surface."),
        ("rubric", RUBRIC * 20, "At most 8000 characters."),
    ):
        body = {"rubric": RUBRIC, "points": "7"} | {field: value}
        page = refuse(admin, address, body, typed=[body["rubric"].strip()], rule=rule)
    lead_on(admin, page)
    lines = "\r\n".join(["x"] * 4000)  # 7,999 characters in the browser, which sends 11,998
    assert admin.post(address, {"rubric": lines}).status_code == 302
    assert judge_plan_of(shop.surface).rubric == "\n".join(["x"] * 4000)


def test_the_days_of_a_shared_report(shop, admin):
    draft = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    for days in ("fortnight", "91", "nan"):
        rule = f"Days must be above 0 and at most 90, not '{days}'."
        body = {"days": days}
        page = refuse(admin, report_path(draft, "share/"), body, typed=[f'"{days}"'], rule=rule)
    lead_on(admin, page)
