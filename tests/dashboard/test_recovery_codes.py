"""Recovery codes of who has passkeys alone: made on the account page, each signs in once after the password."""

from __future__ import annotations

import re
from datetime import timedelta

import pyotp
import pytest
from django.test import Client
from django.utils import timezone

from bakeoff.accounts.models import AuditEntry, Passkey, RecoveryCode, SecondFactor
from bakeoff.accounts.second_factor import count_recovery_codes, make_recovery_codes
from bakeoff.public_address import PublicUrl
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user
from tests.support.passkey_device import ORIGIN, Device
from tests.support.passkey_enrolment import PASSWORD, enrol, give_password, is_in

MAKE = "/account/recovery-codes/"


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def person(project):
    return make_user(project, password=PASSWORD)


@pytest.fixture
def browser(person, settings):
    """Where the person has added a passkey."""
    settings.PUBLIC = PublicUrl.parse(ORIGIN)
    settings.ALLOWED_HOSTS = ["testserver"]
    browser = Client()
    browser.force_login(person)
    assert "The passkey is added" in enrol(browser, Device())
    return browser


def codes_in(page: str) -> list[str]:
    return re.findall(r"<li><code>(\w+)</code></li>", page)


def make(browser: Client) -> list[str]:
    codes = codes_in(browser.post(MAKE).content.decode())
    assert len(set(codes)) == 10
    return codes


def enter(person, code: str) -> tuple[Client, str]:
    """Give the password, then a code; return the browser and the page."""
    browser = give_password(person)
    assert not is_in(browser)
    return browser, browser.post("/sign-in/code/", {"code": code}).content.decode()


def test_they_are_made_beside_passkeys_and_each_signs_in_once(project, person, browser):
    assert "You have no recovery codes" in browser.get("/account/").content.decode()
    codes = make(browser)
    page = browser.get("/account/").content.decode()
    assert 'data-recovery-codes-left="10"' in page
    assert codes[0] not in page
    assert "data-otpauth" not in page  # no app is being set up
    assert not RecoveryCode.objects.filter(digest__in=codes).exists()

    assert Client().get("/sign-in/code/").status_code == 302  # the password comes before
    assert "enter a recovery code" in give_password(person).get("/sign-in/code/").content.decode()
    signed_in, _ = enter(person, f" {codes[0][:8].upper()} {codes[0][8:]} ")
    assert is_in(signed_in)
    assert signed_in.session["second_factor_passed"] is True
    again, page = enter(person, codes[0])
    assert not is_in(again)
    assert "wrong or was used" in page
    assert count_recovery_codes(person) == 9
    actions = AuditEntry.objects.filter(project=project).values_list("action", flat=True)
    assert [one for one in actions.order_by("id") if "recovery" in one] == [
        "make recovery codes", "use recovery code",
    ]  # fmt: skip


def test_new_ones_replace_those_from_before(person, browser):
    before, after = make(browser), make(browser)
    assert not is_in(enter(person, before[0])[0])
    assert is_in(enter(person, after[0])[0])


def test_who_guesses_waits(person, browser):
    (code, *_) = make(browser)
    for _ in range(5):
        enter(person, "123456")
    refused, page = enter(person, code)
    assert "Wait 15 minutes" in page
    assert not is_in(refused)
    SecondFactor.objects.filter(user=person).update(
        failing_since=timezone.now() - timedelta(minutes=16)
    )
    assert is_in(enter(person, code)[0])


def test_a_session_that_did_not_give_the_passkey_makes_none(person, browser):
    earlier = Client()
    earlier.force_login(person)
    page = earlier.post(MAKE, follow=True).content.decode()
    assert "Sign out, sign in with your second factor" in page
    assert not SecondFactor.objects.filter(user=person).exists()


def test_without_a_second_factor_there_are_none(person):
    browser = Client()
    assert browser.post(MAKE).headers["location"].startswith("/sign-in/")
    browser.force_login(person)
    assert browser.get(MAKE).status_code == 405
    assert MAKE not in browser.get("/account/").content.decode()
    page = browser.post(MAKE, follow=True).content.decode()
    assert "There is no second factor yet" in page
    assert not SecondFactor.objects.filter(user=person).exists()


def test_they_go_with_the_last_passkey(person, browser):
    make(browser)
    assert "The passkey is added" in enrol(browser, Device(), "phone")
    for left, row in zip((10, 0), Passkey.objects.filter(user=person), strict=True):
        browser.post(f"/account/passkeys/{row.pk}/remove/")
        assert count_recovery_codes(person) == left
    assert is_in(give_password(person))


def test_an_app_set_up_beside_them_has_a_secret_of_its_own_and_leaves_them_behind(person, browser):
    (code, *_) = make(browser)
    early = browser.post("/account/second-factor/", {"code": "000000"}, follow=True)
    assert "There is no second factor yet" in early.content.decode()
    off = browser.post("/account/second-factor/off/", {"code": code}, follow=True)
    assert "There is no second factor yet" in off.content.decode()
    assert count_recovery_codes(person) == 10  # a code is not used up by what it cannot do
    page = browser.post("/account/second-factor/begin/", follow=True).content.decode()
    secret = SecondFactor.objects.get(user=person).secret
    assert secret in page
    waiting = pyotp.TOTP(secret).at(timezone.now())
    assert not is_in(enter(person, waiting)[0])  # not in force yet
    assert is_in(enter(person, code)[0])
    shown = browser.post("/account/second-factor/", {"code": pyotp.TOTP(secret).now()})
    codes = codes_in(shown.content.decode())
    assert not is_in(enter(person, code)[0])  # of before the app
    browser.post("/account/second-factor/off/", {"code": codes[0]})
    assert count_recovery_codes(person) == 9
    assert "app shows now" not in enter(person, "1")[1]
    assert is_in(enter(person, codes[1])[0])


def test_in_a_browser_they_are_made_and_one_signs_in(chromium, lane, person):
    device = Device()
    Passkey.objects.create(
        user=person, name="lost", credential_id=device.name, credential=b"", user_handle="00"
    )
    (code, *_) = make_recovery_codes(person)
    seen = Visit(chromium, lane)
    page = seen.page
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_text("Or enter a recovery code.").wait_for()
    page.get_by_label("Code").fill("0" * 20)
    page.keyboard.press("Enter")
    page.get_by_text("This code is wrong or was used").wait_for()
    page.get_by_label("Code").fill(code)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.goto("/account/")
    assert page.locator('[data-recovery-codes-left="9"]').count() == 1
    page.on("dialog", lambda dialog: dialog.accept())  # which asks whether to replace the others
    page.get_by_role("button", name="Create recovery codes").click()
    page.locator("[data-recovery-codes] li").nth(9).wait_for()
    assert [error for error in seen.errors if "422" not in error] == []
    assert seen.elsewhere == []
    seen.close()
