"""Signs of life: of a worker and of beat, true queues, and what the health page makes of them."""

from __future__ import annotations

import time

from bakeoff.beat import SteadyScheduler
from bakeoff.celery import app
from bakeoff.environment import read_environment
from bakeoff.heartbeat import Heart
from inference.cache import cache_client
from inference.serving.beats import Beat, forget_beat, read_beats, write_beat
from tests.loop.broker import broker, lose_messages


def until(holds) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def last(name: str):
    return next((one for one in read_beats(cache_client()) if one.beat.name == name), None)


def test_a_heart_beats_says_what_it_is_in_and_leaves_nothing_behind():
    heart = Heart(read_environment().redis_url, "worker-x@here", ["train"])
    heart.turn("a.task")
    heart.start()
    until(lambda: last("worker-x@here"))
    found = last("worker-x@here")
    assert (found.beat.task, found.beat.queues, found.silent) == ("a.task", ("train",), False)
    assert abs(found.clock_error_seconds) < 30
    heart.stop()
    assert last("worker-x@here") is None


def test_silence_is_measured_by_the_servers_clock():
    fast = Beat("worker-y@there", 1, ("train",), 1, "", 0.0, clock=time.time() + 3600)
    write_beat(cache_client(), fast)
    found = last("worker-y@there")
    assert not found.silent
    assert 3500 < found.clock_error_seconds < 3700
    forget_beat(cache_client(), "worker-y@there")


def test_beat_measures_by_a_clock_that_only_goes_forward(monkeypatch):
    lose_messages()
    scheduler = SteadyScheduler(app=app)
    pause = scheduler.tick()
    sent = broker().llen("default")
    assert sent > 0
    assert broker().llen("analysis") > 0
    assert 0 <= pause <= 0.5
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)  # the clock was an hour fast, and is set
    until(lambda: scheduler.tick() and broker().llen("default") > sent)
    lose_messages()
