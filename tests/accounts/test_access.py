"""Projects, the first access and logins: what is created, what is refused, what the trail says."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from uuid_utils import uuid7

from bakeoff.accounts.create_first_access import create_first_access
from bakeoff.accounts.create_project import create_numbered_project, create_project
from bakeoff.accounts.models import AuditEntry, Project
from bakeoff.accounts.reset_login import reset_login


@pytest.fixture
def no_users(tables):
    """A platform before its first run; all comes back after the test."""
    with transaction.atomic():
        User.objects.all().delete()
        Project.objects.filter(slug="default").delete()
        yield
        transaction.set_rollback(True)


def actions_of(project):
    return list(
        AuditEntry.objects.filter(project=project).order_by("pk").values_list("action", flat=True)
    )


def test_the_first_run_creates_an_administrator_and_a_project_with_keys(no_users):
    access = create_first_access()
    admin = authenticate(username=access.username, password=access.password)
    project = Project.objects.get(slug=access.project)
    assert admin.is_superuser
    assert project.memberships.get(user=admin).role == "admin"
    prefixes = set(project.api_keys.values_list("prefix", flat=True))
    assert prefixes == {access.public_key[:8], access.secret_key[:8]}
    assert actions_of(project) == ["create project", "set role", "make key", "make key"]


def test_a_platform_with_users_is_left_alone(no_users):
    User.objects.create_user("somebody")
    assert create_first_access() is None
    assert not Project.objects.filter(slug="default").exists()


def test_a_taken_slug_is_refused_and_leaves_no_entry(project):
    with pytest.raises(IntegrityError):
        create_project(slug=project.slug, name="Another", by="a test")
    assert actions_of(project) == []


def test_numbers_go_on_after_a_project_that_is_gone(tables):
    prefix = f"trial-{uuid7().hex[-8:]}"
    names = [create_numbered_project(prefix=prefix, name="x", by="a test").slug for _ in range(3)]
    assert names == [f"{prefix}-{n}" for n in (1, 2, 3)]
    Project.objects.get(slug=names[1]).delete()
    assert create_numbered_project(prefix=prefix, name="x", by="a test").slug == names[1]
    assert create_numbered_project(prefix=prefix, name="x", by="a test").slug == f"{prefix}-4"


def test_two_at_once_get_two_numbers(tables):
    prefix = f"trial-{uuid7().hex[-8:]}"
    both, slugs = threading.Barrier(2), []

    def create() -> None:
        try:
            both.wait(60)
            slugs.append(create_numbered_project(prefix=prefix, name="x", by="a test").slug)
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(slugs) == [f"{prefix}-1", f"{prefix}-2"]


def test_a_login_gets_a_new_password_each_time(project):
    name = f"demo-{uuid7()}"
    first, second = (reset_login(username=name, project=project, by="a test") for _ in range(2))
    assert authenticate(username=name, password=first) is None
    assert authenticate(username=name, password=second).is_superuser
    assert actions_of(project) == ["reset password"] * 2
