"""Kill, freeze, fill and restart under load; then compare what was promised with what is there."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx2

from experiments.ingest.spill import REFUSED
from tests.support.faults.alerting import AlertsUnderFaults
from tests.support.faults.clock import Clock
from tests.support.faults.load import ITEMS, KINDS, Ledger, Load
from tests.support.faults.platform import LARGE_DISK, SMALL_DISK, PlatformUnderTest
from tests.support.faults.queued import QueuedWork

TABLES = {
    "events": ("experiments_event", "event_id"),
    "slates": ("experiments_slate", "recommendation_id::text"),
    "feedback": ("experiments_feedback", "feedback_id"),
}


@dataclass
class Report:
    """Counts of ids, by kind and in all.

    Attributes:
        lost: promised and not there.
        doubled: there more than once.
        unbidden: there without a promise: the answer was lost on its way, or a retry was.
        faults: in their order, each with the answers during it that were spilled or no promise.
        alerts_promised: alerts whose recording was acknowledged; lost: those that no receiver ever got.
        runs_queued: trainings that were asked for while the broker lost its messages.
        runs_ended: the state and the message of each.
    """

    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    unbidden: int = 0
    spilled_answers: int = 0
    put_aside: int = 0
    kills: int = 0
    seconds: float = 0.0
    faults: list[dict[str, int | str]] = field(default_factory=list)
    alerts_promised: int = 0
    alerts_lost: int = 0
    runs_queued: int = 0
    runs_ended: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def runs_ended_well(self) -> int:
        """Trainings that came to an answer."""
        return sum(state in {"passed", "refused"} for state, _ in self.runs_ended)

    def as_json(self) -> dict:
        return asdict(self)


def prepare(platform: PlatformUnderTest) -> None:
    """Make a catalogue and a surface, over the API as anybody would."""
    headers = {"X-API-Key": platform.secret}
    with httpx2.Client(base_url=platform.url, headers=headers, timeout=30) as client:
        items = {"items": [{"item_id": item, "title": f"Item {item}"} for item in ITEMS]}
        assert client.put("/v1/items", json=items).status_code == 200
        surface = {"key": "feed", "static_list": ITEMS}
        assert client.put("/v1/surfaces", json=surface).status_code == 200
        assert client.post("/v1/events", json={"events": past_clicks()}).status_code == 202
        ask = {"surface": "feed", "unit_id": "u", "k": 1}

        def known() -> bool:
            return client.post("/v1/recommend", json=ask).status_code == 200

        platform.until(known, "the surface is known")


def past_clicks() -> list[dict[str, str]]:
    """Clicks of before the load, enough for a training to learn from and to be judged by."""
    chosen = random.Random(1)
    return [
        {"event_id": f"past-{unit}-{item}", "name": "click", "unit_id": f"past-{unit}", "item_id": item}
        for unit in range(60)
        for item in chosen.sample(ITEMS, 8)
    ]


def faults_of(
    platform: PlatformUnderTest, work: QueuedWork, pause: float
) -> list[tuple[str, int, Callable[[], None]]]:
    """Name, number of kills, and what is done, in the order in which it is done."""

    def kill(*names: str) -> tuple[str, int, Callable[[], None]]:
        return f"kill -9 {' + '.join(names)}", len(names), lambda: platform.kill(*names)

    chosen = [
        # First: what was queued must get done through all the others.
        ("lose the broker's messages", 2, work.queue_and_lose),
        ("freeze the worker", 0, lambda: platform.freeze(1 + pause, "worker")),
        kill("web"),
        kill("postgres"),
        kill("valkey"),
        kill("worker"),
        ("kill -9 postgres under a statement", 1, platform.kill_under_a_statement),
        ("log folder gone, kill -9 web", 1, platform.lose_logs),
        # Longer than a commit, and than the sync of a spill, may take.
        ("freeze postgres", 0, lambda: platform.freeze(3 + pause)),
        ("freeze valkey", 0, lambda: platform.freeze(4 + pause, "valkey")),
        ("read-only primary", 0, lambda: platform.refuse_writes(1 + pause)),
        ("missing table", 0, lambda: platform.miss_a_table(1 + pause)),
        kill("postgres", "valkey"),
        kill("postgres", "worker"),
        kill("web", "worker", "postgres", "valkey"),
    ]
    if platform.clock is not None:
        chosen.append(("clock jump", 0, lambda: platform.jump_clock(1 + pause)))
    if platform.has_disk:
        chosen.append(("fill the disk", 0, lambda: platform.fill_disk(3 + pause)))
    return [*chosen, ("restart", 0, platform.restart)]


def conduct(
    home: Path,
    *,
    seconds: float,
    pause: float,
    clients: int = 8,
    think_seconds: float = 0.0,
    interpreter: Path | str = sys.executable,
) -> Report:
    """Run every fault at least once, and go round until the time is over.

    Args:
        home: an empty folder with a short path.
        seconds: how long at least.
        pause: seconds of quiet load between two faults.
        clients: how many visitors.
        think_seconds: what each waits between two requests.
        interpreter: that starts the platform.
    """
    platform = PlatformUnderTest(
        home, disk_megabytes=LARGE_DISK if seconds else SMALL_DISK, interpreter=interpreter
    )
    if Clock.available():
        platform.clock = Clock(home.with_suffix(".clock"))
    report = Report()
    try:
        platform.start()
        prepare(platform)
        load = Load(platform.url, platform.public, clients=clients, think_seconds=think_seconds)
        load.start()
        work, alerts = QueuedWork(platform), AlertsUnderFaults(platform)
        start = time.monotonic()
        rounds = 0
        while not rounds or time.monotonic() - start < seconds:
            for name, kills, act in faults_of(platform, work, pause):
                time.sleep(pause)
                spilled, refused = load.ledger.spilled, sum(load.ledger.refused.values())
                alerts.send()  # its delivery falls into the fault
                act()
                platform.wait_until_ready()
                report.kills += kills
                report.faults.append(
                    {
                        "fault": name,
                        "spilled": load.ledger.spilled - spilled,
                        "refused": sum(load.ledger.refused.values()) - refused,
                    }
                )
                if rounds and time.monotonic() - start >= seconds:
                    break
            rounds += 1
        time.sleep(pause)
        ledger = load.stop()
        report.seconds = time.monotonic() - start
        platform.wait_until_drained()
        report.runs_ended, report.runs_queued = work.wait_until_done(), work.runs
        work.wait_until_everybody_beats()
        received = alerts.wait_until_delivered()
        report.alerts_promised = len(alerts.promised)
        report.alerts_lost = len(alerts.promised - received)
        _compare(platform, ledger, report)
    finally:
        platform.close()
    return report


def _compare(platform: PlatformUnderTest, ledger: Ledger, report: Report) -> None:
    report.refused, report.spilled_answers = ledger.refused, ledger.spilled
    report.unexpected = ledger.unexpected[:20]
    report.put_aside = platform.cache().xlen(REFUSED)
    with platform.database() as connection:
        for kind in KINDS:
            table, column = TABLES[kind]
            rows = connection.execute(f"SELECT {column}, count(*) FROM {table} GROUP BY 1").fetchall()
            stored, promised = dict(rows), ledger.acknowledged[kind]
            counts = {
                "sent": len(ledger.sent[kind]),
                "acknowledged": len(promised),
                "stored": sum(name in stored for name in ledger.sent[kind]),
                "lost": sum(name not in stored for name in promised),
                "doubled": sum(count > 1 for count in stored.values()),
                "unbidden": sum(name in stored for name in ledger.sent[kind] - promised),
            }
            report.by_kind[kind] = counts
            for name, count in counts.items():
                setattr(report, name, getattr(report, name) + count)
