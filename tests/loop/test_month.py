"""The loop by itself on a running platform: challengers of known quality, and what becomes of each.

The tests follow one another on one platform. A longer story: make bench ONLY=month.
"""

from __future__ import annotations

import pytest

from tests.support.month.month import Month, Pace
from tests.support.month.visitors import SURFACE
from tests.support.month.world import Challenger, World
from tests.support.servers import WARM

# The holdback goes on until the end.
PACE = Pace(planned_units=200, holdback_seconds=3600.0)
BEST = Challenger("best", 1.0, "ship")
BREAKS = Challenger("breaks", 1.0, "roll_back", breaks=True)


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    # The path of a socket is short.
    with Month(tmp_path_factory.mktemp("m") / "h", World.synthetic(), PACE, interpreter=WARM) as month:
        yield month


def test_a_better_challenger_is_champion_through_kills_and_has_its_holdback(month):
    label = month.place(BEST)
    kills = ("worker", "postgres")
    assert month.follow(label, BEST, lambda: month.platform.kill(*kills)) == BEST.fate
    assert month.champion() == label
    assert month.running("holdback") == [f"{SURFACE}-holdback-{label.replace('@', '-')}"]


def test_one_that_breaks_after_its_first_step_is_switched_off_by_the_breaker(month):
    champion = month.champion()
    # No look takes the breaker's place.
    month.change_policy(look_every_seconds=3600.0)
    label = month.place(BREAKS)
    assert month.follow(label, BREAKS) == BREAKS.fate
    assert "'serving-" in month.test_of(label)["reason"]
    assert month.champion() == champion
    assert month.running("test") == []
    month.until(lambda: month.confirmed_by(label), "the web process confirms that it is gone")


def test_a_training_outlives_its_database_and_its_attempt_does_not_count(month):
    """It was given up after three restarts of PostgreSQL, as if it had died by itself."""
    month.change_policy(planned_units=100_000)  # its test begins, and no verdict comes
    month.register(Challenger("late", 0.5, ""), lambda: month.platform.kill("postgres"))
    (attempts,) = month.query("SELECT attempts FROM inference_trainingrun")[0]
    assert attempts == 1


def test_each_test_has_one_decision_and_one_alert(month):
    tests = [action for purpose, _, action, _ in month.decisions() if purpose == "test"]
    assert tests == [BEST.fate, BREAKS.fate]
    alerts = month.query(
        """SELECT event FROM alerts_alert
        WHERE event IN ('verdict', 'breaker_trip', 'halt', 'holdback_lost') ORDER BY id"""
    )
    assert alerts == [("verdict",), ("breaker_trip",)]


def test_nothing_acknowledged_is_lost(month):
    ledger = month.visitors.stop()
    month.platform.wait_until_drained()
    stored = {row[0] for row in month.query("SELECT event_id FROM experiments_eventid")}
    assert ledger.events
    assert ledger.events <= stored
    assert set(ledger.refused) <= {0, 429, 503}
