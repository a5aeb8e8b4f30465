"""What came in each hour, day or week of an experiment, from what its looks have stored.

Guarantees: no query, and at most MAX_STEPS looks are parsed, however many there are and however many
users: a look has the totals up to its time, and what came between two looks is their difference.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Look
    from experiments.stats.look_input import LookInput
    from experiments.stats.totals import Totals

Step = Literal["hour", "day", "week"]
LENGTHS: dict[Step, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
MAX_HOURS, MAX_DAYS = timedelta(days=2), timedelta(days=60)
MAX_STEPS = 60
ANY = (-math.inf, math.inf)
# Of fewer users a mean says nothing, and an event that came late for an earlier one would outweigh it.
MIN_USERS = 10
# Bots that are taken out take their values along: of so many a step's mean is not that of who came.
MAX_TAKEN_OUT = 0.1  # of the step's users


@dataclass(frozen=True, slots=True)
class LookStep:
    """What came in one hour, day or week, by variant.

    Attributes:
        starts_at: its beginning in the reader's time zone.
        users: exposed for the first time; of clusters, clusters.
        analysed: users whose outcome became complete.
        values: change of the primary metric's sum by that of its users: late events of earlier users
            count as well. Missing are variants with fewer than MIN_USERS, with many users taken out,
            or with a mean that no user can have.
    """

    starts_at: datetime
    users: Mapping[str, int]
    analysed: Mapping[str, int]
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a look has in sum, by variant: of complete units n, value and denominator; all exposed."""

    users: Mapping[str, int]
    n: Mapping[str, int]
    value: Mapping[str, float]
    denominator: Mapping[str, float]
    excluded: Mapping[str, int]


def step_of(span: timedelta) -> Step:
    """Return how finely a time is cut: an experiment of two days by hours, one of a year by weeks."""
    if span <= MAX_HOURS:
        return "hour"
    return "day" if span <= MAX_DAYS else "week"


def read_steps(
    looks: Sequence[Look], started_at: datetime, bounds: tuple[float, float] = ANY
) -> tuple[Step, list[LookStep]]:
    """Return what came in each step in which a look was taken, oldest first.

    Args:
        looks: all of an experiment, in order.
        started_at: its start.
        bounds: least and greatest mean that the primary metric can have.
    """
    if not looks:
        return "day", []
    step = step_of(looks[-1].taken_at - started_at)
    last_of: dict[datetime, Look] = {}
    for look in looks:
        last_of[begin_of(look.taken_at, step)] = look
    rows: list[LookStep] = []
    before = _Sums({}, {}, {}, {}, {})
    chosen = list(last_of.items())
    if len(chosen) > MAX_STEPS:  # of a measurement of years: what came before counts as one
        before = _sums_of(chosen[-MAX_STEPS - 1][1].parsed_inputs)
    for starts_at, look in chosen[-MAX_STEPS:]:
        now = _sums_of(look.parsed_inputs)
        rows.append(_difference(starts_at, now, before, bounds))
        before = now
    return step, rows


def begin_of(at: datetime, step: Step) -> datetime:
    """Return the beginning of the hour, day or week of a time; weeks begin on Monday."""
    local = timezone.localtime(at).replace(minute=0, second=0, microsecond=0)
    if step == "hour":
        return local
    day = local.replace(hour=0)
    return day if step == "day" else day - timedelta(days=day.weekday())


def _sums_of(inputs: LookInput) -> _Sums:
    users, excluded = _counts_of(inputs.exposures), _counts_of(inputs.excluded)
    n: dict[str, int] = defaultdict(int)
    value: dict[str, float] = defaultdict(float)
    denominator: dict[str, float] = defaultdict(float)
    primary = inputs.primary
    # Quantiles are sketches, which have no sums. A bandit's metrics wait for the end of its batches.
    epochs = inputs.rewards if inputs.rewards is not None else primary.epochs
    for epoch in () if primary.kind == "quantile" else epochs:
        for key, summary in epoch.items():
            totals = cast("Totals", summary)
            n[key] += totals.n
            value[key] += totals.sum_y
            denominator[key] += totals.sum_d
    if inputs.clusters is not None:
        n = defaultdict(int, inputs.clusters.units)
    return _Sums(users, n, value, denominator, excluded)


def _counts_of(epochs: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for of_epoch, _weights in epochs:
        for key, count in of_epoch.items():
            counts[key] += count
    return counts


def _difference(
    starts_at: datetime, now: _Sums, before: _Sums, bounds: tuple[float, float]
) -> LookStep:
    values = {}
    for key, total in now.denominator.items():
        denominator = total - before.denominator.get(key, 0.0)
        users = now.n[key] - before.n.get(key, 0)
        taken_out = now.excluded.get(key, 0) - before.excluded.get(key, 0)
        if users < MIN_USERS or taken_out > MAX_TAKEN_OUT * users or denominator <= 0:
            continue
        mean = (now.value[key] - before.value.get(key, 0.0)) / denominator
        if bounds[0] <= mean <= bounds[1]:
            values[key] = mean
    return LookStep(
        starts_at=starts_at,
        # Users who are taken out later (bots) may outnumber those who come.
        users={key: max(count - before.users.get(key, 0), 0) for key, count in now.users.items()},
        analysed={key: max(count - before.n.get(key, 0), 0) for key, count in now.n.items()},
        values=values,
    )
