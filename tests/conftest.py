"""Fixtures: committed data in projects of their own, a real server in a thread, a tiny real BERT."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from bakeoff.environment import read_environment
from experiments.ingest.partitions import make_partitions
from inference.actions import train_in_child
from inference.models import ModelVersion, Surface
from tests.support import builders, servers
from tests.support.browser import chromium  # noqa: F401  a fixture
from tests.support.console import Console
from tests.support.fast_lane import FastLane, test_database_url
from tests.support.learning import make_rated_surface
from tests.support.lock_order import record_locks
from tests.support.template import TEST_DATABASE

from dataclasses import replace  # isort: skip


# The same examples at every run of CI, and no clock: a slow machine is no failure.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def tables(django_db_blocker):
    """Committed data: each test works in a project of its own, so nothing is rolled back."""
    with django_db_blocker.unblock():
        # The servers began as a copy of the template: every migration is applied.
        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = TEST_DATABASE
        connection.ensure_connection()
        make_partitions(connection.connection, builders.now().date())
        yield  # the whole server is thrown away after the run


@pytest.fixture(scope="session")
def django_db_setup():
    """Refuse pytest-django's own database (`db`, `admin_user`): the fast lane would read another."""
    pytest.fail("Tests of rows use the fixture `tables`, not pytest-django's `db`.")


@pytest.fixture(scope="session", autouse=True)
def quick_hashes():
    """No test measures how long a password's hash takes."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def static_files_once():
    """Each of Django's test clients would list all static files again: a tenth of a page's time."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    files, list_files = {}, WhiteNoiseMiddleware.add_files_from_finders

    def list_once(middleware):
        if not files:
            list_files(middleware)
            files.update(middleware.files)
        middleware.files.update(files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", list_once)
        yield


@pytest.fixture(autouse=True)
def lock_order(request):
    """Whatever a test does by actions, their rows are locked in one order."""
    if "tables" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("tables")
    with record_locks() as recorder:
        yield
    assert not recorder.violations, "\n".join(recorder.violations)


@pytest.fixture(scope="module", autouse=True)
def empty_afterwards():
    """Leave no project behind: at each change the fast lane reads those of all files before."""
    yield
    if connection.settings_dict["NAME"] == TEST_DATABASE:  # else nothing here needed the tables
        # Who still holds a lock is not waited for: the projects stay until the next file's end.
        with suppress(DatabaseError):
            _delete_projects()


# The tables whose rows are of a project, directly or by another's row; partitions go with their table.
TABLES_OF_PROJECTS = """
    WITH RECURSIVE theirs (id) AS (
        SELECT 'accounts_project'::regclass::oid
        UNION
        SELECT c.conrelid FROM pg_constraint c JOIN theirs ON c.confrelid = theirs.id
        WHERE c.contype = 'f'
    )
    SELECT theirs.id::regclass::text FROM theirs JOIN pg_class p ON p.oid = theirs.id
    WHERE NOT p.relispartition"""


def _delete_projects() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        # Deleting some rows takes a fraction of the time of TRUNCATE, which makes hundreds of files, and
        # waits for no reader. As a replica does, no foreign key is checked: all rows go.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(TABLES_OF_PROJECTS)
        tables = [name for (name,) in cursor.fetchall()]
        # Whose folder of models this is: a process of a later file has another folder.
        tables.append("inference_artifactstore")
        # Outlives its project: the files of a month are there until somebody deletes them.
        tables.append("experiments_archivedmonth")
        cursor.execute("; ".join(f"DELETE FROM {name}" for name in tables))


@pytest.fixture(scope="module")
def empty_platform(tables):
    """No project of another file, nor a page of its rows: jobs of the whole platform, and plans."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '60s'")
        cursor.execute("TRUNCATE accounts_project CASCADE")
        cursor.execute("TRUNCATE inference_artifactstore, experiments_archivedmonth")


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture(scope="session")
def tiny_bert() -> Path:
    """A real BERT of two layers, saved and reloaded as any encoder is."""
    folder = Path(settings.BAKEOFF.encoder)
    if not folder.exists():
        # Imports torch, which who only hands out tests does not need.
        from tests.support.tiny_bert import make_tiny_bert

        make_tiny_bert(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory) -> Path:
    """A GGUF file of a causal language model with random weights."""
    from tests.support.tiny_causal import write_tiny_causal

    return write_tiny_causal(tmp_path_factory.mktemp("causal") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_base(tiny_causal) -> Path:
    """The same, imported to be trained."""
    from inference.generators.causal_model import import_base

    return import_base(tiny_causal, tiny_causal.parent / "imported")


@pytest.fixture(scope="session")
def shared_lane(tables):
    # A busy machine may keep the cache's answer longer than a request waits for it in production.
    environment = replace(read_environment(), database_url=test_database_url())
    lane = FastLane(environment, cache_seconds=5)
    yield lane
    lane.stop()


@pytest.fixture
def lane(request, shared_lane):
    if "shop" not in request.fixturenames:  # which has the lane read again when it is made
        shared_lane.refresh()
    return shared_lane


@pytest.fixture
def shop(tables, lane):
    """A project with a surface, ten items, a champion and both keys, known to the fast lane."""
    shop = builders.make_shop()
    lane.refresh()
    return shop


@pytest.fixture
def rows(tables):
    """Count rows of a project."""

    def count(table: str, project) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM experiments_{table} WHERE project_id = %s", [project.pk]
            )
            return cursor.fetchone()[0]

    return count


@pytest.fixture(scope="session")
def console(tables):
    """The console script on the tests' own database."""
    script = Console(DATABASE_URL=test_database_url())
    yield script
    script.close()


@pytest.fixture
def declared_provider(monkeypatch, tmp_path):
    """A provider of language models that nobody answers at."""
    file = tmp_path / "providers.yaml"
    file.write_text("test: {base_url: 'https://models.example/v1'}")
    monkeypatch.setenv("BAKEOFF_PROVIDERS", str(file))


@pytest.fixture
def page(shop) -> Surface:
    """A surface for flags."""
    return Surface.objects.create(project=shop.project, key="page", kind="flag")


@pytest.fixture(scope="session", autouse=True)
def warm_trainings():
    """Trainings begin in a process that has imported torch and transformers: five seconds less each."""
    train_in_child.INTERPRETER = str(servers.WARM)


@pytest.fixture
def cold_trainings(monkeypatch):
    """Trainings begin in a process of their own, whose pid is theirs."""
    monkeypatch.setattr(train_in_child, "INTERPRETER", sys.executable)


@pytest.fixture
def learner(tables, tiny_bert, monkeypatch) -> Surface:
    """A surface without a champion, with ratings to learn from."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    return make_rated_surface()


@pytest.fixture
def empty_schedule(tables):
    """Nothing that tests before left behind is due: the schedule would wait for each, one by one."""
    ModelVersion.objects.filter(alias__in=["challenger", "shadow"]).update(alias="retired")
    Surface.objects.update(retrain_algorithm="")
