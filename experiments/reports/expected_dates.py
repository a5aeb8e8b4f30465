"""When a ramp's next step and an experiment's verdict are to be expected, at the present pace.

An expectation, not a promise: traffic has nights and weekends. Where no user has come, or where a
person or a guardrail must decide first, there is none.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Experiment
    from experiments.programme.ramp_types import RampNeed, RampState

# A pace of one user a year tells nobody a date.
MAX_AHEAD = timedelta(days=365)


def next_step_at(ramp: RampState | None, now: datetime) -> datetime | None:
    """Return when a ramp's next step is to be expected."""
    if ramp is None or ramp.next_share is None or ramp.held_by or ramp.current.started_at is None:
        return None
    needs = {need.kind: need for need in ramp.needs}
    time_left, users_left = _left(needs.get("time")), _left(needs.get("users"))
    elapsed = (now - ramp.current.started_at).total_seconds()
    return _after(now, time_left, users_left, _pace(ramp.current.users, elapsed))


def verdict_at(experiment: Experiment, ramp: RampState | None, now: datetime) -> datetime | None:
    """Return when a running experiment has its planned users and its minimum duration.

    None while it ramps: how fast users come in afterwards is not known yet.
    """
    if experiment.started_at is None or (ramp is not None and ramp.next_share is not None):
        return None
    policy, look = experiment.parsed_policy, experiment.looks.defer("inputs", "result").last()
    analysed = look.information * policy.planned_units if look is not None else 0.0
    run = (now - experiment.started_at).total_seconds()
    if ramp is not None and ramp.current.started_at is not None:
        # What came in at smaller shares says too little of the last one.
        weights = [one.weight for one in experiment.variants.all() if not one.is_control]
        elapsed = (now - ramp.current.started_at).total_seconds()
        pace = _pace(ramp.current.users / max(min(weights), 1e-9), elapsed)
    else:
        pace = _pace(analysed, run)
    missing = max(policy.planned_units - analysed, 0.0)
    return _after(now, max(policy.required_run_seconds - run, 0.0), missing, pace)


def _left(need: RampNeed | None) -> float:
    if need is None or need.required is None:
        return 0.0
    return max(need.required - (need.actual or 0.0), 0.0)


def _pace(users: float, seconds: float) -> float:
    return users / seconds if seconds > 0 else 0.0


def _after(now: datetime, seconds: float, users: float, pace: float) -> datetime | None:
    """Return when both the time has passed and the users have come; None where that is out of sight."""
    if users > 0:
        if pace * MAX_AHEAD.total_seconds() < users:
            return None
        seconds = max(seconds, users / pace)
    return now + timedelta(seconds=seconds) if seconds <= MAX_AHEAD.total_seconds() else None
