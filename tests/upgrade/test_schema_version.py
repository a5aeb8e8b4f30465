"""A process and a database of different versions: one sentence, before anything is done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel, RemoveField, RenameField, RunSQL
from django.db.models.fields import NOT_PROVIDED

from bakeoff import __version__
from bakeoff.environment import read_environment
from bakeoff.schema_version import (
    EXPANDS,
    WrongSchemaError,
    check_schema,
    compare_schema,
    migration_files,
)

NEWER = f"The database is newer than Bakeoff {__version__} (it has experiments.9999_tomorrow): upgrade"
OLDER = f"The database is older than Bakeoff {__version__} (it lacks inference."


@pytest.fixture(scope="module")
def database():
    """A database that says which migrations it has, and holds nothing else."""
    admin = read_environment().database_url.replace("///bakeoff?", "///postgres?")
    url = admin.replace("///postgres?", "///schema_version?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE schema_version")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""CREATE TABLE django_migrations
            (id bigserial, app text, name text, applied timestamptz DEFAULT now())""")
    return url


@pytest.fixture
def apply(database):
    def apply(*more, without=None):
        names = [(app, path.stem) for app, path in migration_files()]
        rows = [row for row in [*names, *more] if row[0] != without]
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("TRUNCATE django_migrations")
            connection.cursor().executemany(
                "INSERT INTO django_migrations (app, name) VALUES (%s, %s)", rows
            )
        return database

    return apply


def test_the_same_version_works(apply):
    check_schema(apply())


def test_a_database_without_tables_is_for_the_migration(database, apply):
    check_schema(apply().replace("schema_version", "postgres"))
    check_schema("postgresql://nobody@127.0.0.1:1/none")  # away: who starts later compares


def test_an_older_database_is_refused_but_by_its_migration(apply):
    url = apply(without="inference")
    with pytest.raises(WrongSchemaError) as refusal:
        check_schema(url)
    assert str(refusal.value).startswith(OLDER)
    check_schema(url, may_be_older=True)


def test_every_app_with_tables_counts():
    apps = {"accounts", "alerts", "experiments", "inference"}
    assert {app for app, _ in migration_files()} == apps
    root = Path(__file__).parents[2]
    rooms = (root / name for name in ("platform", "experiments", "inference"))
    folders = (path for room in rooms for path in room.glob("**/migrations/0001_*.py"))
    assert {path.parents[1].name for path in folders} == apps


def test_a_newer_database_is_refused_by_everybody(apply):
    url = apply(("experiments", "9999_tomorrow"))
    for may_be_older in (False, True):
        with pytest.raises(WrongSchemaError) as refusal:
            check_schema(url, may_be_older=may_be_older)
        assert str(refusal.value).startswith(NEWER)


def test_a_database_that_is_newer_by_what_only_adds_is_worked_on(apply):
    url = apply(("experiments", "9998_tomorrow_expand"), ("inference", "9999_later_expand"))
    check_schema(url)
    assert compare_schema(url).newer == (
        "experiments.9998_tomorrow_expand",
        "inference.9999_later_expand",
    )
    with pytest.raises(WrongSchemaError, match=r"it has experiments\.9999_tomorrow"):
        check_schema(apply(("experiments", "9998_tomorrow_expand"), ("experiments", "9999_tomorrow")))


def test_the_plan_says_whether_the_platform_may_serve_meanwhile(apply, console, tmp_path):
    def plan(url: str, **options) -> str:
        done = console("migrate", "--plan", DATABASE_URL=url, BAKEOFF_HOME=str(tmp_path), **options)
        return (done.stdout + done.stderr).strip().splitlines()[-1]

    assert plan(apply()) == "Nothing to migrate."
    assert plan(apply(without="inference")).startswith("Stop what works on the database first:")
    assert plan(apply().replace("schema_version", "postgres")).startswith(
        "The database is empty: it gets "
    )
    assert plan(apply(("experiments", "9999_tomorrow")), status=1).startswith(f"Error: {NEWER}")


# A trigger that writes beside what older processes delete, and refuses nothing (decision 0082).
TRIGGERS = ("experiments.0064_deleted_decisions_expand",)
# A check of the column that the migration itself adds, which older processes leave empty.
CHECKS = ("experiments.0066_archived_expand", "inference.0034_archived_expand")


def test_a_migration_that_says_it_only_adds_does():
    loader = MigrationLoader(None)
    named = [one for (_, name), one in loader.disk_migrations.items() if name.endswith(EXPANDS)]
    other = [str(one) for one in named for operation in one.operations if not _adds(operation)]
    assert sorted(other) == [*TRIGGERS, *CHECKS]


def test_what_older_processes_cannot_work_beside_is_no_addition():
    """The rule itself, by what it allows and refuses."""
    column = ("event", "colour")
    allowed = [
        AddField(*column, models.TextField(null=True)),
        AddField(*column, models.TextField(db_default="")),
        CreateModel("Colour", [("id", models.BigAutoField(primary_key=True))]),
    ]
    refused = [
        # Ended by the limit on locks, it leaves half an index.
        AddIndexConcurrently("event", models.Index(fields=["name"], name="by_name")),
        AddField(*column, models.TextField(default="")),  # the default is Django's, not the database's
        RemoveField(*column),
        RenameField(*column, "hue"),
        RunSQL("SELECT 1"),
    ]
    assert [_adds(one) for one in allowed] == [True] * 3
    assert [_adds(one) for one in refused] == [False] * 5


def _adds(operation) -> bool:
    """Whether processes of the version before can write and read beside it."""
    if isinstance(operation, AddField):
        field = operation.field
        return field.null or field.db_default is not NOT_PROVIDED
    return isinstance(operation, CreateModel)


def test_commands_say_it_in_one_sentence(apply, console, tmp_path):
    url, home = apply(("experiments", "9999_tomorrow")), str(tmp_path / "home")
    for command in (["migrate"], ["up", "--port", "18"], ["models", "home-feed"]):
        done = console(*command, status=1, DATABASE_URL=url, BAKEOFF_HOME=home)
        assert done.stderr.startswith(f"Error: {NEWER}"), command
        assert len(done.stderr.strip().splitlines()) == 1
    older = apply(without="inference")
    done = console("models", "home-feed", status=1, DATABASE_URL=older, BAKEOFF_HOME=home)
    assert done.stderr.startswith(f"Error: {OLDER}")


def test_a_web_process_ends_before_it_serves(apply, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", apply(("experiments", "9999_tomorrow")))
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", "import bakeoff.asgi"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {NEWER}")
