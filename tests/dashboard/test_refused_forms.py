"""Forms that an action refuses: 422, the rule at its field, and what was typed is still there."""

from __future__ import annotations

import ast
import re
from html import unescape
from pathlib import Path

import pytest
from django.urls import reverse, set_script_prefix

from bakeoff.accounts.models import ApiKey, AuditEntry
from experiments.models import Feedback, judge_plan_of
from inference.models import Surface
from tests.support import alerts, builders
from tests.support.dashboard import report_path, sign_in
from tests.support.html import elements, has

ROOT = Path(__file__).parents[2]
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


def test_saved_views(shop, admin):
    views = f"/p/{shop.project.slug}/views/"
    body = {"list": "experiments", "key": "", "filter-q": "two words", "name": " x" * 40, "shared": "1"}
    typed = [body["name"], "two words"]
    page = refuse(admin, views, body, typed=typed, rule="A view's name has 1 to 60 characters.")
    assert has(page, name="shared", checked="")
    lead_on(admin, page)
    for name in ("first", "second"):
        admin.post(views, {**body, "name": name, "filter-q": name})
    second = shop.project.saved_views.get(name="second")
    page = refuse(
        admin, f"{views}{second.pk}/", {"name": "first"}, typed=["first"],
        rule="You already have a view with the name “first”.",
    )  # fmt: skip
    assert has(page, name="name", value="first")
    lead_on(admin, page)


@pytest.fixture
def below_a_sub_path(settings):
    settings.FORCE_SCRIPT_NAME = "/bakeoff"
    set_script_prefix("/bakeoff/")  # as the handler does for each request
    yield "/bakeoff"
    set_script_prefix("/")


def test_below_a_sub_path(shop, admin, below_a_sub_path):
    views = f"/p/{shop.project.slug}/views/"
    body = {"list": "experiments", "key": "", "filter-q": "two words", "name": " x" * 40}
    page = refuse(
        admin, views, body, typed=[body["name"], "two words"],
        rule="A view's name has 1 to 60 characters.",
    )  # fmt: skip
    addresses = [one["action"] for one in elements(page, tag="form") if "action" in one]
    assert f"{below_a_sub_path}{views}" in addresses
    slate = builders.make_slate(shop, "u1")
    builders.write(
        builders.Rows(feedback=[builders.feedback(shop, slate, kind="text", text="They write a lot")])
    )
    entry = Feedback.objects.get(project=shop.project)
    body = {"feedback": str(entry.pk), "state": "spam", "reason": " "}
    refuse(
        admin, f"/p/{shop.project.slug}/feedback/", body, typed=["They write a lot"],
        rule="Write a reason to hide an entry",
    )  # fmt: skip


def test_a_review_without_its_reason(shop, admin):
    slate = builders.make_slate(shop, "u1")
    row = builders.feedback(shop, slate, kind="text", text="They write a lot")
    builders.write(builders.Rows(feedback=[row]))
    entry = Feedback.objects.get(project=shop.project)
    address = reverse("feedback", args=[shop.project.slug])
    assert "They write a lot" in admin.get(address).content.decode()
    body = {"feedback": str(entry.pk), "state": "spam", "reason": " "}
    page = refuse(
        admin, address, body, typed=["They write a lot"], rule="Write a reason to hide an entry"
    )
    body |= {"state": "unheard-of", "reason": "An advertisement"}
    answer = admin.post(address, body)
    assert answer.status_code == 422
    assert has(answer.content.decode(), name="reason", value="An advertisement")
    lead_on(admin, page)


# A refusal over the page that comes next loses what was typed: only where nothing is typed, or where the
# form that was is gone.
NOTHING_TYPED = {
    "account.begin": "a button", "account.make_codes": "a button",
    "account.set_up": "there is nothing to confirm any more", "account.switch_off": "the app is gone",
    "alerts.resend": "a button", "alerts.rotate": "a button", "alerts.try_out": "a button",
    "autopilot.edit_programme": "it is accepted, as a proposal",
    "autopilot_acts.act_on_ramp": "the test and its form are gone",
    "invitations.renew": "a button",
    "models.check_version": "a choice and a button", "passkeys.sign_in": "a button",
    "review._queue_entry": "a choice and a button", "review._queue_examples": "a button",
    "review._queue_survey": "a choice and a button", "review._queue_theme": "a choice and a button",
    "review._rate_answer": "a button", "review.show_feedback": "another has the entry by now",
    "runs.train": "choices and a button", "sessions._refuse_too_many": "a button",
    "sessions.end": "a button", "sessions.end_others": "a button", "surveys.switch": "a button",
    "single_sign_on.callback": "a link", "single_sign_on.begin": "a link",
    "team.set_member": "a button",
}  # fmt: skip


def refusals_over_the_next_page() -> set[str]:
    """The functions of views that show a refusal over a page that they do not show themselves."""
    found = set()
    for file in (ROOT / "platform/bakeoff/dashboard/views").glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            calls = {ast.unparse(one.func) for one in ast.walk(function) if isinstance(one, ast.Call)}
            if calls & {"show_refusal", "messages.error"}:
                found.add(f"{file.stem}.{function.name}")
    return found


def test_no_other_form_loses_what_was_typed():
    assert refusals_over_the_next_page() == set(NOTHING_TYPED), (
        "use `show_page_again` or `refused_page`"
    )
