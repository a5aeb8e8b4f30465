"""A loop over many: trouble with one is its own, what was taken is given back, and it is reported."""

from __future__ import annotations

from datetime import timedelta

import orjson
from django.conf import settings
from django.utils import timezone

from bakeoff.dashboard.health import troubles_of
from experiments.models import Look
from experiments.tasks import refresh_dirty_units
from inference.cache import cache_client
from inference.isolation import FAILURES, for_each
from inference.lease import lease
from inference.models import Surface
from inference.serving.keys import candidates_key, dirty_key, taken_key
from tests.builders import make_popularity, make_shop


def test_a_lost_verdict_and_work_that_fails_are_issues_of_their_project(shop):
    experiment = shop.run_experiment()
    look = Look.objects.create(
        experiment=experiment, number=1, taken_at=timezone.now() - timedelta(minutes=5), batch=1,
        information=1.0, inputs={}, result={}, action="ship", reason="better",
    )  # fmt: skip
    found = {trouble.what for trouble in troubles_of(shop.project)}
    assert "its look says 'ship', which could not be carried out" in found
    look.delete()


def test_work_that_fails_for_one_holds_up_no_other_rests_and_is_an_issue(shop):
    other = make_shop()
    tried = []

    def act(surface) -> None:
        tried.append(surface.pk)
        if surface.pk == shop.surface.pk and broken:
            raise ValueError("broken")

    def everywhere() -> int:
        surfaces = Surface.objects.filter(pk__in=[shop.surface.pk, other.surface.pk])
        return for_each(surfaces.order_by("pk"), act, work="trial", project=lambda one: one.project_id)

    broken = True
    assert everywhere() == 1
    assert tried == [shop.surface.pk, other.surface.pk]
    assert everywhere() == 0  # it rests for a moment, the other goes on
    assert tried[2:] == [other.surface.pk]
    for _ in range(2):
        wake(f"trial:{shop.surface.pk}")
        everywhere()
    assert "trial failed 3 times in a row: ValueError: broken" in {
        trouble.what for trouble in troubles_of(shop.project)
    }
    assert not troubles_of(other.project)
    broken = False
    wake(f"trial:{shop.surface.pk}")
    assert everywhere() == 0
    assert not troubles_of(shop.project)


def wake(field: str) -> None:
    failure = orjson.loads(cache_client().hget(FAILURES, field))
    cache_client().hset(FAILURES, field, orjson.dumps({**failure, "at": failure["at"] - 600}))


def test_a_broken_surface_gives_its_units_back_and_the_others_are_refreshed(shop):
    other = make_shop()
    shop.champion.artifact_sha256 = make_popularity(shop.items, [1] * 10, of=shop.project.slug)
    shop.champion.save()
    (settings.BAKEOFF.artifacts / shop.champion.artifact_sha256 / "bias.npy").write_bytes(b"broken")
    client = cache_client()
    for one in (shop, other):
        client.sadd(dirty_key(one.surface.pk), "u1", "u2")
    refresh_dirty_units()
    assert client.smembers(dirty_key(shop.surface.pk)) == {b"u1", b"u2"}
    assert not client.exists(dirty_key(other.surface.pk))
    assert client.exists(candidates_key(other.champion.pk, "u1"))
    # A process that died in the middle left what it had taken.
    client.sadd(taken_key(other.surface.pk), "u3")
    refresh_dirty_units()
    assert client.exists(candidates_key(other.champion.pk, "u3"))
    assert not client.exists(taken_key(other.surface.pk))


def test_a_surface_is_refreshed_by_one_process_at_a_time_and_blocked_by_none_for_ever(shop):
    client, name = cache_client(), f"refresh:{shop.surface.pk}"
    client.sadd(dirty_key(shop.surface.pk), "u1")
    with lease(client, name, seconds=60) as mine:
        assert mine is not None
        refresh_dirty_units()
        assert client.scard(dirty_key(shop.surface.pk)) == 1
        client.delete(mine.key)  # its time is over
        with lease(client, name, seconds=60) as another:
            assert another is not None
            assert not mine.renew()
    refresh_dirty_units()
    assert not client.exists(dirty_key(shop.surface.pk))
