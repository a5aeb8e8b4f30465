"""Each fact that somebody should hear of writes its alert, once, in its own transaction."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import connection, connections
from django.urls import reverse

from bakeoff.alerts import pages
from bakeoff.alerts.models import Alert, Subscription
from bakeoff.delivery.alert_thread import start_alert_thread
from bakeoff.delivery.digest import digest_of, last_monday, write_digests
from bakeoff.delivery.platform_watch import GRACE_SECONDS, PlatformWatch, read_gone
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.ingest.spill import STREAM
from inference.actions.register_version import register_version
from inference.actions.train_in_child import MAX_ATTEMPTS, claim_training
from inference.cache import cache_client
from inference.models import TrainingRun
from inference.queues import QUEUES
from inference.serving.beats import BEATS, Beat, write_beat
from inference.serving.keys import GONE, SERVING, serving_key
from tests.support import alerts, builders
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

HOOK = "https://hooks.example/bakeoff"


def only_alert(project) -> Alert:
    return Alert.objects.get(project=project)


def test_paths_are_those_of_the_pages():
    assert pages.experiment_path("shop", "t") == reverse("report", args=["shop", "t"])
    themes = reverse("feedback-themes", args=["shop"])
    assert pages.themes_path("shop", "home") == f"{themes}?surface=home"
    assert pages.surface_path("shop", "home") == reverse("surface", args=["shop", "home"])
    assert pages.run_path(7) == reverse("run", args=[7])
    assert pages.health_path() == reverse("health")
    assert pages.alerts_path("shop") == reverse("alerts", args=["shop"])
    assert pages.usage_path("shop") == reverse("usage", args=["shop"])


def test_a_verdict_tells_what_was_shipped(shop):
    experiment = shop.run_experiment(**{**builders.QUICK_POLICY, "planned_units": 240})
    builders.visits(experiment, {"control": 1, "treatment": 2}, units=120)
    look_at_experiment(experiment_id=experiment.pk)
    alert = only_alert(shop.project)
    decision = experiment.decisions.get()
    assert (alert.event, alert.subject) == ("verdict", experiment.title)
    assert alert.summary == f"Shipped {decision.promoted.label}. {decision.reason}"
    assert alert.detail["action"] == "ship"
    assert alert.detail["decision_sha256"] == decision.sha256
    assert alert.path == reverse("report", args=[shop.project.slug, experiment.key])


@pytest.mark.parametrize(
    ("action", "event", "begins"),
    [
        ("roll_back", "verdict", "Rolled back; the champion stays. bad"),
        ("halt", "halt", "Halted: its numbers cannot be trusted. bad"),
    ],
)
def test_a_roll_back_and_a_halt_are_told(shop, action, event, begins):
    experiment = shop.run_experiment()
    carry_out(experiment=experiment, verdict=Verdict(action=action, reason="bad"), by="a test")
    alert = only_alert(shop.project)
    assert (alert.event, alert.summary) == (event, begins)


def test_a_persons_stop_is_told_with_who_did_it(shop):
    stop_experiment(experiment=shop.run_experiment(), by="anna", reason="holidays")
    alert = only_alert(shop.project)
    assert alert.summary == "Stopped without a winner; the champion stays. holidays"
    assert alert.detail["by"] == "anna"


def test_a_run_that_fails_is_told_once(shop):
    run = TrainingRun.objects.create(
        surface=shop.surface, algorithm="popularity", trigger="schedule", attempts=MAX_ATTEMPTS
    )
    assert claim_training(run.pk) is None
    assert claim_training(run.pk) is None
    run.refresh_from_db()
    assert (run.state, run.lease) == ("failed", 1)
    alert = only_alert(shop.project)
    assert (alert.event, alert.summary) == ("training_failed", run.message)
    assert alert.path == reverse("run", args=[run.pk])


def test_a_version_that_the_gate_refuses_is_told(shop):
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="popularity", trigger="schedule")
    gate = {"passed": False, "reasons": ["ndcg is lower"], "rows": {}}
    sha = shop.champion.artifact_sha256
    register_version(run_id=run.pk, lease=0, artifact_sha256=sha, encoder_sha256="", gate=gate)
    alert = only_alert(shop.project)
    assert alert.event == "training_refused"
    assert alert.summary == "popularity@2 refused by the gate: ndcg is lower"


@pytest.fixture
def quiet_platform(tables):
    """A platform of which everything beats, and nothing waits."""
    cache = cache_client()

    def clear() -> None:
        cache.delete(BEATS, STREAM, GONE)

    clear()
    for name, queues in (
        ("worker-loop@here", QUEUES[:3]),
        ("worker-rest@here", QUEUES[3:]),
        ("beat@here", ()),
    ):
        write_beat(cache, Beat(name, 1, tuple(queues), 1, "", 0.0, time.time()))
    yield cache
    clear()
    Subscription.objects.all().delete()
    Alert.objects.unresolved().exclude(dedupe_key="").delete()


class Ticks:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spill_one(cache, seconds_ago: float) -> None:
    cache.xadd(STREAM, {"token": "x"}, id=f"{int((cache.time()[0] - seconds_ago) * 1000)}-0")


def events_of(project) -> list[tuple[str, bool]]:
    rows = Alert.objects.filter(project=project).order_by("created_at")
    return [(one.event, one.resolved_at is not None) for one in rows]


def test_a_buffer_that_fills_is_told_once_until_it_is_empty(project, quiet_platform):
    alerts.subscribe(project, HOOK, events=["buffer_filling"])
    alerts.subscribe(builders.make_project(), HOOK, events=["verdict"])
    watch = PlatformWatch(quiet_platform)
    spill_one(quiet_platform, 5)
    watch.turn()
    assert events_of(project) == []  # a moment is no news
    quiet_platform.delete(STREAM)
    spill_one(quiet_platform, 90)
    watch.turn()
    watch.turn()
    PlatformWatch(quiet_platform).turn()  # of another worker
    assert events_of(project) == [("buffer_filling", False)]
    assert "have waited for PostgreSQL for up to 9" in only_alert(project).summary
    quiet_platform.delete(STREAM)
    watch.turn()
    assert events_of(project) == [("buffer_filling", True)]
    spill_one(quiet_platform, 90)
    watch.turn()
    assert events_of(project) == [("buffer_filling", True), ("buffer_filling", False)]
    assert Alert.objects.filter(event="buffer_filling").exclude(project=project).count() == 0


def test_what_was_buffered_while_postgresql_was_away_is_told_when_it_is_back(
    project, quiet_platform, monkeypatch
):
    alerts.subscribe(project, HOOK)
    watch = PlatformWatch(quiet_platform)
    spill_one(quiet_platform, 90)
    with monkeypatch.context() as away:
        away.setattr("bakeoff.delivery.platform_watch.transaction.atomic", _away)
        with pytest.raises(connection.Database.OperationalError):
            watch.turn()
    quiet_platform.delete(STREAM)  # the drain was faster than the watch
    watch.turn()
    assert events_of(project) == [("buffer_filling", True)]


def _away():
    raise connection.Database.OperationalError("the database is away")


def silence(cache, name: str) -> None:
    fields = orjson.loads(cache.hget(BEATS, name))
    cache.hset(BEATS, name, orjson.dumps({**fields, "at": fields["at"] - 45}))


def test_a_worker_that_is_gone_is_told_once_until_it_is_back(project, quiet_platform):
    alerts.subscribe(project, HOOK)
    clock = Ticks()
    watch = PlatformWatch(quiet_platform, clock)
    watch.turn()
    silence(quiet_platform, "worker-loop@here")
    watch.turn()
    watch.turn()
    PlatformWatch(quiet_platform, clock).turn()  # of another worker
    assert events_of(project) == [("worker_gone", False)]  # and its queues are no news of their own
    assert only_alert(project).subject == "worker-loop@here"
    beat = Beat("worker-loop@here", 2, tuple(QUEUES[:3]), 1, "", 0.0, time.time())
    write_beat(quiet_platform, beat)
    watch.turn()
    assert events_of(project) == [("worker_gone", True)]


def gone_now(cache) -> set[str]:
    return {one.where for one in read_gone(cache)}


def test_what_ended_is_told_when_nothing_took_its_place(project, quiet_platform):
    alerts.subscribe(project, HOOK)
    clock = Ticks()
    watch = PlatformWatch(quiet_platform, clock)
    quiet_platform.hdel(BEATS, "worker-loop@here", "beat@here")
    assert gone_now(quiet_platform) == {*(f"queue {name}" for name in QUEUES[:3]), "beat"}
    watch.turn()
    clock.now += GRACE_SECONDS - 1
    watch.turn()
    assert events_of(project) == []  # it may be started again, as in a release
    clock.now += 1
    watch.turn()
    assert events_of(project) == [("worker_gone", False)] * 4


def test_a_machine_whose_web_processes_were_killed_is_gone_until_one_is_back(quiet_platform):
    quiet_platform.sadd(SERVING, "elsewhere:1", "elsewhere:2")
    assert "web@elsewhere" in gone_now(quiet_platform)
    assert "web@elsewhere" in gone_now(quiet_platform)
    quiet_platform.sadd(SERVING, "elsewhere:3")  # it was started again
    quiet_platform.set(serving_key("elsewhere:3"), b"{}", ex=60)
    assert "web@elsewhere" not in gone_now(quiet_platform)
    quiet_platform.delete(serving_key("elsewhere:3"))
    quiet_platform.srem(SERVING, "elsewhere:3")  # and ended in good order
    assert "web@elsewhere" not in gone_now(quiet_platform)


def test_the_digest_comes_once_a_week_with_decisions_what_waits_and_alerts(shop):
    monday = datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert last_monday(monday) == monday
    assert last_monday(monday - timedelta(seconds=1)) == monday - timedelta(days=7)
    ended = shop.run_experiment()
    stop_experiment(experiment=ended, by="anna", reason="holidays")
    running = shop.run_experiment()
    hook = alerts.subscribe(shop.project, HOOK, events=["digest"])
    now = last_monday(builders.now()) + timedelta(days=8)
    until = last_monday(now)
    Subscription.objects.filter(pk=hook.pk).update(created_at=until + timedelta(hours=1))
    assert write_digests(now) == 0  # it is younger than its Monday
    Subscription.objects.filter(pk=hook.pk).update(created_at=until - timedelta(hours=1))
    assert write_digests(now) == 1
    assert write_digests(now + timedelta(days=3)) == 0
    digest = Alert.objects.get(project=shop.project, event="digest")
    assert f"- {ended.title}: stop_inconclusive. holidays" in digest.summary
    assert f"- running: {running.title}" in digest.summary
    assert digest.summary.endswith("Alerts\n- verdict: 1")
    assert digest_of(builders.make_project(), until).as_text().startswith("Decided\n- nothing")
    hook.delete()


def test_a_workers_thread_delivers_what_is_recorded(project):
    receiver = Receiver()
    alerts.subscribe(project, receiver.url)
    stopping = start_alert_thread()
    try:
        for number in range(3):
            alerts.alert(project, subject=f"trial-{number}")
        wait_until(lambda: len(receiver.received) == 3)
    finally:
        stopping.set()
        wait_until(lambda: "alerts" not in {one.name for one in threading.enumerate()})
        receiver.close()
        Subscription.objects.all().delete()
    assert connections["default"].is_usable()
