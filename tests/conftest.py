"""Fixtures: committed data in projects of their own, a real server in a thread, a tiny real BERT."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import httpx2
import hypothesis
import pytest
import uvicorn
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases

from bakeoff.environment import read_environment
from experiments.ingest.partitions import make_partitions
from tests.support import builders
from tests.support.browser import chromium  # noqa: F401  a fixture
from tests.support.console import Console
from tests.support.tiny_bert import make_tiny_bert

from dataclasses import replace  # isort: skip


# The same examples at every run of CI, and no clock: a slow machine is no failure.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def test_database_url() -> str:
    """The database that pytest-django made, as the gateway wants it."""
    return read_environment().database_url.replace("///bakeoff?", "///test_bakeoff?")


test_database_url.__test__ = False


@pytest.fixture(scope="session")
def tables(django_db_blocker):
    """Committed data: each test works in a project of its own, so nothing is rolled back."""
    with django_db_blocker.unblock():
        setup_databases(verbosity=0, interactive=False)
        connection.ensure_connection()
        make_partitions(connection.connection, builders.now().date())
        yield  # the whole server is thrown away after the run


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture(scope="session")
def tiny_bert() -> Path:
    """A real BERT of two layers, saved and reloaded as any encoder is."""
    folder = Path(settings.BAKEOFF.encoder)
    if not folder.exists():
        make_tiny_bert(folder)
    return folder


class FastLane:
    """A gateway served by uvicorn in a thread."""

    def __init__(self, environment) -> None:
        from a2wsgi import WSGIMiddleware
        from django.core.wsgi import get_wsgi_application

        from bakeoff.gateway.app import Gateway

        self.gateway = Gateway(
            environment,
            WSGIMiddleware(get_wsgi_application(), workers=2),
            secret=settings.SECRET_KEY,
        )
        config = uvicorn.Config(
            self.gateway, port=0, log_level="warning", lifespan="on", timeout_graceful_shutdown=2
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()
        self.thread.start()
        assert self.ready.wait(20)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx2.Client(base_url=self.url, timeout=20)

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            task = asyncio.create_task(self.server.serve())
            while not self.server.started and not task.done():
                await asyncio.sleep(0.01)
            self.ready.set()
            await task

        asyncio.run(serve())

    def refresh(self) -> None:
        """Read the configuration now, as an announced change makes it do."""
        asyncio.run_coroutine_threadsafe(self.gateway._live._reload(), self.loop).result(20)

    def post(self, path: str, body, key: str | None = None, **options):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.client.post(path, json=body, headers=headers, **options)

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="session")
def shared_lane(tables):
    lane = FastLane(replace(read_environment(), database_url=test_database_url()))
    yield lane
    lane.stop()


@pytest.fixture
def lane(shared_lane):
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
