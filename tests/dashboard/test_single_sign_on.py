"""Sign-in by an identity provider that runs here: who gets in, with which roles, and who does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from uuid_utils import uuid7

from bakeoff.accounts.invite import invite
from bakeoff.accounts.models import AuditEntry, ExternalIdentity, Membership
from bakeoff.accounts.set_role import set_role
from bakeoff.dashboard import oidc_provider
from experiments.actions.maintain_partitions import maintain_partitions
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.oidc import START, running_provider, sign_in_at

# The provider that runs here calls what its own library has renamed; elsewhere that is an error.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def provider():
    with running_provider() as provider:
        yield provider


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def other(tables):
    return builders.make_project()


@pytest.fixture
def person(provider):
    """Somebody of the groups data and ops."""
    name = f"ann-{str(uuid7())[-12:]}"
    provider.describe(
        f"id-{name}", preferred_username=name, email=f"{name}@x.example", groups=["data", "ops"]
    )
    return name


def come_in(provider, name: str, then: str = "") -> tuple[Client, object]:
    client = Client()
    return client, sign_in_at(provider, f"id-{name}", client, then)


def refused(client) -> str:
    """The sign-in page after a refusal; nobody is signed in."""
    assert "_auth_user_id" not in client.session
    return client.get("/sign-in/").content.decode()


def roles(name: str) -> dict[str, str]:
    return {one.project.slug: one.role for one in Membership.objects.filter(user__username=name)}


def test_a_person_gets_an_account_and_the_highest_role_of_their_groups(
    provider, person, project, other, settings
):
    settings.OIDC = provider.settings(
        f"data={project}:analyst", f"ops={project}:viewer", f"ops={other}:operator",
        f"board={other}:admin", "data=nowhere:admin",
    )  # fmt: skip
    assert START in Client().get("/sign-in/").content.decode()
    page = f"/p/{project.slug}/team/"
    client, answer = come_in(provider, person, page)
    assert (answer.status_code, answer.headers["location"]) == (302, page)
    assert person in client.get(page).content.decode()
    user = User.objects.get(username=person)
    assert (user.email, user.has_usable_password()) == (f"{person}@x.example", False)
    assert roles(person) == {project.slug: "analyst", other.slug: "operator"}
    (entry,) = AuditEntry.objects.filter(project=project, action="set role")
    assert (entry.actor, entry.subject) == ("single sign-on", f"{person}: analyst")

    come_in(provider, person)  # again: the same account, and nothing more to write
    assert ExternalIdentity.objects.filter(user=user).count() == 1
    assert AuditEntry.objects.filter(project=project, action="set role").count() == 1


def test_roles_follow_the_groups_but_for_those_of_an_administrator(
    provider, person, project, other, settings
):
    settings.OIDC = provider.settings(f"data={project}:admin", f"data={other}:admin")
    come_in(provider, person)
    user = User.objects.get(username=person)
    builders_admin = User.objects.create_user(f"admin-{uuid7()}")
    for place in (project, other):
        set_role(project=place, person=builders_admin, role="admin", by="a test")
    set_role(project=other, person=user, role="viewer", by="a test")
    provider.describe(f"id-{person}", preferred_username=person, groups=[])
    come_in(provider, person)
    assert roles(person) == {other.slug: "viewer"}
    assert AuditEntry.objects.filter(project=project, subject=f"{person}: none").count() == 1


def test_a_session_ends_half_a_day_after_the_sign_in(provider, person, project, settings):
    settings.OIDC = provider.settings(f"data={project}:admin")
    client, _ = come_in(provider, person)
    end = client.session.get_expiry_date()
    assert timedelta(hours=11) < end - timezone.now() <= timedelta(hours=12)
    client.get(f"{START}?next=/later/")  # writes the session
    assert client.session["single_sign_on_next"] == "/later/"
    session = Session.objects.get(pk=client.session.session_key)
    assert (client.session.get_expiry_date(), session.expire_date) == (end, end)


def test_a_session_that_is_over_is_deleted(tables):
    now = timezone.now()
    for key, hours in (("over", -1), ("open", 1)):
        Session.objects.create(session_key=key, expire_date=now + timedelta(hours=hours))
    maintain_partitions(now)
    sessions = Session.objects.filter(session_key__in=["over", "open"])
    assert [one.session_key for one in sessions] == ["open"]


@pytest.mark.parametrize("name", ["platform", "Operator", "ｐｌａｔｆｏｒｍ"])
def test_a_name_of_the_audit_trail_is_no_persons(provider, project, settings, name):
    settings.OIDC = provider.settings(f"data={project}:admin")
    provider.describe(f"id-{name}", preferred_username=name, groups=["data"])
    client, _ = come_in(provider, name)
    assert "is reserved for the platform" in refused(client)
    assert not User.objects.filter(username__iexact=name).exists()


def test_full_width_letters_are_the_name_that_sign_in_reads(provider, person, project, settings):
    settings.OIDC = provider.settings(f"data={project}:viewer")
    wide = f"ｄａｎ-{person}"
    provider.describe(f"id-{wide}", preferred_username=wide, groups=["data"])
    come_in(provider, wide)
    assert User.objects.filter(username=f"dan-{person}").count() == 1
    other = f"id-other-{wide}"
    provider.describe(other, preferred_username=wide, groups=["data"])
    client = Client()
    sign_in_at(provider, other, client)
    assert "taken by an account" in refused(client)


def test_the_last_administrator_stays_and_one_who_goes_takes_the_invitations_along(
    provider, person, project, settings
):
    settings.OIDC = provider.settings(f"data={project}:admin")
    come_in(provider, person)
    invite(project=project, role="admin", by=person)
    provider.describe(f"id-{person}", preferred_username=person, groups=[])
    come_in(provider, person)
    assert roles(person) == {project.slug: "admin"}
    entry = AuditEntry.objects.filter(project=project, action="set role").latest("id")
    assert (entry.subject, entry.detail) == (
        f"{person}: admin", {"why": "the last administrator of the project"},
    )  # fmt: skip
    assert project.invitations.usable().count() == 1
    second = User.objects.create_user(f"admin-{uuid7()}")
    set_role(project=project, person=second, role="admin", by="a test")
    come_in(provider, person)
    assert (roles(person), project.invitations.usable().count()) == ({}, 0)


def test_a_role_of_the_admin_pages_is_an_administrators_word(provider, person, project, settings):
    settings.OIDC = provider.settings(f"data={project}:viewer")
    come_in(provider, person)
    member = Membership.objects.get(user__username=person)
    address = f"/admin/accounts/membership/{member.pk}/change/"
    body = {"user": member.user_id, "project": project.pk, "role": "analyst"}
    answer = sign_in(is_superuser=True, is_staff=True).post(address, body)
    assert answer.status_code == 302, answer.content
    come_in(provider, person)
    assert roles(person) == {project.slug: "analyst"}


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "a" * 250 + "@x.example"},
        {"email": ["a@x.example"]},
        {"preferred_username": "a\0b"},
        {"groups": {"data": True}},
        {"groups": 7},
    ],
)
def test_claims_that_no_row_can_hold_are_a_sentence(provider, person, project, settings, claims):
    settings.OIDC = provider.settings(f"data={project}:admin")
    provider.describe(f"id-{person}", **({"preferred_username": person, "groups": ["data"]} | claims))
    client, _ = come_in(provider, person)
    assert "answer cannot be read" in refused(client)


def test_a_subject_that_is_too_long_is_a_sentence(provider, project, settings):
    settings.OIDC = provider.settings(f"data={project}:admin")
    client, _ = come_in(provider, "s" * 260)
    assert "answer cannot be read" in refused(client)


def test_without_a_role_nobody_gets_an_account(provider, person, project, settings):
    settings.OIDC = provider.settings(f"board={project}:viewer")
    client, _ = come_in(provider, person)
    assert "None of your groups has a role here" in refused(client)
    assert not User.objects.filter(username=person).exists()


def test_a_name_that_is_taken_is_never_taken_over(provider, person, project, settings, console):
    settings.OIDC = provider.settings(f"data={project}:viewer")
    mine = User.objects.create_user(person, password="right")
    client, _ = come_in(provider, person)
    assert "taken by an account" in refused(client)
    variables = {
        "BAKEOFF_OIDC_ISSUER": provider.issuer, "BAKEOFF_OIDC_CLIENT_ID": "bakeoff",
        "BAKEOFF_OIDC_CLIENT_SECRET": "a secret", "BAKEOFF_PROJECT": project.slug,
    }  # fmt: skip
    done = console("users", "link", person, f"id-{person}", **variables)
    assert f"signs in as {person}" in done.stdout
    client, _ = come_in(provider, person)
    assert client.session["_auth_user_id"] == str(mine.pk)
    assert roles(person) == {project.slug: "viewer"}
    entry = AuditEntry.objects.get(project=project, action="link user")
    assert entry.detail["subject"] == f"id-{person}"

    other = User.objects.create_user(f"other-{uuid7()}")
    done = console("users", "link", other.username, f"id-{person}", status=2, **variables)
    assert f"has the account '{person}'" in done.stderr
    done = console("users", "link", "nobody", "x", status=2, **variables)
    assert "username == 'nobody', nobody has this name." in done.stderr


def test_an_account_that_is_turned_off_stays_out(provider, person, project, settings):
    settings.OIDC = provider.settings(f"data={project}:viewer")
    come_in(provider, person)
    User.objects.filter(username=person).update(is_active=False)
    client, _ = come_in(provider, person)
    assert "turned off" in refused(client)


def test_an_answer_that_is_signed_with_another_key_lets_nobody_in(
    provider, person, project, settings, monkeypatch
):
    from joserfc.jwk import RSAKey
    from oidc_provider_mock._app import OpenIDCode

    settings.OIDC = provider.settings(f"data={project}:admin")
    honest = OpenIDCode.get_jwt_config
    forger = RSAKey.generate_key(2048).as_dict(private=True)

    for kid in ("with the id of the right key", "with an id of its own"):

        def forge(self, grant, client=None, kid=kid):
            config = honest(self, grant, client)
            right = config["key"].get("kid")
            named = {"kid": right} if kid.endswith("right key") and right else {"kid": "forged"}
            return config | {"key": forger | named}

        monkeypatch.setattr(OpenIDCode, "get_jwt_config", forge)
        client, _ = come_in(provider, person)
        assert "signed with a key that it does not publish" in refused(client), kid
    assert not User.objects.filter(username=person).exists()


@pytest.mark.parametrize("changed", [{"iss": "https://other.example"}, {"exp": -600}])
def test_an_answer_for_another_time_or_of_another_lets_nobody_in(
    provider, person, project, settings, monkeypatch, changed
):
    from oidc_provider_mock._app import OpenIDCode

    settings.OIDC = provider.settings(f"data={project}:admin")
    honest = OpenIDCode.get_jwt_config
    monkeypatch.setattr(
        OpenIDCode, "get_jwt_config", lambda *args, **named: honest(*args, **named) | changed
    )
    client, _ = come_in(provider, person)
    assert "is not valid here, or no longer" in refused(client)


def test_an_answer_that_was_not_asked_for_lets_nobody_in(provider, person, project, settings):
    """A link that somebody sends signs nobody in: state and nonce are the session's."""
    settings.OIDC = provider.settings(f"data={project}:admin")
    there = Client().get(START).headers["location"]
    back = provider.vouch(there, f"id-{person}")
    victim = Client()
    assert victim.get(back).headers["location"] == "/sign-in/"
    assert "out of date" in refused(victim)


