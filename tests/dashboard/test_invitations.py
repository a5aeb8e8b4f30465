"""Invitations by link: who accepts gets the role once; what is used, revoked or old lets nobody in."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from uuid_utils import uuid7

from bakeoff.accounts.invite import InvitationError, accept_as_new, invite
from bakeoff.accounts.models import AuditEntry, Invitation, Membership
from bakeoff.accounts.set_role import set_role
from tests.support import builders
from tests.support.dashboard import make_user, sign_in

PASSWORD = "a long password of hers"


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def name():
    return f"ann-{str(uuid7())[-12:]}"


def open_link(project, role: str = "analyst") -> str:
    return f"/invited/{invite(project=project, role=role, by='bob')[1]}/"


def role_of(name: str, project) -> str | None:
    member = Membership.objects.filter(user__username=name, project=project).first()
    return None if member is None else member.role


def test_a_link_from_the_team_page_makes_an_account_once(project, name):
    admin = sign_in(project, role="admin")
    team = f"/p/{project.slug}/team/"
    admin.post(f"{team}invitations/", {"role": "analyst", "email": "ann@shop.example"})
    shown = admin.get(team).content.decode()
    link = re.search(r"http://testserver(/invited/[\w-]+/)", shown).group(1)
    token = link.split("/")[2]
    assert token not in admin.get(team).content.decode()  # shown once
    assert not Invitation.objects.filter(digest=token).exists()  # and stored nowhere

    browser = Client()
    assert "invites you to" in browser.get(link).content.decode()
    answer = browser.post(link, {"username": name, "password": PASSWORD})
    assert answer.headers["location"] == f"/?project={project.slug}"
    person = User.objects.get(username=name)
    assert (person.email, role_of(name, project)) == ("ann@shop.example", "analyst")
    assert browser.get(team).status_code == 200  # signed in
    entry = AuditEntry.objects.get(project=project, action="add user")
    assert entry.subject == f"{name}: analyst"
    assert Client().post(link, {"username": f"{name}-2", "password": PASSWORD}).status_code == 404
    assert "data-invitation" not in admin.get(team).content.decode()


def test_what_is_wrong_is_said_at_its_field_and_the_link_stays_good(project, name):
    link, browser = open_link(project), Client()
    taken = make_user()
    for body, sentence in (
        ({"username": name, "password": "short"}, "too short"),
        ({"username": name, "password": ""}, "required"),
        ({"username": "a b", "password": PASSWORD}, "valid username"),
        ({"username": "Platform", "password": PASSWORD}, "is reserved for the platform"),
        ({"username": taken.username, "password": PASSWORD}, "This name is taken."),
    ):
        answer = browser.post(link, body)
        assert (answer.status_code, sentence in answer.content.decode()) == (200, True), sentence
    assert role_of(taken.username, project) is None
    assert browser.post(link, {"username": name, "password": PASSWORD}).status_code == 302


def test_full_width_letters_are_the_name_that_sign_in_reads(project, name):
    browser = Client()
    browser.post(open_link(project), {"username": f"ｅｖａ-{name}", "password": PASSWORD})
    person = User.objects.get(username=f"eva-{name}")
    assert browser.session["_auth_user_id"] == str(person.pk)
    assert Invitation.objects.get(project=project).accepted_by == person.username


def test_who_has_an_account_joins_and_keeps_a_higher_role(project):
    browser = sign_in()
    assert "Join as" in browser.get(link := open_link(project)).content.decode()
    assert browser.post(link).status_code == 302
    entry = AuditEntry.objects.get(project=project, action="accept invitation")
    assert role_of(entry.actor, project) == "analyst"
    operator = make_user(project, role="operator")
    browser.force_login(operator)
    assert browser.post(open_link(project, "viewer")).status_code == 302
    assert role_of(operator.username, project) == "operator"


def test_a_role_of_groups_that_is_accepted_here_stays(project):
    person = make_user(project, role="analyst")
    Membership.objects.filter(user=person).update(from_groups=True)
    browser = Client()
    browser.force_login(person)
    for role, from_groups in (("viewer", True), ("analyst", False)):
        assert browser.post(open_link(project, role)).status_code == 302
        member = Membership.objects.get(user=person)
        assert (member.role, member.from_groups) == ("analyst", from_groups)


def test_links_of_one_who_is_no_administrator_any_more_are_revoked(project):
    first, second = (make_user(project, role="admin") for _ in range(2))
    links = [f"/invited/{invite(project=project, role='admin', by=one.username)[1]}/"
             for one in (first, second)]  # fmt: skip
    set_role(project=project, person=first, role="operator", by=second.username)
    assert [Client().get(link).status_code for link in links] == [404, 200]
    entry = AuditEntry.objects.get(project=project, action="revoke invitation")
    assert entry.actor == second.username


def test_a_link_that_is_revoked_or_old_or_none_lets_nobody_in(project, name):
    links = [open_link(project), open_link(project), "/invited/nothing/"]
    first, second = Invitation.objects.filter(project=project).order_by("id")
    admin = sign_in(project, role="admin")
    admin.post(f"/p/{project.slug}/team/invitations/{first.pk}/revoke/")
    old = builders.now() - timedelta(seconds=1)
    Invitation.objects.filter(pk=second.pk).update(expires_at=old)
    for link in links:
        for answer in (
            Client().get(link),
            Client().post(link, {"username": name, "password": PASSWORD}),
        ):
            assert answer.status_code == 404
            assert "Ask for a new one" in answer.content.decode()
    assert not User.objects.filter(username=name).exists()


def test_of_two_who_accept_at_once_one_gets_in(project, name):
    token = open_link(project).split("/")[2]

    def accept(n: int) -> bool:
        try:
            accept_as_new(token=token, username=f"{name}-{n}", password=PASSWORD)
        except InvitationError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(accept, range(4))) == [False, False, False, True]
    assert Membership.objects.filter(project=project).count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"role": "king"}, "role"),
        ({"email": "x"}, "email"),
        ({"email": f"{'a' * 60}@{'x.' * 100}example"}, "email"),
    ],
)
def test_what_breaks_a_rule_is_refused(project, fields, field):
    with pytest.raises(InvitationError, match=r"must be") as refusal:
        invite(**({"project": project, "role": "viewer", "by": "a test"} | fields))
    assert refusal.value.field == field
