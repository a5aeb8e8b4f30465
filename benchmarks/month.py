"""A month of one surface under the autopilot alone: visitors of MovieLens-100k, challengers of known quality.

A day lasts seconds. Worker and database are killed with -9 all the time.
"""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.commands.demo import MOVIELENS
from bakeoff.replay.dataset import read_movielens
from benchmarks.results import Row, write_result
from inference.encoders.locate import fetch_from_wheel
from tests.support.month.month import Month, Pace
from tests.support.month.visitors import CLICKS, SURFACE
from tests.support.month.world import Challenger, World

PLAN = (
    Challenger("first", 0.6, "ship"),
    Challenger("worse", 0.1, "roll_back"),
    Challenger("breaks", 0.6, "roll_back", breaks=True),
    Challenger("best", 1.0, "ship"),
    Challenger("former", 0.5, "roll_back"),
    Challenger("breaks-again", 1.0, "roll_back", breaks=True),
    Challenger("popular", 0.3, "roll_back"),
)
PACE = replace(Pace(), planned_units=300, holdback_seconds=30.0)
KILLS = (("worker",), ("postgres",), ("worker", "postgres"))
KILL_EVERY_SECONDS = 18.0


@dataclass(frozen=True)
class Fate:
    """What became of a challenger: `seconds` from its registration to the end of its test."""

    challenger: Challenger
    label: str
    action: str
    reason: str
    champion: str
    seconds: float


class Killer:
    """Kills worker and database in turn, until it is stopped."""

    def __init__(self, month: Month) -> None:
        """Prepare."""
        self._month, self._over, self.kills = month, threading.Event(), 0
        self._thread = threading.Thread(target=self._kill, daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        for names in itertools.cycle(KILLS):
            if self._over.wait(KILL_EVERY_SECONDS):
                return
            self._month.platform.kill(*names)
            self.kills += len(names)


def run(size: str, home: str) -> None:
    plan = PLAN if size == "full" else PLAN[:3]
    place = Path(home) / "h"
    dataset = read_movielens(fetch_from_wheel(*MOVIELENS, Path(home) / "datasets"))
    likes = [(i.unit_id, i.item_id) for i in dataset.interactions if dataset.likes(i)]
    world = World.of_likes([item.item_id for item in dataset.items], likes)
    try:
        with Month(place, world, PACE) as month, Killer(month) as killer:
            _measure(month, killer, plan, size)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _measure(month: Month, killer: Killer, plan: tuple[Challenger, ...], size: str) -> None:
    start = time.monotonic()
    month.call("PATCH", f"/v1/surfaces/{SURFACE}/autopilot", {"refresh": "always"})
    fates = []
    for challenger in plan:
        fates.append(fate := _live_through(month, challenger))
        print(
            f"{fate.challenger.name:>13} {fate.challenger.quality:4.0%} {fate.label:<12} {fate.action:<18}"
            f" champion {fate.champion:<12} {fate.seconds:5.0f} s  {fate.reason}",
            flush=True,
        )
    open_experiments = "SELECT count(*) FROM experiments_experiment WHERE state <> 'ended'"
    month.until(lambda: month.query(open_experiments) == [(0,)], "every holdback has ended")
    seconds = time.monotonic() - start
    ledger = month.visitors.stop()
    month.platform.wait_until_drained()
    stored = {row[0] for row in month.query("SELECT event_id FROM experiments_eventid")}
    right = sum(fate.action == fate.challenger.fate for fate in fates)
    alerts = dict(month.query("SELECT event, count(*) FROM alerts_alert GROUP BY 1 ORDER BY 1"))
    decisions = [(purpose, action) for purpose, _, action, _ in month.decisions()]
    refits = sum(reason.startswith("refit") for *_, reason in month.decisions())
    rows = [
        Row("challengers", len(fates), ""),
        Row("of them with another fate than their quality says", len(fates) - right, "", target="ours <= 0", higher_is_better=False),
        Row("promoted by a test", decisions.count(("test", "ship")), ""),
        Row("promoted as a refit, without a test", refits, "", target="ours >= 1"),
        Row("rolled back", decisions.count(("test", "roll_back")), ""),
        Row("switched off by the breaker", alerts.get("breaker_trip", 0), ""),
        Row("tests that ended with another number of alerts than one", _wrongly_alerted(month), "", target="ours <= 0", higher_is_better=False),
        Row("holdbacks that ended", sum(purpose == "holdback" for purpose, _ in decisions), ""),
        Row("experiments and trainings that wait for ever", _left(month), "", target="ours <= 0", higher_is_better=False),
        Row("processes killed with -9", killer.kills, "kills"),
        Row("slates", ledger.slates, "slates"),
        Row("clicks acknowledged and not stored", len(ledger.events - stored), "clicks", target="ours <= 0", higher_is_better=False),
        Row("the whole month", seconds, "s"),
    ]  # fmt: skip
    write_result("month", size, rows, _tell(month, fates, alerts))


def _live_through(month: Month, challenger: Challenger) -> Fate:
    """Bring a challenger and follow it to its end; after a promotion the schedule refreshes the champion."""
    start = time.monotonic()
    label = month.register(challenger)
    action = month.follow(label, challenger)
    test = month.test_of(label) or {}
    fate = Fate(
        challenger, label, action, str(test.get("reason")), month.champion(), time.monotonic() - start
    )
    if action == "ship":
        month.schedule("endpoint", month.params_of(challenger))
        month.until(lambda: bool(month.refits_of(label)), f"a refit of {label}")
        month.schedule("")
    month.settle()
    return fate


def _wrongly_alerted(month: Month) -> int:
    rows = month.query(
        """SELECT e.id FROM experiments_experiment AS e
        LEFT JOIN alerts_alert AS a ON a.detail ->> 'experiment' = e.key
            AND a.event IN ('verdict', 'breaker_trip')
        WHERE e.purpose = 'test' GROUP BY e.id HAVING count(a.id) <> 1"""
    )
    return len(rows)


def _left(month: Month) -> int:
    month.settle()
    waiting = """SELECT (SELECT count(*) FROM experiments_experiment WHERE state <> 'ended')
        + (SELECT count(*) FROM inference_trainingrun WHERE state IN ('queued', 'running'))"""
    return int(month.query(waiting)[0][0])


def _tell(month: Month, fates: list[Fate], alerts: dict[str, int]) -> str:
    lines = [
        f"| {fate.challenger.name} | {fate.challenger.quality:.0%} | {fate.challenger.fate} | {fate.action} | "
        f"{fate.champion} | {fate.reason} |"
        for fate in fates
    ]
    table = "| challenger | shown items that users like | expected | decision | champion after | reason |\n|---|---|---|---|---|---|\n"
    return (
        f"{len(month.world.likes)} users of MovieLens-100k come again and again, and click {CLICKS:.0%} of what they see and "
        f"went on to like. A holdback lasts {PACE.holdback_seconds:.0f} s, the cool-down {PACE.cooldown_seconds:.0f} s. "
        f"Alerts: {', '.join(f'{event} {count}' for event, count in alerts.items())}.\n\n{table}"
        + "\n".join(lines)
    )
