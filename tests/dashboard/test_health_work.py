"""The health page names work that failed, rows that nobody can follow, and facts that were put aside."""

from __future__ import annotations

import asyncio

import pytest
from django.db import connection

from bakeoff.accounts.models import Membership
from experiments.ingest.spill import REFUSED
from inference.cache import cache_client
from tests.support.dashboard import sign_in


@pytest.fixture
def health(shop):
    """What the health page says to a member of the shop's project."""
    client = sign_in(shop.project)

    def read() -> str:
        return client.get("/health/").content.decode()

    return read


def publish(lane) -> None:
    asyncio.run_coroutine_threadsafe(lane.gateway._config._publish(), lane.loop).result(20)


def test_work_that_failed_is_named_with_its_error(lane, shop, health):
    writer = next(one for one in lane.gateway._supervisor.statuses if one.name == "writer")
    writer.record_failure(ValueError("a strange batch"))
    publish(lane)
    assert "last with: ValueError: a strange batch" in health()
    limit, writer.max_silence_seconds = writer.max_silence_seconds, -1.0
    try:
        publish(lane)
        # The process publishes by itself, too: it must not say in between that all is well again.
        page = health()
    finally:
        writer.max_silence_seconds = limit
    assert "no heartbeat from &#x27;writer&#x27;" in page


def test_rows_that_cannot_be_followed_are_named_to_their_own_people(lane, shop, health):
    project = shop.project
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE inference_surface SET static_list = '5' WHERE project_id = %s", [project.pk]
        )
    lane.refresh()
    assert f"{project.slug}: surface home-feed" in health()
    Membership.objects.filter(project=project).delete()
    assert "surface home-feed" not in health()


def test_facts_that_were_put_aside_are_counted(lane, shop, health):
    cache_client().xadd(REFUSED, {"events": "[]", "why": "54000"})
    try:
        assert "1 commits cannot be written and were set aside" in health()
    finally:
        cache_client().delete(REFUSED)
    assert "set aside" not in health()
