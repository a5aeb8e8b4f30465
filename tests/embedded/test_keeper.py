"""What is kept up comes back, whatever happens to the folder of its log, to the disk, or to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest
import redis

from bakeoff.embedded.beats import Beats, Limits, web_beat
from bakeoff.embedded.keeper import Keeper, stop_all
from bakeoff.embedded.processes import Child, is_running
from bakeoff.environment import read_environment
from bakeoff.self_probe import SelfProbing
from inference.serving.beats import Beat, forget_beat, write_beat
from tests.support.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper(tmp_path):
    child = Child("sleeper", SLEEP, tmp_path / "logs" / "sleeper.log", os.environ)
    child.start()
    yield child
    child.wait_or_kill(0)


@pytest.fixture
def keep():
    """Make keepers; they are stopped at the end."""
    stopping, keepers, lines = threading.Event(), [], []

    def keep(child, start, hang=None):
        keepers.append(Keeper(child, start, stopping, lines.append, hang))
        keepers[-1].begin()
        return keepers[-1], lines

    yield keep
    stopping.set()
    stop_all(keepers, 10)


def test_it_comes_back_without_its_log_folder_and_after_failed_starts(sleeper, keep, tmp_path):
    failures = [OSError(28, "No space left on device"), None]

    def start(*, is_cancelled):
        assert not is_cancelled()
        if error := failures.pop(0):
            raise error
        sleeper.start()
        return sleeper

    first = sleeper.pid
    _, lines = keep(sleeper, start)
    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "logs").write_text("a file where the folder was")
    psutil.Process(first).kill()
    wait_until(lambda: sleeper.pid not in {None, first})
    assert not failures
    assert any("No space left on device" in line for line in lines)
    assert any("is started again" in line for line in lines)


@pytest.mark.parametrize(
    ("failures", "lived", "pause"),
    [(0, 0.1, 0), (1, 0.1, 1), (3, 0.1, 7), (9, 0.1, 30), (9, 16, 3), (1, 16, 1)],
)
def test_what_ends_at_once_waits_ever_longer_and_what_lived_a_while_comes_back_soon(
    sleeper, failures, lived, pause
):
    keeper = Keeper(sleeper, sleeper.start, threading.Event(), print)
    keeper._failures = failures
    assert keeper._pause(lived) == pause


def test_what_a_killed_process_left_behind_ends_before_another_starts(keep, tmp_path):
    """The workers of a web process that was killed held its port: no other could start."""
    parent = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); "
    command = [sys.executable, "-c", parent + "time.sleep(600)"]
    child = Child("parent", command, tmp_path / "parent.log", os.environ)
    left_at_start = []

    def start(*, is_cancelled):
        left_at_start.append(is_running(worker))
        child.start()
        return child

    child.start()
    wait_until(lambda: child.last_lines() != "")
    worker, first = int(child.last_lines()), child.pid
    keep(child, start)
    psutil.Process(first).kill()
    wait_until(lambda: child.pid not in {None, first} and len(child.last_lines().split()) == 2)
    assert left_at_start == [False]
    # So it is when the platform stops while its parent is dead.
    worker = int(child.last_lines().split()[1])
    child.process.kill()
    child.process.wait()
    stop_all([Keeper(child, child.start, threading.Event(), print)], 5)
    assert not is_running(worker)


def test_what_hangs_is_ended_and_started_again(sleeper, keep):
    first = sleeper.pid

    def start(*, is_cancelled):
        sleeper.start()
        return sleeper

    def find_hung(child):
        return {first: "gave no answer"} if child.pid == first else {}

    _, lines = keep(sleeper, start, find_hung)
    wait_until(lambda: sleeper.pid not in {None, first})
    assert any(f"process {first} gave no answer" in line for line in lines)


def test_a_stop_ends_what_does_not_listen(tmp_path):
    deaf = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True);"
        " time.sleep(600)",
    ]
    child = Child("deaf", deaf, tmp_path / "deaf.log", os.environ)
    child.start()
    wait_until(lambda: "deaf" in child.last_lines())
    stop_all([Keeper(child, child.start, threading.Event(), print)], 0.5)
    assert not child.alive


@pytest.fixture
def beats(tmp_path):
    (tmp_path / "run").mkdir()
    environment = replace(read_environment(), home=tmp_path, redis_url=read_environment().redis_url)
    return Beats(
        environment,
        Limits(silent_seconds=0.3, first_sign_seconds=0.6, idle_seconds=5, read_every_seconds=0),
    )


def test_a_web_process_that_touches_its_file_no_more_hangs(sleeper, beats, tmp_path):
    path = web_beat(tmp_path / "run", sleeper.pid)
    path.touch()
    assert beats.hung_web_processes(sleeper) == {}
    wait_until(lambda: sleeper.pid in beats.hung_web_processes(sleeper))
    os.utime(path)  # it answers again, whatever time the file bears
    assert beats.hung_web_processes(sleeper) == {}
    path.unlink()  # never a sign: the longer limit
    wait_until(lambda: sleeper.pid in beats.hung_web_processes(sleeper))


def test_a_worker_hangs_when_its_beat_stands_still_or_its_loop_does(sleeper, beats):
    name = f"worker-test@{socket.gethostname()}"
    with redis.Redis.from_url(read_environment().redis_url) as client:

        def beat(count: int, *, task="", busy=0.0, queues=("default",)):
            write_beat(client, Beat(name, sleeper.pid, queues, count, task, busy, time.time()))

        beat(1)
        assert beats.hung_workers(sleeper) == {}
        wait_until(lambda: "no sign of life" in beats.hung_workers(sleeper).get(sleeper.pid, ""))
        for count, fields, hangs in (
            (2, {}, False),
            (3, {"busy": 9.0}, True),  # waits for work, and its loop does not turn
            (4, {"busy": 9.0, "task": "a look"}, False),
            (5, {"busy": 9e9, "task": "a look"}, True),
            (6, {"busy": 9e9, "task": "a training", "queues": ("train",)}, False),
        ):
            beat(count, **fields)
            assert bool(beats.hung_workers(sleeper)) == hangs, count
        forget_beat(client, name)


def test_without_the_cache_no_worker_is_judged(sleeper, tmp_path):
    away = replace(read_environment(), home=tmp_path, redis_url=f"unix://{tmp_path}/nothing.sock")
    beats = Beats(away, Limits(silent_seconds=0.0, first_sign_seconds=0.0))
    assert beats.hung_workers(sleeper) == {}
    assert beats.hung_workers(sleeper) == {}


@pytest.mark.parametrize(("status", "beats"), [(200, True), (503, False)])
def test_a_web_process_beats_only_while_it_answers(tmp_path, status, beats):
    pinged = asyncio.Event()

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            return
        assert scope["path"] == "/healthz"
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        pinged.set()

    async def live() -> bool:
        stop = asyncio.Event()

        async def receive():
            await stop.wait()
            return {"type": "lifespan.shutdown"}

        async def send(_message):
            return None

        probing = SelfProbing(application, tmp_path)
        living = asyncio.create_task(probing({"type": "lifespan"}, receive, send))
        await asyncio.wait_for(pinged.wait(), 60)
        for _ in range(100):
            await asyncio.sleep(0)
        beats = web_beat(tmp_path, os.getpid()).exists()
        stop.set()
        await living
        return beats

    assert asyncio.run(live()) == beats
    assert not web_beat(tmp_path, os.getpid()).exists()  # ended in good order, it leaves nothing
