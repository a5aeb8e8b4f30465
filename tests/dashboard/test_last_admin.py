"""Django's admin pages keep a project's last administrator, as the Team page does."""

from __future__ import annotations

import pytest

from bakeoff.accounts.invite import invite
from bakeoff.accounts.models import Invitation, Membership
from tests.support import builders
from tests.support.dashboard import make_user, sign_in

MEMBERS = "/admin/accounts/membership/"


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def browser(tables):
    return sign_in(is_superuser=True, is_staff=True)


def fields(member: Membership, **changes) -> dict[str, object]:
    return {"user": member.user_id, "project": member.project_id, "role": member.role} | changes


def test_a_last_administrator_keeps_the_role(project, browser):
    first = Membership.objects.get(user=make_user(project, role="admin"))
    other = builders.make_project()
    for changes in ({"role": "viewer"}, {"project": other.pk}, {"user": make_user().pk}):
        answer = browser.post(f"{MEMBERS}{first.pk}/change/", fields(first, **changes))
        assert answer.status_code == 200
        assert "make another one first" in answer.content.decode()
    assert Membership.objects.get(pk=first.pk).role == "admin"
    make_user(project, role="admin")
    answer = browser.post(f"{MEMBERS}{first.pk}/change/", fields(first, role="viewer"))
    assert answer.status_code == 302
    assert Membership.objects.get(pk=first.pk).role == "viewer"


def test_a_last_administrator_is_not_deleted_nor_is_their_account(project, browser):
    person = make_user(project, role="admin")
    member = Membership.objects.get(user=person)
    delete = {"action": "delete_selected", "post": "yes"}
    for page, pk in ((MEMBERS, member.pk), ("/admin/auth/user/", person.pk)):
        browser.post(f"{page}{pk}/delete/", {"post": "yes"})
        browser.post(page, delete | {"_selected_action": [pk]})
        assert Membership.objects.filter(pk=member.pk).exists(), page
    make_user(project, role="admin")
    invite(project=project, role="viewer", by=person.username)
    assert browser.post(MEMBERS, delete | {"_selected_action": [member.pk]}).status_code == 302
    assert not Membership.objects.filter(pk=member.pk).exists()
    assert Invitation.objects.get(project=project).revoked_at is not None


def test_both_administrators_of_a_project_are_not_deleted_at_once(project, browser):
    pks = [Membership.objects.get(user=make_user(project, role="admin")).pk for _ in range(2)]
    browser.post(MEMBERS, {"action": "delete_selected", "post": "yes", "_selected_action": pks})
    assert Membership.objects.filter(pk__in=pks).count() == 2
