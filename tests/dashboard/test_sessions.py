"""Sessions: a person sees and ends their own, a new password ends all, an administrator those of a member."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from bakeoff.accounts.browser_names import browser_name
from bakeoff.accounts.expired_sessions import delete_expired_sessions
from bakeoff.accounts.models import AuditEntry, SecondFactor, SignedInSession
from bakeoff.accounts.reset_by_link import make_reset_link, use_reset
from inference.redis_clients import redis_client
from tests.support import builders
from tests.support.dashboard import make_user, sign_in

PASSWORD = "a long password of hers"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def person(project):
    return make_user(project, password=PASSWORD)


def give_password(person: User, **extra) -> Client:
    browser = Client(**extra)
    answer = browser.post("/sign-in/", {"username": person.username, "password": PASSWORD})
    assert answer.status_code == 302
    return browser


def is_in(browser: Client) -> bool:
    return browser.get("/account/").status_code == 200


def rows(browser: Client, **options) -> list[tuple[str, str]]:
    """Of each session on the page its id, and whether it is this one."""
    html = browser.get("/account/", **options).content.decode()
    return re.findall(r'<tr data-session="(\d+)"( data-current)?>', html)


def actions(person: User) -> list[str]:
    entries = AuditEntry.objects.filter(subject=person.username, action__startswith="end")
    return list(entries.order_by("pk").values_list("action", flat=True))


def refusal(browser: Client, address: str, body=None) -> str:
    answer = browser.post(address, body or {}, follow=True)
    # Of a button over the page, of a form at its field.
    return next(map(str, answer.context["messages"]), "") or answer.content.decode()


def test_the_list_says_when_whence_and_by_which_browser(person):
    one = give_password(person, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="203.0.113.9")
    two = give_password(person, HTTP_USER_AGENT="curl/8.0", REMOTE_ADDR="2001:db8::1")
    html = one.get("/account/").content.decode()
    today = timezone.now().strftime("%Y-%m-%d")
    for text in ("203.0.113.9", "Firefox, Linux", "2001:db8::1", "curl/8.0", today):
        assert text in html
    assert [is_current for _, is_current in rows(one)] == ["", " data-current"]  # newest first
    assert [is_current for _, is_current in rows(two)] == [" data-current", ""]
    chinese = one.get("/account/", headers={"accept-language": "zh-hans"}).content.decode()
    assert "结束所有其他会话" in chinese


def test_a_session_of_ones_own_is_ended_and_answers_nobody(person):
    one, two = give_password(person), give_password(person)
    (other,) = (pk for pk, is_current in rows(one) if not is_current)
    assert one.post(f"/account/sessions/{other}/end/").status_code == 302
    assert (is_in(one), is_in(two)) == (True, False)
    assert len(rows(one)) == 1
    assert actions(person) == ["end session"]


def test_no_other_persons_session_is_ended(person, project):
    mine, theirs = give_password(person), sign_in(project)
    (row,) = rows(theirs)
    address = f"/account/sessions/{row[0]}/end/"
    assert refusal(mine, address) == "This session is not yours, or it has ended."
    assert is_in(theirs)
    assert refusal(mine, "/account/sessions/999999999/end/") == (
        "This session is not yours, or it has ended."
    )
    assert Client().post(address).status_code == 302  # to the sign-in page
    assert is_in(theirs)
    assert mine.get(address).status_code == 405
    assert actions(person) == []


def test_this_session_ends_by_signing_out(person):
    browser = give_password(person)
    (row,) = rows(browser)
    assert "Sign out instead." in refusal(browser, f"/account/sessions/{row[0]}/end/")
    assert is_in(browser)
    assert "no other session" in refusal(browser, "/account/sessions/end/")
    browser.post("/sign-out/")
    assert not SignedInSession.objects.filter(user=person).exists()
    assert actions(person) == []


def test_all_others_end_those_too_that_are_not_listed(person, project):
    one, two, before = (give_password(person) for _ in range(3))
    stranger = sign_in(project)
    SignedInSession.objects.filter(session_key=before.session.session_key).delete()
    assert len(rows(one)) == 2
    assert one.post("/account/sessions/end/").status_code == 302
    assert [is_in(each) for each in (one, two, before, stranger)] == [True, False, False, True]
    assert actions(person) == ["end other sessions"]
    assert AuditEntry.objects.get(action="end other sessions", subject=person.username).detail == {
        "sessions": 2
    }


def test_a_session_from_before_the_list_is_on_it_once_its_person_looks(person):
    browser = give_password(person)
    SignedInSession.objects.filter(user=person).delete()
    assert [is_current for _, is_current in rows(browser)] == [" data-current"]


def test_a_new_password_ends_all_sessions_and_empties_the_list(person, project):
    one, two = give_password(person), give_password(person)
    token = make_reset_link(username=person.username, project=project, maker=None)
    use_reset(token=token, password="another long password")
    assert (is_in(one), is_in(two)) == (False, False)
    person.refresh_from_db()
    browser = Client()
    browser.post("/sign-in/", {"username": person.username, "password": "another long password"})
    assert [is_current for _, is_current in rows(browser)] == [" data-current"]
    assert "no other session" in refusal(browser, "/account/sessions/end/")


def test_a_session_without_the_second_factor_ends_none(person):
    one, two = give_password(person), give_password(person)
    (other,) = (pk for pk, is_current in rows(one) if not is_current)
    SecondFactor.objects.create(user=person, secret="A" * 32, confirmed_at=timezone.now())
    for address in (f"/account/sessions/{other}/end/", "/account/sessions/end/"):
        assert refusal(one, address).startswith("Sign out, sign in with your second factor")
    assert is_in(two)


def test_an_administrator_ends_the_sessions_of_a_member(person, project):
    one, two = give_password(person), give_password(person)
    admin = sign_in(project, role="admin")
    address = f"/p/{project.slug}/team/sessions/"
    answer = admin.post(address, {"username": person.username}, follow=True)
    assert "2 sessions are ended." in answer.content.decode()
    assert [is_in(each) for each in (one, two, admin)] == [False, False, True]
    assert actions(person) == ["end sessions"]
    assert "has no open session" in refusal(admin, address, {"username": person.username})


def test_an_administrator_without_their_second_factor_ends_nobodys(person, project):
    theirs, admin = give_password(person), sign_in(project, role="admin")
    account = User.objects.get(pk=admin.session["_auth_user_id"])
    SecondFactor.objects.create(user=account, secret="A" * 32, confirmed_at=timezone.now())
    address = f"/p/{project.slug}/team/sessions/"
    sentence = refusal(admin, address, {"username": person.username})
    assert sentence.startswith("Sign out, sign in with your second factor")
    assert is_in(theirs)
    assert actions(person) == []


def test_an_account_ends_sessions_at_most_so_often(person, project, monkeypatch):
    monkeypatch.setattr("bakeoff.dashboard.sign_in_throttle.MAX_ENDINGS", 2)
    theirs, admin = give_password(person), sign_in(project, role="admin")
    address = f"/p/{project.slug}/team/sessions/"
    for _ in range(2):
        assert "no other session" in refusal(admin, "/account/sessions/end/")
    sentence = "Too many requests to end sessions: at most "
    for path in ("/account/sessions/end/", "/account/sessions/1/end/"):
        assert refusal(admin, path).startswith(sentence)
    assert refusal(admin, address, {"username": person.username}).startswith(sentence)
    assert is_in(theirs)
    assert "no other session" in refusal(theirs, "/account/sessions/end/")  # another's count


def test_without_the_cache_sessions_are_ended_all_the_same(person, monkeypatch):
    one, two = give_password(person), give_password(person)
    away = redis_client("redis://127.0.0.1:1/0", retry=None)
    monkeypatch.setattr("bakeoff.dashboard.views.sessions.cache_client", lambda: away)
    assert one.post("/account/sessions/end/").status_code == 302
    assert (is_in(one), is_in(two)) == (True, False)


def test_whom_an_administrator_may_not_reset_stays_signed_in(person, project):
    elsewhere = make_user(builders.make_project(), password=PASSWORD)
    root = make_user(project, is_superuser=True, password=PASSWORD)
    browsers = [give_password(one) for one in (elsewhere, root)]
    admin = sign_in(project, role="admin")
    address = f"/p/{project.slug}/team/sessions/"
    assert "Nobody here has the name" in refusal(admin, address, {"username": elsewhere.username})
    assert "administer" in refusal(admin, address, {"username": root.username})
    own = User.objects.get(pk=admin.session["_auth_user_id"]).username
    assert "Your own sessions are on" in refusal(admin, address, {"username": own})
    operator = sign_in(project, role="operator")
    assert operator.post(address, {"username": person.username}).status_code == 403
    assert all(is_in(one) for one in (*browsers, admin))


def test_what_is_over_leaves_the_table(person):
    browser = give_password(person)
    again = give_password(person)
    Session.objects.filter(pk=again.session.session_key).delete()
    delete_expired_sessions(timezone.now())
    keys = SignedInSession.objects.filter(user=person).values_list("session_key", flat=True)
    assert list(keys) == [browser.session.session_key]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (FIREFOX, "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0", "Edge, Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15", "Safari, macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/141.0 Mobile Safari/604.1", "Chrome, iPhone"),
        ("curl/8.0", "curl/8.0"),
        ("", ""),
    ],
)  # fmt: skip
def test_browsers_have_the_names_that_people_know(header, name):
    assert browser_name(header) == name


@pytest.mark.parametrize("address", ["", "unix", "fe80::1%eth0", "999.1.1.1"])
def test_an_address_that_is_none_is_no_obstacle(person, address):
    browser = give_password(person, REMOTE_ADDR=address, HTTP_USER_AGENT="x" * 500)
    assert len(rows(browser)) == 1
