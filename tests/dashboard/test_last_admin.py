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


def page_of(browser, person) -> tuple[str, dict[str, object]]:
    """Return the address of an account's page, and what its form holds."""
    address = f"/admin/auth/user/{person.pk}/change/"
    form = browser.get(address).context["adminform"].form
    filled = {name: form[name].value() for name in form.fields}
    for name in ("last_login", "date_joined"):
        at = filled.pop(name)
        filled |= {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"} if at else {}
    return address, {name: value for name, value in filled.items() if value not in (None, False)}


def test_a_last_administrator_is_not_shut_out_and_who_is_leaves_no_invitation(project, browser):
    person = make_user(project, role="admin")
    invite(project=project, role="admin", by=person.username)
    address, filled = page_of(browser, person)
    del filled["is_active"]  # the box is not ticked
    answer = browser.post(address, filled)
    assert "make another one first" in answer.content.decode()
    person.refresh_from_db()
    assert person.is_active
    other = make_user(project, role="admin")
    assert browser.post(address, filled).status_code == 302
    person.refresh_from_db()
    assert not person.is_active
    assert Invitation.objects.get(project=project).revoked_at is not None
    # One who cannot sign in is no administrator to rely on.
    browser.post(f"/admin/auth/user/{other.pk}/delete/", {"post": "yes"})
    assert Membership.objects.filter(user=other).exists()


def test_an_account_that_is_deleted_leaves_no_invitation(project, browser):
    people = [make_user(project, role="admin") for _ in range(3)]
    for person in people:
        invite(project=project, role="admin", by=person.username)
    browser.post(f"/admin/auth/user/{people[0].pk}/delete/", {"post": "yes"})
    chosen = {"action": "delete_selected", "post": "yes", "_selected_action": [people[1].pk]}
    browser.post("/admin/auth/user/", chosen)
    assert list(Membership.objects.filter(project=project).values_list("user", flat=True)) == [
        people[2].pk
    ]
    usable = Invitation.objects.usable().filter(project=project)
    assert list(usable.values_list("created_by", flat=True)) == [people[2].username]


def test_both_administrators_of_a_project_are_not_deleted_at_once(project, browser):
    pks = [Membership.objects.get(user=make_user(project, role="admin")).pk for _ in range(2)]
    browser.post(MEMBERS, {"action": "delete_selected", "post": "yes", "_selected_action": pks})
    assert Membership.objects.filter(pk__in=pks).count() == 2
