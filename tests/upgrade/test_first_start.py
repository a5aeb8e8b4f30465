"""A database with no tables: a snapshot and the migrations after it make what all migrations make."""

from __future__ import annotations

import psycopg
import pytest

from bakeoff.environment import read_environment
from tests.support.first_starts import check_ways, finish_migration, start_migration
from tests.support.schema_contents import schema_contents


@pytest.fixture
def make():
    """Makes databases on the tests' own server."""
    admin = read_environment().database_url.replace("///bakeoff?", "///postgres?")
    names = []

    def make(name: str) -> str:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        names.append(name)
        return admin.replace("///postgres?", f"///{name}?")

    yield make
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_first_start_makes_what_all_migrations_make(make, tmp_path):
    check_ways(make, tmp_path)


def test_two_first_starts_at_once_make_one_platform(make, tmp_path):
    url = make("two_at_once")
    processes = [start_migration(url, tmp_path) for _ in range(2)]
    printed = [finish_migration(process) for process in processes]
    assert sorted("First run." in one for one in printed) == [False, True]
    assert "auth_user ['1,']" in schema_contents(url)["numbers of rows"]


def test_tables_of_others_stay_and_are_no_hindrance(make, tmp_path):
    url = make("shared_with_others")
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE theirs (id int); CREATE SCHEMA shop; INSERT INTO theirs VALUES (1)"
        )
        connection.execute("ALTER DATABASE shared_with_others SET search_path = shop, public")
    finish_migration(start_migration(url, tmp_path))
    with psycopg.connect(url) as connection:
        schemas = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename ~ '^(experiments|django)_'"
        ).fetchall()
        assert schemas == [("shop",)]
        assert connection.execute("SELECT * FROM theirs").fetchall() == [(1,)]
