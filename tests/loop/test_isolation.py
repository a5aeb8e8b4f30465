"""A loop over many: trouble with one is its own, what was taken is given back, and it is reported."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.conf import settings
from django.db import IntegrityError, connection
from django.utils import timezone

from bakeoff.dashboard.health import health_issues
from experiments.actions.mark_units import history_of, mark_all_units, surfaces_to_mark
from experiments.models import Experiment, Look
from experiments.tasks import refresh_dirty_units
from inference.cache import cache_client
from inference.isolation import FAILURES, for_each
from inference.lease import lease
from inference.models import Surface
from inference.serving.keys import candidates_key, dirty_key, marked_key, recent_key, taken_key
from tests.support.builders import make_popularity, make_shop, make_version


def test_a_lost_verdict_and_work_that_fails_are_issues_of_their_project(shop):
    experiment = shop.run_experiment()
    look = Look.objects.create(
        experiment=experiment, number=1, taken_at=timezone.now() - timedelta(minutes=5), batch=1,
        information=1.0, inputs={}, result={}, action="ship", reason="better",
    )  # fmt: skip
    whats = {issue.what for issue in health_issues(shop.project)}
    assert "the verdict of its last analysis could not be carried out" in whats
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
        return for_each(surfaces.order_by("pk"), act, work="trial")

    broken = True
    assert everywhere() == 1
    assert tried == [shop.surface.pk, other.surface.pk]
    assert everywhere() == 0  # it rests for a moment, the other goes on
    assert tried[2:] == [other.surface.pk]
    for _ in range(2):
        wake(f"trial:{shop.surface.pk}")
        everywhere()
    assert "trial failed 3 times in a row: ValueError: broken" in {
        issue.what for issue in health_issues(shop.project)
    }
    assert not health_issues(other.project)
    broken = False
    wake(f"trial:{shop.surface.pk}")
    assert everywhere() == 0
    assert not health_issues(shop.project)


UNREADABLE = '{"alpha": 1%s}' % ("0" * 5000)  # Python reads integers of 4,300 digits at most


def test_a_row_that_cannot_be_read_fails_alone_and_is_an_issue(shop):
    other = make_shop()
    experiments = [shop.run_experiment(), other.run_experiment()]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE experiments_experiment SET policy = %s WHERE id = %s",
            [UNREADABLE, experiments[0].pk],
        )
    rows = Experiment.objects.filter(pk__in=[one.pk for one in experiments]).order_by("pk")
    tried = []
    for _ in range(3):
        assert for_each(rows, lambda one: tried.append(one.pk), work="trial") == 1
        wake(f"trial:{experiments[0].pk}")
    assert tried == [experiments[1].pk] * 3
    whats = {issue.what.partition(": Exceeds")[0] for issue in health_issues(shop.project)}
    assert whats == {"trial failed 3 times in a row: ValueError", "it cannot be read: ValueError"}
    Experiment.objects.filter(pk=experiments[0].pk).update(policy={})
    assert for_each(rows, lambda one: tried.append(one.pk), work="trial") == 0
    assert tried[3:] == [one.pk for one in experiments]
    rows.update(state="ended")


def test_a_change_of_a_row_or_of_what_it_depends_on_ends_its_rest(shop):
    experiment = shop.run_experiment()
    rows = Experiment.objects.filter(pk=experiment.pk)
    metric = experiment.metrics.first()
    tried = []

    def fail(one) -> None:
        tried.append(one.pk)
        raise ValueError("broken")

    def once_more() -> int:
        return for_each(rows, fail, work="trial", depends_on=("metrics",))

    assert [once_more(), once_more()] == [1, 0]  # it rests
    rows.update(hypothesis="Another.")
    assert [once_more(), once_more()] == [1, 0]
    metric.name = "Renamed"
    metric.save()
    assert [once_more(), once_more()] == [1, 0]
    assert len(tried) == 3


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC"])
def test_no_row_takes_a_time_that_python_does_not_have(shop, moment):
    experiment = shop.run_experiment()
    with (
        pytest.raises(IntegrityError, match="experiment_times_are_readable"),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE experiments_experiment SET started_at = %s WHERE id = %s", [moment, experiment.pk]
        )


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


def test_an_event_costs_the_cache_the_same_with_many_surfaces(lane, shop):
    for n in range(30):
        Surface.objects.create(project=shop.project, key=f"more-{n}", static_list=shop.items)
    other = Surface.objects.create(project=shop.project, key="other", liked_events=["rating>=4"])
    broken = Surface.objects.create(project=shop.project, key="broken", liked_events=["=>"])
    make_version(shop.surface, [1] * 10)
    lane.refresh()
    client = cache_client()
    client.config_resetstat()
    event = {"name": "click", "unit_id": "u9", "item_id": "i3"}
    assert lane.post("/v1/events", event, shop.public).status_code == 202
    calls = client.info("commandstats")
    assert calls["cmdstat_sadd"]["calls"] == calls["cmdstat_lpush"]["calls"] == 1
    refresh_dirty_units()
    assert client.exists(candidates_key(shop.champion.pk, "u9"))
    assert client.lrange(recent_key(history_of(shop.surface), "u9"), 0, -1) == [b"i3"]
    assert not client.exists(recent_key(history_of(other), "u9"))
    broken.delete()


def test_other_likes_of_a_surface_have_its_units_marked_again(shop):
    cache_client().delete(marked_key(shop.surface.pk))
    mark_all_units(surface=shop.surface)
    assert shop.surface not in surfaces_to_mark()
    Surface.objects.filter(pk=shop.surface.pk).update(liked_events=["conversion"])
    assert shop.surface in surfaces_to_mark()


def test_the_health_of_a_project_survives_an_experiment_that_cannot_be_read(shop):
    experiment = shop.run_experiment()
    Look.objects.create(
        experiment=experiment, number=1, taken_at=timezone.now(), batch=1, information=1.0,
        inputs={}, result={}, action="ship", reason="better",
    )  # fmt: skip
    Experiment.objects.filter(pk=experiment.pk).update(policy={"alpha": "much"})
    whats = [issue.what for issue in health_issues(shop.project)]
    assert any(what.startswith("it cannot be read: PolicyError") for what in whats), whats
    Experiment.objects.filter(pk=experiment.pk).update(state="ended")
