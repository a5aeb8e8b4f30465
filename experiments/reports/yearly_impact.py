"""What a shipped change is worth in a week and in a year, if traffic stays as it was in the test.

The estimate is the adjusted one: a version ships because its estimate was high, so the estimate itself
is too high on average. The interval is that of the test, which holds however often one looked.

Guarantees: nothing is said where no effect is shown, where a metric's differences do not add up over
users (ratios, quantiles, largest values), or where the test is shorter than a week: workdays and
weekends differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from experiments.metrics.freeze import spec_of
from experiments.models import Experiment, Metric
from experiments.reports.remaining import describe_seconds
from experiments.reports.verdict import SHARES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Epoch, ExperimentMetric, Look
    from experiments.reports.comparison_row import ComparisonRow

WEEK = timedelta(days=7)
WEEKS_A_YEAR = 365 / 7
# Modes whose plan and exposures count users, each in one variant.
OF_USERS = {Experiment.Mode.SPLIT, Experiment.Mode.BANDIT}
ADDITIVE = {Metric.Value.COUNT, Metric.Value.SUM, Metric.Value.ITEMS}
DIGITS = 2  # of what is said: more would claim what nobody knows of a year


@dataclass(frozen=True, slots=True)
class YearlyImpact:
    """What a change brings to all users beside the control, in the metric's unit.

    Attributes:
        metric: its name.
        of_users: whether it counts users (a share), and not their events or values.
        users_per_week: exposed in the test, each counted once, scaled to all traffic: after a ramp as
            if its largest share had been in force all the time, which is rather too few than too many.
        per_user: adjusted difference per user.
        low: end of the interval of the difference per user.
        high: the other end.
        window_seconds: how long each user is followed.
        interval_name: what the interval is called.
    """

    metric: str
    of_users: bool
    users_per_week: float
    per_user: float
    low: float
    high: float
    window_seconds: float
    interval_name: str

    @property
    def weekly(self) -> float:
        """Difference in a week."""
        return self.users_per_week * self.per_user

    def yearly(self, per_user: float) -> float:
        """One way to a difference of a year, so that the figures keep their order to the last digit."""
        return self.users_per_week * WEEKS_A_YEAR * per_user

    @property
    def sentence(self) -> str:
        """The difference of a week and of a year, with its interval, in the reader's language."""
        values = {
            "metric": self.metric,
            "week": write_rounded(self.weekly),
            "year": write_rounded(self.yearly(self.per_user)),
            "low": write_rounded(self.yearly(self.low)),
            "high": write_rounded(self.yearly(self.high)),
            "interval": self.interval_name,
        }
        text = _(
            "%(metric)s: about %(week)s a week, %(year)s a year if traffic stays "
            "(%(interval)s: %(low)s to %(high)s a year)."
        )
        if self.of_users:
            text = _(
                "%(metric)s: about %(week)s users a week, %(year)s a year if traffic stays "
                "(%(interval)s: %(low)s to %(high)s a year)."
            )
        return text % values

    @property
    def explanation(self) -> str:
        """How it is calculated."""
        return _(
            "The adjusted estimate per user times about %(users)s users a week: those of the test, "
            "each counted once and for %(window)s, scaled to all traffic. Later visits are not counted."
        ) % {
            "users": write_rounded(self.users_per_week).lstrip("+"),
            "window": describe_seconds(self.window_seconds),
        }

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "metric": self.metric,
            "users_per_week": self.users_per_week,
            "per_week": self.weekly,
            "per_year": self.yearly(self.per_user),
            "ci_per_year": [self.yearly(self.low), self.yearly(self.high)],
        }


def write_rounded(value: float) -> str:
    """Write a signed number with two significant digits: +62,000."""
    if value == 0:
        return "0"
    digits = DIGITS - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:+,.{max(digits, 0)}f}".replace("-", "−")


def yearly_impact_of(
    primary: ExperimentMetric,
    looks: Sequence[Look],
    epochs: Sequence[Epoch],
    row: ComparisonRow | None,
    interval_name: str,
) -> YearlyImpact | None:
    """Return what a shipped change brings; None where nothing honest can be said.

    Args:
        primary: the metric that decided, with its experiment.
        looks: all, in order.
        epochs: in order.
        row: of the shipped treatment on it; None where there is none.
        interval_name: what its interval is called.
    """
    experiment, metric = primary.experiment, primary.metric
    if not experiment.shipped_variant or experiment.mode not in OF_USERS or not looks:
        return None
    adds_up = metric.kind in SHARES or (metric.kind == Metric.Kind.MEAN and metric.value in ADDITIVE)
    if row is None or row.judgement != "better" or row.shrunk is None or not adds_up:
        return None
    low, high = row.interval or (None, None)
    users = _users_per_week(experiment, looks[-1], epochs)
    if low is None or high is None or users is None:
        return None
    return YearlyImpact(
        metric=str(metric),
        of_users=metric.kind in SHARES,
        users_per_week=users,
        # Drawn towards 0, but no farther than the interval goes.
        per_user=min(max(row.shrunk, low), high),
        low=low,
        high=high,
        window_seconds=spec_of(primary, experiment).complete_after_seconds,
        interval_name=interval_name,
    )


def _users_per_week(experiment: Experiment, last: Look, epochs: Sequence[Epoch]) -> float | None:
    """Return users of all traffic that came in a week of the test; None of less than a week."""
    if experiment.started_at is None:
        return None
    run = last.taken_at - experiment.started_at
    if run < WEEK:
        return None
    width = experiment.slot_high - experiment.slot_low if experiment.layer_id is not None else 1.0
    # Users whose window is still open came in the same time: all who were exposed count.
    inputs = last.parsed_inputs
    users = inputs.exposed_units - inputs.crossover_units
    # Each counts once, in the epoch of the first exposure: scaled by the share of that epoch, those who
    # come back would count again among the new ones of the next.
    share = max(epoch.allocation for epoch in epochs) * width
    return users / share / (run / WEEK) or None
