"""A new password by a link: once, by who has it, and made only by who could do all the account can."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client

from bakeoff.accounts.models import AuditEntry, ExternalIdentity, Membership, PasswordReset
from bakeoff.accounts.reset_by_link import ResetError, make_reset_link, use_reset
from bakeoff.dashboard import reset_mail
from bakeoff.public_address import PublicUrl
from bakeoff.smtp import Smtp
from tests.support import builders
from tests.support.dashboard import make_user, sign_in

OLD, NEW = "the old password of hers", "the new password of hers"


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def member(project):
    return make_user(project, password=OLD, email="ann@shop.example")


@pytest.fixture
def admin(project):
    return make_user(project, role="admin")


def link_for(person, project, maker=None) -> str:
    return f"/reset/{make_reset_link(username=person.username, project=project, maker=maker)}/"


def signs_in(person, password: str) -> bool:
    return Client().login(username=person.username, password=password)


def test_a_link_from_the_team_page_sets_a_password_once_and_ends_sessions(project, member):
    browser, team = sign_in(project, role="admin"), f"/p/{project.slug}/team/"
    session = Client()
    session.force_login(member)
    browser.post(f"{team}reset-link/", {"username": member.username})
    link = re.search(r"http://testserver(/reset/[\w-]+/)", browser.get(team).content.decode()).group(1)
    token = link.split("/")[2]
    assert token not in browser.get(team).content.decode()  # shown once
    assert not PasswordReset.objects.filter(digest=token).exists()  # and stored nowhere

    visitor = Client()
    assert member.username in visitor.get(link).content.decode()
    assert "too short" in visitor.post(link, {"password": "short"}).content.decode()
    answer = visitor.post(link, {"password": NEW})
    assert (answer.status_code, answer.headers["location"]) == (302, "/sign-in/")
    assert "_auth_user_id" not in visitor.session
    assert session.get(team).status_code == 302  # the session of the old password
    assert [signs_in(member, one) for one in (OLD, NEW)] == [False, True]
    entry = AuditEntry.objects.get(project=project, action="reset password")
    assert entry.actor == member.username
    assert (
        entry.detail["made_by"]
        == AuditEntry.objects.get(action="make reset link", project=project).actor
    )
    assert Client().post(link, {"password": OLD}).status_code == 404
    assert signs_in(member, NEW)


def test_who_could_do_less_than_the_account_gets_no_link(project, member, admin):
    elsewhere = builders.make_project()
    superuser = make_user(project, is_superuser=True, is_staff=True)
    staff = make_user(project, is_staff=True)
    of_both = make_user(project)
    Membership.objects.create(user=of_both, project=elsewhere, role="viewer")
    stranger = make_user(elsewhere)
    browser, team = Client(), f"/p/{project.slug}/team/"
    browser.force_login(admin)
    for person, sentence in (
        (superuser, "Only who runs the platform"),
        (staff, "Only who runs the platform"),
        (of_both, "Only who runs the platform"),
        (stranger, "Nobody here has the name"),
        (User(username="nobody-at-all"), "Nobody here has the name"),
    ):
        page = browser.post(f"{team}reset-link/", {"username": person.username}, follow=True)
        assert sentence in page.content.decode(), person
    assert not PasswordReset.objects.filter(project=project).exists()
    assert not AuditEntry.objects.filter(project=project, action="make reset link").exists()
    root = make_user(is_superuser=True)
    assert Client().get(link_for(stranger, project, root)).status_code == 200
    Membership.objects.create(user=admin, project=elsewhere, role="admin")
    assert Client().get(link_for(of_both, project, admin)).status_code == 200


@pytest.mark.parametrize("what", ["joins", "superuser", "demoted", "off", "password", "old", "gone"])
def test_a_link_ends_with_the_right_to_make_it(project, member, admin, what):
    link = link_for(member, project, admin)
    if what == "joins":
        Membership.objects.create(user=member, project=builders.make_project(), role="viewer")
    elif what == "superuser":
        User.objects.filter(pk=member.pk).update(is_superuser=True)
    elif what == "demoted":
        Membership.objects.filter(user=admin).update(role="operator")
    elif what == "off":
        User.objects.filter(pk=admin.pk).update(is_active=False)
    elif what == "password":
        member.set_password(NEW)
        member.save()
    elif what == "old":
        past = builders.now() - timedelta(seconds=1)
        PasswordReset.objects.filter(person=member).update(expires_at=past)
    else:
        admin.delete()
    before = User.objects.get(pk=member.pk).password
    for answer in (Client().get(link), Client().post(link, {"password": NEW + "!"})):
        assert answer.status_code == 404
        assert "Ask for a new one" in answer.content.decode()
    assert User.objects.get(pk=member.pk).password == before


def test_of_two_who_use_links_of_one_account_at_once_one_sets_the_password(project, member):
    tokens = [link_for(member, project).split("/")[2] for _ in range(3)]

    def use(token: str) -> bool:
        try:
            use_reset(token=token, password=NEW)
        except ResetError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(use, tokens)) == [False, False, True]


def test_who_comes_by_the_provider_alone_has_no_password_to_reset(project, admin):
    person = make_user(project)
    person.set_unusable_password()
    person.save()
    ExternalIdentity.objects.create(user=person, issuer="https://id.example", subject=person.username)
    with pytest.raises(ResetError, match="has no password"):
        make_reset_link(username=person.username, project=project, maker=admin)


@pytest.fixture
def mailing(settings, monkeypatch):
    """E-mail is set up, and what is sent later is sent at once."""
    smtp = Smtp("127.0.0.1", 25, "", "", "none", "bakeoff@shop.example")
    settings.BAKEOFF = replace(settings.BAKEOFF, smtp=smtp)
    settings.PUBLIC = PublicUrl.parse("https://bakeoff.example")
    settings.ALLOWED_HOSTS = ["*"]
    monkeypatch.setattr(connection, "close", lambda: None)
    sent = []
    monkeypatch.setattr(reset_mail._threads, "submit", lambda work, *rest: sent.append((work, rest)))
    return sent


def test_a_forgotten_password_is_reset_by_e_mail_and_the_page_tells_of_no_account(
    project, member, mailing
):
    address = f"{member.username}@shop.example"
    User.objects.filter(pk=member.pk).update(email=address)
    pages = []
    for email in (address.upper(), f"no-{address}"):
        page = Client(headers={"host": "evil.example"}).post(
            "/sign-in/forgot/", {"email": email}, follow=True, REMOTE_ADDR=f"2001:db8:{len(pages)}::1"
        )
        text = re.sub(r'value="[\w]{64}"', "", page.content.decode())
        pages.append((page.redirect_chain, text))
        work, rest = mailing.pop()
        work(*rest)
    assert pages[0] == pages[1]
    (message,) = mail.outbox
    assert message.to == [address]
    link = re.search(r"https://bakeoff\.example(/reset/[\w-]+/)", message.body).group(1)
    assert Client().post(link, {"password": NEW}).status_code == 302
    assert signs_in(member, NEW)
    assert AuditEntry.objects.get(project=project, action="make reset link").actor == "platform"


def test_wishes_for_mail_are_slowed_down_by_what_is_typed(project, member, mailing):
    browser = Client(REMOTE_ADDR=f"2001:db8:{member.pk:x}::1")
    email = f"some-{member.username}@shop.example"
    answers = [browser.post("/sign-in/forgot/", {"email": email}) for _ in range(4)]
    assert [one.status_code for one in answers] == [302, 302, 302, 200]
    assert "Too many requests" in answers[-1].content.decode()
    assert len(mailing) == 3


def test_without_e_mail_the_page_says_whom_to_ask(tables):
    page = Client().get("/sign-in/forgot/").content.decode()
    assert "bakeoff users reset-link" in page
    assert 'name="email"' not in page
    assert "/sign-in/forgot/" in Client().get("/sign-in/").content.decode()
