"""Signs of life: of a worker and of beat, true queues, and what the health page makes of them."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import orjson
import pytest

from bakeoff.beat import SteadyScheduler
from bakeoff.celery import app
from bakeoff.environment import read_environment
from bakeoff.heartbeat import Heart
from inference.cache import cache_client
from inference.models import TrainingRun
from inference.process_issues import read_background
from inference.queues import QUEUES
from inference.sending import EMBED_ITEMS, PLACE_ITEMS, RUN_TRAINING, send
from inference.serving.beats import BEATS, Beat, forget_beat, read_beats, write_beat
from tests.support.broker import broker, lose_messages
from tests.support.dashboard import sign_in
from tests.support.waiting import wait_until


def last(name: str):
    return next((one for one in read_beats(cache_client()) if one.beat.name == name), None)


def test_a_heart_beats_says_what_it_is_in_and_leaves_nothing_behind():
    heart = Heart(read_environment().redis_url, "worker-x@here", ["train"])
    heart.turn("a.task")
    heart.start()
    wait_until(lambda: last("worker-x@here"))
    beat = last("worker-x@here")
    assert (beat.beat.task, beat.beat.queues, beat.silent) == ("a.task", ("train",), False)
    assert abs(beat.clock_error_seconds) < 30
    heart.stop()
    assert last("worker-x@here") is None


def test_silence_is_measured_by_the_servers_clock():
    fast = Beat("worker-y@there", 1, ("train",), 1, "", 0.0, clock=time.time() + 3600)
    write_beat(cache_client(), fast)
    beat = last("worker-y@there")
    assert not beat.silent
    assert 3500 < beat.clock_error_seconds < 3700
    forget_beat(cache_client(), "worker-y@there")


def test_beat_measures_by_a_clock_that_only_goes_forward(monkeypatch):
    lose_messages()
    scheduler = SteadyScheduler(app=app)
    pause = scheduler.tick()
    assert broker().llen("default") > 0
    assert broker().llen("analysis") > 0
    assert 0 <= pause <= 0.5
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)  # the clock was an hour fast, and is set
    lose_messages()
    wait_until(lambda: scheduler.tick() and broker().llen("analysis") > 0)
    lose_messages()


@pytest.fixture
def nobody():
    """No process has ever given a sign of life."""
    cache_client().delete(BEATS)
    lose_messages()
    yield
    cache_client().delete(BEATS)
    lose_messages()


def beat(name: str, *queues: str, ahead: float = 0.0, **fields) -> None:
    fields = {"count": 1, "task": "", "busy_seconds": 0.0, "clock": time.time() + ahead, **fields}
    write_beat(cache_client(), Beat(name, 1, queues, **fields))


def all_alive() -> None:
    beat("worker-loop@here", *QUEUES)
    beat("beat@here")


def silence(name: str, seconds: float) -> None:
    """Let a process's last beat be so long ago."""
    fields = orjson.loads(cache_client().hget(BEATS, name))
    cache_client().hset(BEATS, name, orjson.dumps({**fields, "at": fields["at"] - seconds}))


def issues() -> dict[str, str]:
    return {issue.where: issue.what for issue in read_background(cache_client()).issues}


def test_nothing_is_wrong_while_everybody_beats(nobody):
    all_alive()
    assert issues() == {}


def test_a_frozen_worker_is_an_issue_and_so_is_its_queue(nobody):
    all_alive()
    silence("worker-loop@here", 45)
    whats = issues()
    assert whats["worker-loop@here"].startswith("has given no sign of life for ")
    assert whats["queue train"] == "no worker takes from it; waiting: 0"


def test_a_missing_worker_and_a_missing_beat_are_issues(nobody):
    beat("worker-loop@here", "default")
    whats = issues()
    assert "queue default" not in whats
    assert "queue embed" in whats
    assert whats["beat"].startswith("it does not run")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"busy_seconds": 100.0}, "lives, but its main loop has stood still for 100 s"),
        ({"task": "a.task", "busy_seconds": 1000.0}, "has been in the task a.task for 1000 s"),
        ({"ahead": 7200.0}, "its clock differs from the cache server's by +7"),
    ],
)
def test_a_worker_that_hangs_or_whose_clock_is_wrong_is_an_issue(nobody, fields, says):
    all_alive()
    beat("worker-x@here", "train", **fields)
    assert issues()["worker-x@here"].startswith(says)


def test_a_training_may_take_hours(nobody):
    all_alive()
    beat("worker-x@here", "train", task="inference.tasks.run_training", busy_seconds=40_000.0)
    assert issues() == {}


def test_a_process_long_gone_is_forgotten(nobody):
    all_alive()
    beat("worker-pod-7@there", "train")
    silence("worker-pod-7@there", 4000)
    assert issues() == {}
    assert last("worker-pod-7@there") is None


def test_the_health_page_shows_true_queues_and_who_beats(lane, shop, nobody):
    all_alive()
    TrainingRun.objects.filter(state="queued").update(state="failed")
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="popularity", trigger="t")
    send(RUN_TRAINING, run.pk)
    page = sign_in(shop.project).get("/health/").content.decode()
    row = re.search(r"Queue <code>train</code></th><td>(.*?)</td>", page)[1]
    assert row.startswith("1 waiting, oldest ")
    assert "<code>worker-loop@here</code></th><td>last heartbeat" in page
    silence("worker-loop@here", 45)
    page = sign_in(shop.project).get("/health/").content.decode()
    assert "<strong>worker-loop@here</strong>: No heartbeat for " in page


def test_the_doctor_names_who_is_missing(nobody):
    def doctor() -> str:
        command = [sys.executable, "-m", "bakeoff", "doctor"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert "ISSUE   workers and beat: none runs; `bakeoff up` starts them" in doctor()
    all_alive()
    silence("beat@here", 100)
    output = doctor()
    assert "ok      messages waiting: default 0, analysis 0" in output
    assert "ISSUE   beat@here: has given no sign of life for " in output


def test_every_name_that_is_sent_is_a_task():
    app.loader.import_default_modules()
    assert {RUN_TRAINING, EMBED_ITEMS, PLACE_ITEMS} <= set(app.tasks)
