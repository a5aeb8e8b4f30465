"""The second factor: nobody is signed in before the code, a code works once, a lost one is taken away."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

import pyotp
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from bakeoff.accounts.models import AuditEntry, Membership, RecoveryCode, SecondFactor
from bakeoff.accounts.second_factor import SecondFactorError, check_code, confirm_enrolment
from bakeoff.accounts.set_role import set_role
from tests.support import builders
from tests.support.dashboard import make_user, sign_in

PASSWORD = "a long password of hers"
SECRET = pyotp.random_base32()


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def person(project):
    return make_user(project, password=PASSWORD)


def code(secret: str = SECRET, *, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(timezone.now() + timedelta(seconds=30 * steps))


@pytest.fixture
def factor(person):
    """In force, with two recovery codes that the person has not used."""
    factor = SecondFactor.objects.create(user=person, secret=SECRET)
    factor.recovery = confirm_enrolment(person, code(steps=-1))
    return factor


def give_password(person, **extra) -> Client:
    browser = Client()
    answer = browser.post("/sign-in/", {"username": person.username, "password": PASSWORD}, **extra)
    assert answer.status_code == 302
    return browser


def is_in(browser: Client) -> bool:
    return "_auth_user_id" in browser.session


def test_it_is_set_up_by_the_page_and_then_asked_for(project, person):
    browser = give_password(person)
    assert is_in(browser)
    assert "data-otpauth" not in browser.get("/account/").content.decode()
    assert not SecondFactor.objects.filter(user=person).exists()  # looking stores nothing
    early = browser.post("/account/second-factor/", {"code": "000000"}, follow=True)
    assert "There is no second factor yet" in early.content.decode()
    assert browser.get("/account/second-factor/begin/").status_code == 405
    page = browser.post("/account/second-factor/begin/", follow=True).content.decode()
    assert 'src="data:image/svg+xml' in page
    address = unquote(
        re.search(r"<code data-otpauth>(.*?)</code>", page).group(1).replace("&amp;", "&")
    )
    secret = re.search(r"secret=(\w+)", address).group(1)
    again = browser.post("/account/second-factor/begin/", follow=True).content.decode()
    assert secret in again  # of two pages one secret
    wrong = browser.post("/account/second-factor/", {"code": "000000"})
    assert "not the code" in wrong.content.decode()
    assert is_in(give_password(person))  # not in force yet
    shown = browser.post("/account/second-factor/", {"code": code(secret, steps=-1)}).content.decode()
    codes = re.findall(r"<li><code>(\w+)</code></li>", shown)
    assert len(codes) == 10
    assert codes[0] not in browser.get("/account/").content.decode()
    assert not RecoveryCode.objects.filter(digest__in=codes).exists()
    replayed = browser.post("/account/second-factor/", {"code": code(secret)})
    assert "data-recovery-codes" not in replayed.content.decode()
    again = browser.post("/account/second-factor/begin/", follow=True).content.decode()
    assert "data-otpauth" not in again
    assert SecondFactor.objects.get(user=person).secret == secret

    browser = give_password(person)
    assert not is_in(browser)
    assert browser.get(f"/p/{project.slug}/team/").status_code == 302
    assert browser.post("/sign-in/code/", {"code": code(secret)}).status_code == 302
    assert browser.get(f"/p/{project.slug}/team/").status_code == 200
    assert (
        AuditEntry.objects.get(project=project, action="set up second factor").actor == person.username
    )


def test_a_code_and_a_recovery_code_work_once(project, person, factor):
    one = code()
    assert give_password(person).post("/sign-in/code/", {"code": one}).status_code == 302
    browser = give_password(person)
    assert "wrong or was used" in browser.post("/sign-in/code/", {"code": one}).content.decode()
    recovery = factor.recovery[0]
    typed = f" {recovery[:8].upper()} {recovery[8:]} "
    assert browser.post("/sign-in/code/", {"code": typed}).status_code == 302
    assert is_in(browser)
    browser = give_password(person)
    assert browser.post("/sign-in/code/", {"code": recovery}).status_code == 200
    assert not is_in(browser)
    assert AuditEntry.objects.filter(project=project, action="use recovery code").count() == 1


def test_of_one_code_that_is_sent_at_once_one_signs_in(person, factor):
    one = code()

    def send(_: int) -> bool:
        try:
            check_code(person, one)
        except SecondFactorError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(send, range(3))) == [False, False, True]


def test_who_guesses_is_slowed_down_whatever_the_session(person, factor):
    for _ in range(5):
        assert give_password(person).post("/sign-in/code/", {"code": "123"}).status_code == 200
    browser = give_password(person)
    for text in (code(), factor.recovery[0]):
        page = browser.post("/sign-in/code/", {"code": text})
        assert "Wait 15 minutes" in page.content.decode()
    SecondFactor.objects.update(failing_since=timezone.now() - timedelta(minutes=16))
    assert browser.post("/sign-in/code/", {"code": code()}).status_code == 302


@pytest.mark.parametrize("what", ["none", "password", "off", "late"])
def test_without_the_password_no_code_signs_in(person, factor, what, monkeypatch):
    browser = Client() if what == "none" else give_password(person)
    if what == "password":
        person.set_password("another one of hers")
        person.save()
    elif what == "off":
        User.objects.filter(pk=person.pk).update(is_active=False)
    elif what == "late":
        session = browser.session
        session["pending_sign_in"][3] -= 601
        session.save()
    answer = browser.post("/sign-in/code/", {"code": code()})
    assert (answer.status_code, answer.headers["location"]) == (302, "/sign-in/")
    assert not is_in(browser)


def test_a_code_leads_on_to_where_the_person_wanted(project, person, factor):
    for target, place in (
        (f"/p/{project.slug}/team/", f"/p/{project.slug}/team/"),
        ("https://evil.example/", "/"),
    ):
        SecondFactor.objects.update(last_counter=-1)
        browser = Client()
        body = {"username": person.username, "password": PASSWORD, "next": target}
        browser.post("/sign-in/", body)
        assert browser.post("/sign-in/code/", {"code": code()}).headers["location"] == place


def test_ones_own_goes_by_a_code_alone(project, person, factor):
    browser = Client()
    browser.force_login(person)
    assert browser.post("/account/second-factor/off/", {"code": "1"}).status_code == 200
    assert SecondFactor.objects.filter(user=person).exists()
    assert browser.post("/account/second-factor/off/", {"code": code()}).status_code == 302
    assert is_in(give_password(person))
    set_role(project=project, person=person, role="admin", by="a test")
    factor = SecondFactor.objects.create(user=person, secret=SECRET, confirmed_at=timezone.now())
    page = browser.post(
        f"/p/{project.slug}/team/second-factor/", {"username": person.username}, follow=True
    )
    assert "on your account page" in page.content.decode()
    assert SecondFactor.objects.filter(pk=factor.pk).exists()


def test_a_lost_one_is_removed_by_who_could_do_all_the_account_can(project, person, factor):
    browser, address = sign_in(project, role="admin"), f"/p/{project.slug}/team/second-factor/"
    elsewhere = Membership.objects.create(user=person, project=builders.make_project(), role="viewer")
    page = browser.post(address, {"username": person.username}, follow=True).content.decode()
    assert "Only who runs the platform" in page
    assert SecondFactor.objects.filter(user=person).exists()
    elsewhere.delete()
    browser.post(address, {"username": person.username})
    assert not SecondFactor.objects.filter(user=person).exists()
    assert (
        AuditEntry.objects.get(project=project, action="remove second factor").subject
        == person.username
    )
    page = browser.post(address, {"username": person.username}, follow=True).content.decode()
    assert "has no second factor" in page


def test_where_it_is_required_pages_lead_to_setting_it_up(project, person, settings):
    settings.BAKEOFF = replace(settings.BAKEOFF, second_factor="required")
    browser, team = give_password(person), f"/p/{project.slug}/team/"
    answer = browser.get(team)
    assert (answer.status_code, answer.headers["location"]) == (302, "/account/")
    assert browser.post(f"{team}reset-link/", {"username": "x"}).headers["location"] == "/account/"
    page = browser.get("/account/").content.decode()
    assert "requires a second factor" in page
    assert project.slug not in page  # nor a ticket of what happens in it
    assert 'name="live"' not in page
    browser.post("/account/second-factor/begin/")
    secret = SecondFactor.objects.get(user=person).secret
    browser.post("/account/second-factor/", {"code": code(secret, steps=-1)})
    assert browser.get(team).status_code == 200
    earlier = Client()
    earlier.force_login(person)  # a session that gave no code
    assert earlier.get(team).headers["location"] == "/account/"
    browser.post("/account/second-factor/off/", {"code": code(secret)})
    assert browser.get(team).headers["location"] == "/account/"
    assert Client().get("/sign-in/").status_code == 200


def test_the_qr_code_holds_the_address(person):
    browser = Client()
    browser.force_login(person)
    page = browser.post("/account/second-factor/begin/", follow=True).content.decode()
    image = re.search(r'src="data:image/svg\+xml([^"]+)"', page).group(1)
    text = unquote(image.partition(",")[2])
    assert "<svg" in (base64.b64decode(text).decode() if ";base64" in image else text)
