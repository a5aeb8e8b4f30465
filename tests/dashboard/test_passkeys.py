"""Passkeys in a real Chromium with an authenticator of its own, and what no browser would send."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pyotp
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from fido2.utils import websafe_encode
from fido2.webauthn import AuthenticatorData
from uuid_utils import uuid7

from bakeoff.accounts.models import AuditEntry, ExternalIdentity, Passkey, SecondFactor
from bakeoff.accounts.passkeys import PasskeyError, RelyingParty, check_passkey
from bakeoff.accounts.second_factor import remove_second_factor
from bakeoff.dashboard.passkey_challenge import CHALLENGE
from bakeoff.public_address import PublicUrl
from inference.cache import cache_client
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user
from tests.support.passkey_device import ORIGIN, Device
from tests.support.passkey_enrolment import PASSWORD, enrol, give_password, is_in

FLAGS = AuthenticatorData.FLAG


@pytest.fixture(autouse=True)
def forgiven(tables):
    """All tests of a process sign in from one address, whose refusals would add up for those after."""
    yield
    if counters := list(cache_client().scan_iter("signin:address:*")):
        cache_client().delete(*counters)


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def person(project):
    return make_user(project, password=PASSWORD)


@pytest.fixture
def public(settings):
    settings.PUBLIC = PublicUrl.parse(ORIGIN)
    settings.ALLOWED_HOSTS = ["testserver"]


def browser_of(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser


def options_for(browser: Client, **body):
    return browser.post("/sign-in/passkey/options/", body).json()


def answer_with(browser: Client, credential: str, **body) -> str:
    page = browser.post("/sign-in/passkey/", {"credential": credential, **body}, follow=True)
    return page.content.decode()


@pytest.fixture
def device(person, public):
    device = Device(count=5)
    assert "The passkey is added" in enrol(browser_of(person), device)
    return device


def test_one_signs_in_alone_and_counts_as_both_factors(project, person, device, settings):
    browser = Client()
    options = options_for(browser)
    assert options["userVerification"] == "required"
    assert "allowCredentials" not in options
    device.count += 1
    target = f"/p/{project.slug}/team/"
    answer = browser.post("/sign-in/passkey/", {"credential": device.get(options), "next": target})
    assert answer.headers["location"] == target
    assert browser.session["second_factor_passed"] is True
    row = Passkey.objects.get(user=person)
    assert (row.sign_count, row.last_used_at is None) == (6, False)
    team = browser.get(target).content.decode()
    assert re.search(rf'data-member="{person.username}".*?<td>yes</td>', team)
    entry = AuditEntry.objects.get(project=project, action="add passkey")
    assert (entry.actor, entry.detail) == (person.username, {"name": "laptop"})


def test_after_the_password_one_is_asked_for_and_no_other_persons_will_do(project, person, device):
    browser = give_password(person)
    assert not is_in(browser)
    page = browser.get("/sign-in/code/").content.decode()
    assert "Now use your passkey" in page
    assert 'name="code"' not in page  # there is no app for codes
    stranger, theirs = make_user(project, password=PASSWORD), Device()
    enrol(browser_of(stranger), theirs)
    options = options_for(browser, after_password="1")
    assert [one["id"] for one in options["allowCredentials"]] == [device.name]
    assert "not known here" in answer_with(browser, theirs.get(options), after_password="1")
    assert not is_in(browser)
    device.count += 1
    options = options_for(browser, after_password="1")
    answer_with(browser, device.get(options), after_password="1")
    assert browser.session["_auth_user_id"] == str(person.pk)


WRONG = {
    "origin": {"origin": "https://evil.example"},
    "port": {"origin": f"{ORIGIN}:8443"},
    "unverified": {"flags": FLAGS.UP},
    "absent": {"flags": FLAGS.UV},
    "handle": {"handle": b"x" * 32},
    "signature": {"key": Device().key},
}


@pytest.mark.parametrize("what", [*WRONG, "host", "challenge", "late", "other purpose"])
def test_what_is_not_a_right_answer_signs_nobody_in(person, device, what):
    browser = Client()
    options, device.count = options_for(browser), device.count + 1
    for name, value in WRONG.get(what, {}).items():
        setattr(device, name, value)
    if what in {"late", "other purpose"}:
        session = browser.session
        session[CHALLENGE][3 if what == "late" else 0] = 0 if what == "late" else "add"
        session.save()
    host = "evil.example" if what == "host" else "bakeoff.example"
    other = websafe_encode(b"a challenge of somebody's own") if what == "challenge" else None
    assert "could not be verified" in answer_with(
        browser, device.get(options, host=host, challenge=other)
    )
    assert not is_in(browser)
    assert Passkey.objects.get(user=person).sign_count == 5


@pytest.mark.parametrize("what", ["garbage", "nul", "nested", "long", "list", "none"])
def test_what_cannot_be_read_is_an_unknown_key(device, what):
    browser = Client()
    right = device.get(options_for(browser))
    texts = {
        "garbage": "{", "nul": right.replace(device.name, "\\u0000"), "nested": "[" * 15_000,
        "long": right + " " * 20_000, "list": "[1]", "none": "",
    }  # fmt: skip
    assert "not known here" in answer_with(browser, texts[what])
    assert not is_in(browser)


def test_an_answer_counts_once(person, device):
    browser = Client()
    options = options_for(browser)
    device.count += 1
    answer = device.get(options)
    answer_with(browser, answer)
    assert is_in(browser)
    session_cookie = browser.cookies["sessionid"].value
    for again in (browser, Client()):
        again.get("/sign-in/")
        assert "could not be verified" in answer_with(again, answer)
    assert browser.cookies["sessionid"].value == session_cookie


def test_of_one_answer_that_is_sent_at_once_one_signs_in(person, public):
    device = Device()  # it does not count, as those that are synchronised do not
    enrol(browser_of(person), device)
    challenge = websafe_encode(b"c" * 32)
    answer = device.get({"challenge": challenge})
    party = RelyingParty("bakeoff.example", ORIGIN)

    def send(_: int) -> bool:
        try:
            check_passkey(party, credential_id=device.name, challenge=challenge, answer=answer)
        except PasskeyError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(send, range(3))) == [False, False, True]


def test_a_copy_is_refused_and_the_trail_has_it(project, person, device):
    browser = Client()
    assert "may be a copy" in answer_with(browser, device.get(options_for(browser)))
    assert not is_in(browser)
    entry = AuditEntry.objects.get(project=project, action="refuse passkey")
    assert entry.detail == {"name": "laptop", "count": 5, "last_count": 5}


def test_who_fails_too_often_waits(device):
    foreign = Device()
    for _ in range(10):
        browser = Client(REMOTE_ADDR="203.0.113.77")
        assert "not known here" in answer_with(browser, foreign.get(options_for(browser)))
    assert "Too many failed attempts" in answer_with(browser, foreign.get(options_for(browser)))


def test_removed_turned_off_and_deleted_accounts(project, person, device):
    browser = give_password(person)
    options, device.count = options_for(browser, after_password="1"), device.count + 1
    answer_with(browser, device.get(options), after_password="1")
    (pk,) = Passkey.objects.filter(user=person).values_list("pk", flat=True)
    other = browser_of(make_user(project))
    other.post(f"/account/passkeys/{pk}/remove/")
    assert Passkey.objects.filter(pk=pk).exists()  # it is not theirs
    page = browser.post(f"/account/passkeys/{pk}/remove/", follow=True).content.decode()
    assert "The passkey is removed" in page
    assert AuditEntry.objects.filter(project=project, action="remove passkey").count() == 1
    stranger = Client()
    assert "not known here" in answer_with(stranger, device.get(options_for(stranger)))
    assert is_in(give_password(person))  # the password alone again

    again = Device()
    enrol(browser_of(person), again)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert "not known here" in answer_with(stranger, again.get(options_for(stranger)))
    person.delete()
    assert not Passkey.objects.filter(credential_id=again.name).exists()


def test_a_session_that_did_not_give_it_changes_no_factor(person, device):
    earlier = browser_of(person)  # signed in before the passkey was there
    refusal = earlier.post("/account/passkeys/options/")
    assert (refusal.status_code, "second factor" in refusal.json()["detail"]) == (422, True)
    (pk,) = Passkey.objects.filter(user=person).values_list("pk", flat=True)
    for address in (
        "/account/passkeys/", f"/account/passkeys/{pk}/remove/",
        "/account/second-factor/begin/", "/account/second-factor/",
    ):  # fmt: skip
        page = earlier.post(address, {"name": "x", "code": "1"}, follow=True).content.decode()
        assert "Sign out, sign in with your second factor" in page
    assert Passkey.objects.filter(user=person).count() == 1
    assert not SecondFactor.objects.filter(user=person).exists()


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("name", "1 to 60 characters"), ("control", "1 to 60 characters"), ("twice", "registered already"),
     ("unverified", "could not be verified"), ("replayed", "could not be verified"),
     ("origin", "could not be verified"), ("many", "You have 20 passkeys")],
)  # fmt: skip
def test_what_is_no_new_key_is_not_added(project, person, public, what, sentence):
    browser, device, name = browser_of(person), Device(), "laptop"
    if what in {"name", "control"}:
        name = " " if what == "name" else "a\0b"
    elif what == "unverified":
        device.flags = FLAGS.UP
    elif what == "origin":
        device.origin = "https://bakeoff.example:8443"
    elif what == "twice":
        enrol(browser_of(make_user(project)), device)
    options = browser.post("/account/passkeys/options/").json()
    if what == "replayed":
        browser.post("/account/passkeys/", {"name": name})  # which has used the challenge up
    elif what == "many":
        Passkey.objects.bulk_create(
            Passkey(user=person, name="x", credential_id=str(uuid7()), credential=b"")
            for _ in range(20)
        )
        session = browser.session
        session["second_factor_passed"] = True
        session.save()
    body = {"name": name, "credential": device.create(options)}
    page = browser.post("/account/passkeys/", body, follow=True).content.decode()
    assert sentence in page
    assert not Passkey.objects.filter(user=person, credential_id=device.name).exists()


def test_who_signs_in_by_a_provider_alone_gets_none(project, public):
    person = make_user(project)
    person.set_unusable_password()
    person.save()
    ExternalIdentity.objects.create(user=person, issuer="https://i.example", subject=person.username)
    browser = browser_of(person)
    refusal = browser.post("/account/passkeys/options/")
    assert (refusal.status_code, "your organization" in refusal.json()["detail"]) == (422, True)
    assert "data-passkey=" not in browser.get("/account/").content.decode()


def test_an_administrator_removes_lost_ones(project, person, device):
    admin = make_user(project, role="admin")
    remove_second_factor(username=person.username, project=project, maker=admin)
    assert not Passkey.objects.filter(user=person).exists()
    entry = AuditEntry.objects.get(project=project, action="remove second factor")
    assert (entry.actor, entry.detail) == (admin.username, {"passkeys": 1})
    assert is_in(give_password(person))


@pytest.mark.parametrize(
    ("address", "has"),
    [("https://shop.example", True), ("http://localhost:8000", True), ("http://a.localhost", True),
     ("http://shop.example", False), ("https://10.0.0.1", False), ("https://[::1]:8443", False),
     ("http://127.0.0.1:8000", False), (None, False)],
)  # fmt: skip
def test_they_are_where_browsers_have_them(person, settings, address, has):
    settings.PUBLIC = PublicUrl.parse(address) if address else None
    browser = browser_of(person)
    assert (browser.post("/sign-in/passkey/options/").status_code == 200) is has
    assert ("BAKEOFF_PUBLIC_URL" in browser.get("/account/").content.decode()) is not has
    assert ("data-passkey" in Client().get("/sign-in/").content.decode()) is has


@pytest.fixture
def local(chromium, lane, settings):
    """A visit of the platform by a name, as browsers give passkeys to no address of IP."""
    url = lane.url.replace("127.0.0.1", "localhost")
    settings.PUBLIC = PublicUrl.parse(url)
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "localhost"]
    seen = Visit(chromium, SimpleNamespace(url=url))
    seen.tools = seen.context.new_cdp_session(seen.page)
    seen.tools.send("WebAuthn.enable")
    seen.authenticator = seen.tools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                     "hasUserVerification": True, "isUserVerified": True}},
    )["authenticatorId"]  # fmt: skip
    yield seen
    seen.close()


def sign_in_by_password(page, person: User) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page) -> None:
    page.context.clear_cookies()


def test_in_a_browser_one_is_added_signs_in_both_ways_and_is_removed(local, person):
    page = local.page
    sign_in_by_password(page, person)
    page.goto("/account/")
    page.get_by_label("Name of the passkey").fill("laptop")
    page.keyboard.press("Enter")
    page.get_by_text("The passkey is added.").wait_for()
    row = page.locator('[data-passkey-name="laptop"]')
    assert row.count() == 1
    page.get_by_label("Name of the passkey").fill("again")
    page.get_by_role("button", name="Add passkey").click()  # the device has one for the account
    page.locator("[data-passkey=add] [role=alert]").get_by_text("No passkey was made").wait_for()

    sign_out(page)
    page.goto("/sign-in/")
    page.get_by_role("button", name="Sign in with a passkey").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1).filter(has_not_text="Sign in").wait_for()
    page.goto("/account/")
    assert row.count() == 1

    sign_out(page)
    sign_in_by_password(page, person)
    page.get_by_text("Now use your passkey").wait_for()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(lambda url: "sign-in" not in url)

    local.tools.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": local.authenticator, "isUserVerified": False},
    )
    sign_out(page)
    page.goto("/sign-in/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("No passkey was given").wait_for()  # a wrong finger
    local.tools.send(
        "WebAuthn.setUserVerified", {"authenticatorId": local.authenticator, "isUserVerified": True}
    )
    page.context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": page.url}])
    page.reload()
    page.get_by_role("button", name="使用通行密钥登录").click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.context.clear_cookies(name="django_language")
    page.goto("/account/")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove laptop").click()
    page.get_by_text("The passkey is removed.").wait_for()
    assert not Passkey.objects.filter(user=person).exists()
    sign_out(page)
    page.goto("/sign-in/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("not known here").wait_for()
    assert local.elsewhere == []
    assert local.errors == []


def test_in_a_browser_codes_are_set_up_and_then_asked_for(local, person):
    page = local.page
    sign_in_by_password(page, person)
    page.goto("/account/")
    page.get_by_role("button", name="Set up a second factor").click()
    secret = re.search(r"secret=(\w+)", page.locator("[data-otpauth]").inner_text()).group(1)
    before = pyotp.TOTP(secret).at(timezone.now(), counter_offset=-1)
    page.get_by_label("Code").fill(before)
    page.get_by_role("button", name="Set up").click()
    page.locator("[data-recovery-codes]").wait_for()
    recovery = page.locator("[data-recovery-codes] code").first.inner_text()
    sign_out(page)
    sign_in_by_password(page, person)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_text("wrong or was used").wait_for()
    page.get_by_label("Code").fill(recovery)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    assert local.errors == []
