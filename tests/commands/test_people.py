"""`bakeoff project` and `bakeoff users`: who may sign in, and where."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bakeoff.accounts.models import ApiKey, AuditEntry, Membership, Project
from tests.support import builders

_numbers = iter(range(1_000))


@pytest.fixture
def name():
    return f"person-{next(_numbers)}"


def test_a_project_is_created_with_keys_that_work(console, lane, name):
    admin = User.objects.create_user(f"{name}-admin")
    done = console("project", "create", name, "--name", "The shop", "--admin", admin.username)
    project = Project.objects.get(slug=name)
    assert project.name == "The shop"
    assert Membership.objects.get(project=project).user == admin
    keys = {kind: done.output.split(f"{kind} key")[1].split()[0] for kind in ("public", "secret")}
    lane.refresh()
    headers = {"Authorization": f"Bearer {keys['secret']}"}
    surface = {"key": "home", "static_list": ["a"]}
    assert lane.client.put("/v1/surfaces", json=surface, headers=headers).status_code == 200
    event = {"event_id": "e1", "name": "click", "unit_id": "u1"}
    assert lane.post("/v1/events", event, keys["public"]).status_code == 202
    assert ApiKey.objects.filter(project=project, owner=admin.username).count() == 2
    trail = AuditEntry.objects.filter(project=project, actor="operator")
    assert next(entry.action for entry in trail.order_by("pk")) == "create project"


@pytest.mark.parametrize(
    ("slug", "options", "sentence"),
    [
        ("my shop", [], "slug == 'my shop', must be 1 to 64 letters, digits, hyphens and underscores."),
        ("x" * 65, [], "must be 1 to 64 letters"),
        ("fine", ["--admin", "nobody-at-all"], "admin == 'nobody-at-all', nobody has this name."),
    ],
)
def test_a_project_that_breaks_a_rule_is_refused(console, slug, options, sentence):
    done = console("project", "create", slug, *options, status=2)
    assert sentence in done.output
    assert not Project.objects.filter(slug=slug).exists()


def test_a_slug_that_is_taken_is_refused_and_leaves_no_key(console, project):
    done = console("project", "create", project.slug, status=2)
    assert f"slug == '{project.slug}', is taken." in done.output
    assert not ApiKey.objects.filter(project=project).exists()


def test_projects_are_listed(console, project):
    rows = json.loads(console("project", "list", "--json").output)
    assert next(row for row in rows if row["project"] == project.slug)["members"] == 0


@pytest.fixture(autouse=True)
def real_hashes(settings):
    """As the command line makes them, in a process of its own."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]


def signs_in(username: str, password: str) -> bool:
    return Client().login(username=username, password=password)


def test_somebody_is_added_signs_in_and_gets_a_new_password(console, project, name):
    added = console(
        "users",
        "add",
        name,
        "--role",
        "analyst",
        "--email",
        "ann@example.com",
        "--project",
        project.slug,
    )
    first = added.output.split("password")[1].split()[0]
    assert signs_in(name, first)
    person = User.objects.get(username=name)
    assert (person.email, person.is_superuser) == ("ann@example.com", False)
    assert Membership.objects.get(user=person, project=project).role == "analyst"
    session = Client()
    session.login(username=name, password=first)
    reset = console("users", "reset-password", name, "--project", project.slug)
    second = reset.output.split("password  ")[1].split()[0]
    assert not signs_in(name, first)
    assert signs_in(name, second)
    assert "_auth_user_id" in session.session
    assert session.get("/").status_code == 302  # the session of the old password has ended
    rows = json.loads(console("users", "list", "--json").output)
    (row,) = [row for row in rows if row["username"] == name]
    assert row["roles"] == [f"{project.slug}: analyst"]
    trail = AuditEntry.objects.filter(project=project, actor="operator").order_by("pk")
    assert [(one.action, one.subject) for one in trail][-2:] == [
        ("add user", f"{name}: analyst"),
        ("reset password", name),
    ]


def test_a_password_by_file_is_taken_and_not_shown(console, project, name, tmp_path):
    file = tmp_path / "password"
    file.write_text("a long and rare passphrase\n")
    done = console(
        "users", "add", name, "--superuser", "--password-file", file, "--project", project.slug
    )
    assert "passphrase" not in done.output
    assert signs_in(name, "a long and rare passphrase")
    assert User.objects.get(username=name).is_superuser


@pytest.mark.parametrize(
    ("username", "password", "sentence"),
    [
        ("Operator", "a long and rare passphrase", "'Operator', must be no name of the platform."),
        ("a b", "a long and rare passphrase", "username: Enter a valid username."),
        ("short", "abc", "password: This password is too short."),
        ("common", "password123", "password: This password is too common."),
        ("empty", "\n", "--password-file is empty, must hold the password."),
    ],
)
def test_a_person_who_breaks_a_rule_is_refused(
    console, project, tmp_path, username, password, sentence
):
    file = tmp_path / "password"
    file.write_text(password)
    done = console(
        "users", "add", username, "--password-file", file, "--project", project.slug, status=2
    )
    assert sentence in done.output
    assert not User.objects.filter(username=username).exists()


def test_a_name_that_is_taken_and_one_that_nobody_has_are_refused(console, project, name):
    builders.make_project()
    User.objects.create_user(name)
    done = console("users", "add", name, "--project", project.slug, status=2)
    assert f"username == '{name}', is taken." in done.output
    done = console("users", "reset-password", "nobody-at-all", "--project", project.slug, status=2)
    assert "username == 'nobody-at-all', nobody has this name." in done.output
    assert not AuditEntry.objects.filter(project=project, actor="operator").exists()


def test_somebody_is_invited_joins_once_and_a_link_is_revoked(console, project, name):
    of_project = ("--project", project.slug)
    printed = console("users", "invite", "ann@shop.example", "--role", "analyst", *of_project).output
    path = re.search(r"/invited/[\w-]+/", printed).group()
    (row,) = json.loads(console("users", "invitations", "--json", *of_project).output)
    assert (row["email"], row["role"], row["created_by"]) == ("ann@shop.example", "analyst", "operator")
    answer = Client().post(path, {"username": name, "password": "a long password of hers"})
    assert answer.status_code == 302
    person = User.objects.get(username=name)
    assert person.email == "ann@shop.example"
    assert Membership.objects.get(user=person, project=project).role == "analyst"
    assert json.loads(console("users", "invitations", "--json", *of_project).output) == []

    printed = console("users", "invite", *of_project).output
    path = re.search(r"/invited/[\w-]+/", printed).group()
    (row,) = json.loads(console("users", "invitations", "--json", *of_project).output)
    elsewhere = builders.make_project()
    refused = console("users", "revoke-invitation", row["id"], "--project", elsewhere.slug, status=2)
    assert "not found among the open ones" in refused.output
    console("users", "revoke-invitation", row["id"], *of_project)
    other = Client().post(path, {"username": f"{name}-2", "password": "a long password of his"})
    assert not User.objects.filter(username=f"{name}-2").exists(), other.content
    console("users", "revoke-invitation", row["id"], *of_project, status=2)
    actions = AuditEntry.objects.filter(project=project, actor="operator").order_by("pk")
    assert [one.action for one in actions] == ["invite", "invite", "revoke invitation"]
