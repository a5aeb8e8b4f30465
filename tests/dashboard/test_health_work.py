"""The health page names work that failed, rows that nobody can follow, and facts that were put aside."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import NamedTuple

import orjson
import pytest
from django.conf import settings
from django.db import connection

from bakeoff.accounts.models import Membership
from experiments.ingest.spill import REFUSED, STREAM
from inference.cache import cache_client
from inference.serving.heartbeats import ServingHeartbeat
from inference.serving.keys import SERVING, serving_key
from inference.serving.remote_store import use_remote
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.waiting import wait_until


@pytest.fixture
def health(shop):
    """What the health page says to a member of the shop's project."""
    client = sign_in(shop.project)

    def read() -> str:
        return client.get("/health/").content.decode()

    return read


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


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


def test_versions_that_do_not_answer_are_named_with_their_remedy(shop, health):
    champion = shop.surface.versions.get(alias="champion")
    other = builders.make_shop().surface.versions.get(alias="champion")
    ailing = ServingHeartbeat(breakers=[champion.pk, other.pk], unserved=[champion.pk])
    cache = cache_client()
    cache.sadd(SERVING, "ailing:1")
    cache.set(serving_key("ailing:1"), orjson.dumps(asdict(ailing)), ex=60)
    try:
        page = health()
    finally:
        cache.srem(SERVING, "ailing:1")
        cache.delete(serving_key("ailing:1"))
    label = f"<strong>home-feed: {champion.label}</strong>"
    assert f"{label}: it failed again and again, so its circuit breaker is open. It is tried" in page
    assert f"{label}: it cannot be loaded, so lists answer in its place. Promote another" in page
    assert page.count("its circuit breaker is open") == 1  # another project's is not shown
    assert "All systems operational" not in page


def test_a_full_disk_waiting_commits_and_no_web_process_are_issues(health, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: _Usage(100, 95, 5))
    cache = cache_client()
    cache.xadd(STREAM, {"events": "[]"})
    names = cache.smembers(SERVING)
    pages = []

    def tells_of_no_process() -> bool:
        cache.delete(SERVING)  # the shared lane puts its name back with its next heartbeat
        pages.append(health())
        return "none has reported" in pages[-1]

    try:
        wait_until(tells_of_no_process)
    finally:
        cache.delete(STREAM)
        if names:
            cache.sadd(SERVING, *names)
    page = pages[-1]
    assert "it is nearly full, and PostgreSQL refuses writes on a full one. Give it more room" in page
    assert "commits that wait in the cache for PostgreSQL: 1. They are written by themselves" in page
    assert "none has reported, so nobody can say what is served. Restart them" in page


def test_an_artifact_is_missing_where_neither_machine_nor_store_has_it(shop, health, tmp_path):
    pytest.importorskip("obstore")
    digest, missing = "0" * 64, "the artifact of "
    shop.surface.versions.filter(alias="champion").update(artifact_sha256=digest)
    assert missing in health()
    artifacts = settings.BAKEOFF.artifacts
    try:
        use_remote(artifacts, f"file://{tmp_path}/away")
        assert missing not in health()  # nobody can say while the store is away
        use_remote(artifacts, f"file://{tmp_path}")
        assert missing in health()
        (tmp_path / "artifacts" / digest).mkdir(parents=True)
        (tmp_path / "artifacts" / digest / "manifest.json").write_text("{}")
        assert missing not in health()  # it comes when it is needed
    finally:
        use_remote(artifacts, "")


def test_facts_that_were_put_aside_are_counted(lane, shop, health):
    cache_client().xadd(REFUSED, {"events": "[]", "why": "54000"})
    try:
        assert "1 commits cannot be written and were set aside" in health()
    finally:
        cache_client().delete(REFUSED)
    assert "set aside" not in health()
