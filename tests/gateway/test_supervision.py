"""Long-lived work: it fails, it is said, it goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from inference import supervision
from inference.supervision import Supervisor, WorkStatus, keep_thread_running


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(supervision, "MAX_PAUSE_SECONDS", 0.002)


def run_until_third_start(end) -> tuple[Supervisor, WorkStatus]:
    """Start work whose first two lives end as `end` makes them."""

    async def scenario() -> tuple[Supervisor, WorkStatus]:
        supervisor, lives, arrived = Supervisor(), [], asyncio.Event()

        async def work(status: WorkStatus) -> None:
            lives.append(1)
            if len(lives) < 3:
                await end()
                return
            arrived.set()
            await asyncio.Event().wait()

        status = supervisor.start("work", work)
        assert supervisor.start("work", work) is status  # started twice, it runs once
        async with asyncio.timeout(30):
            await arrived.wait()
        await supervisor.stop()
        assert not supervisor.statuses
        return supervisor, status

    return asyncio.run(scenario())


async def fail() -> None:
    raise ValueError("deep JSON")


async def end() -> None:
    return


async def stray_cancellation() -> None:
    raise asyncio.CancelledError


async def too_deep() -> None:
    raise RecursionError


@pytest.mark.parametrize("way", [fail, end, stray_cancellation, too_deep])
def test_work_that_ends_starts_again(way, caplog):
    _, status = run_until_third_start(way)
    assert status.failures == 2
    assert status.last_error
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_work_that_hangs_is_seen_by_its_silence():
    status = WorkStatus("work", max_silence_seconds=30.0)
    assert status.alive
    status._beat_at -= 31
    assert not status.alive
    assert status.as_json()["alive"] is False
    status.beat()
    assert status.alive


def test_a_thread_that_fails_starts_again():
    stopping, lives = threading.Event(), []
    status = WorkStatus("thread")

    def work(_: WorkStatus) -> None:
        lives.append(1)
        if len(lives) == 3:
            stopping.set()
        raise KeyError(len(lives))

    thread = threading.Thread(target=keep_thread_running, args=(status, work, stopping))
    thread.start()
    thread.join(30)
    assert len(lives) == status.failures == 3