def test_what_the_provider_refuses_is_said(provider, project, settings):
    settings.OIDC = provider.settings()
    client = Client()
    client.get(provider.deny(client.get(START).headers["location"]))
    assert "The identity provider refused the sign-in" in refused(client)


def test_words_of_a_link_that_somebody_sends_are_not_shown(provider, project, settings):
    settings.OIDC = provider.settings()
    client = Client()
    client.get(START)
    words = {"error": "x", "error_description": "Call 555 now", "state": "another"}
    client.get(f"{START}back/", words)
    page = refused(client)
    assert "out of date" in page
    assert "Call 555" not in page


def test_a_page_to_go_to_afterwards_has_a_bounded_length(provider, settings):
    settings.OIDC = provider.settings()
    client = Client()
    client.get(START, {"next": "/" + "x" * 5000})
    assert len(client.session["single_sign_on_next"]) == 2000


def test_a_provider_that_is_away_or_another_is_a_sentence(provider, settings):
    settings.OIDC = provider.settings(issuer="http://localhost:1")
    client = Client()
    client.get(START)
    assert "The identity provider does not answer" in refused(client)
    settings.OIDC = provider.settings(client_id="another")
    metadata = oidc_provider._client(settings.OIDC).load_server_metadata()
    metadata["issuer"] = "https://other.example"
    client.get(START)
    assert "another than the one that is set up" in refused(client)


def test_it_leads_to_no_other_site(provider, person, project, settings):
    settings.OIDC = provider.settings(f"data={project}:viewer")
    _, answer = come_in(provider, person, "https://evil.example/")
    assert answer.headers["location"] == "/"


def test_without_a_provider_there_is_no_such_page(tables):
    for address in (START, f"{START}back/"):
        assert Client().get(address).status_code == 404
    assert START not in Client().get("/sign-in/").content.decode()
