"""The charts of a report, from what its looks have stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.models import Experiment, Metric
from experiments.reports.code_names import name_of
from experiments.reports.day_charts import draw_daily_metric, draw_users
from experiments.reports.effect_chart import TimeMark, draw_effect, far_end, read_path, thin
from experiments.reports.look_days import ANY, LookStep, Step, read_steps
from experiments.reports.remaining import seconds_remaining
from experiments.reports.variant_bars import draw_rates_by_variant, rates_of
from experiments.reports.verdict import SHARES, level_of, word_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Decision, Epoch, Look
    from experiments.reports.chart_frame import Chart

MAX_EFFECTS = 4  # charts of treatments; the table of metrics has all


@dataclass(frozen=True, slots=True)
class StepRow:
    """What came of a variant in one hour, day or week.

    Attributes:
        starts_at: in the reader's time zone; step: hour, day or week.
        variant: its key.
        new_units: exposed for the first time; of clusters, clusters; of interleaved lists, the users of
            all variants. None of a switchback, whose users meet all variants in turn.
        analysed_units: whose outcome became complete.
        value: mean of the primary metric; None where `LookStep` has none.
    """

    starts_at: datetime
    step: Step
    variant: str
    new_units: int | None
    analysed_units: int
    value: float | None


@dataclass(frozen=True, slots=True)
class ReportCharts:
    """What a report draws; each with its table.

    Attributes:
        effects: over time, one per treatment.
        rates: of the variants, now.
        users: that came, by hour, day or week.
        daily: the primary metric of those whose outcome became complete then.
        over_time: the numbers of `users` and `daily`, oldest first.
    """

    effects: Sequence[Chart] = ()
    rates: Chart | None = None
    users: Chart | None = None
    daily: Chart | None = None
    over_time: Sequence[StepRow] = ()


def charts_of(
    experiment: Experiment,
    looks: Sequence[Look],
    decisions: Sequence[Decision],
    models: dict[str, str],
    title: str,
) -> ReportCharts:
    """Return the charts of an experiment; none before its first look.

    Args:
        experiment: whose.
        looks: all, in order.
        decisions: the newest first.
        models: what each variant is, by its key; the control first.
        title: what the primary metric measures.
    """
    if not looks or experiment.started_at is None:
        return ReportCharts()
    metric = experiment.primary.metric
    step, steps = read_steps(looks, experiment.started_at, _bounds_of(metric))
    keys = list(models)
    shares_lists = experiment.mode == Experiment.Mode.INTERLEAVE
    comparisons = looks[-1].parsed_result.of_metric(metric.key)
    named = [(key, name_of(key), about) for key, about in models.items()]
    users = None
    if experiment.mode != Experiment.Mode.SWITCHBACK:  # whose users meet all variants in turn
        clusters = experiment.mode == Experiment.Mode.CLUSTER
        counted = _("New clusters") if clusters else _("New users")
        users = draw_users(steps, step, keys[:1] if shares_lists else keys, title=counted)
    return ReportCharts(
        effects=_draw_effects(experiment, looks, decisions, keys, metric.key, title),
        rates=draw_rates_by_variant(
            rates_of(comparisons, named), title=title, write=lambda value: level_of(metric, value)
        ),
        users=users,
        daily=draw_daily_metric(
            steps, step, keys, title=title, write=lambda value: level_of(metric, value)
        ),
        over_time=[_row_of(one, step, key, experiment.mode) for one in steps for key in keys],
    )


def _row_of(one: LookStep, step: Step, key: str, mode: str) -> StepRow:
    users: int | None = one.users.get(key, 0)
    if mode == Experiment.Mode.INTERLEAVE:  # one exposure stands for all variants
        users = sum(one.users.values())
    elif mode == Experiment.Mode.SWITCHBACK:
        users = None
    return StepRow(one.starts_at, step, key, users, one.analysed.get(key, 0), one.values.get(key))


def _bounds_of(metric: Metric) -> tuple[float, float]:
    """Return the least and the greatest mean that a metric can have; of sums of values nobody knows."""
    if metric.kind in SHARES:
        return 0.0, 1.0
    counts = {Metric.Value.COUNT, Metric.Value.ITEMS}
    return (0.0, math.inf) if metric.kind == Metric.Kind.MEAN and metric.value in counts else ANY


def _draw_effects(
    experiment: Experiment,
    looks: Sequence[Look],
    decisions: Sequence[Decision],
    keys: Sequence[str],
    metric: str,
    title: str,
) -> list[Chart]:
    start, last = experiment.started_at or looks[0].taken_at, looks[-1]
    marks = _epoch_marks(list(experiment.epochs.all()), keys[0])
    marks += _end_marks(experiment, last, next(iter(decisions), None))
    end = max([last.taken_at, *(one.at for one in marks)])
    drawn, treatments = thin(looks), keys[1 : MAX_EFFECTS + 1]
    charts = []
    for key in treatments:
        name = _("Effect over time")
        if len(treatments) > 1:
            name = _("Effect over time: %(variant)s") % {"variant": name_of(key)}
        path = read_path(drawn, metric, key, title)
        charts.append(draw_effect(path, title=name, start=start, end=end, marks=marks))
    return [one for one in charts if one is not None]


def _epoch_marks(epochs: Sequence[Epoch], control: str) -> list[TimeMark]:
    """Return where traffic or split changed, with the share of users who get a treatment from then."""
    shares = ((one, one.allocation * (1.0 - one.weights.get(control, 0.0))) for one in epochs[1:])
    return [TimeMark(one.started_at, "epoch", f"{100 * share:.3g}%") for one, share in shares]


def _end_marks(experiment: Experiment, last: Look, decision: Decision | None) -> list[TimeMark]:
    """Return when it ended, or is expected to."""
    if experiment.ended_at is not None:
        word = word_of(decision.action, is_over=True) if decision is not None else name_of("ended")
        return [TimeMark(experiment.ended_at, "finish", word)]
    latest = far_end(experiment.started_at or last.taken_at, last.taken_at)
    planned = planned_end(experiment, last)
    if planned is None or not last.taken_at < planned <= latest:
        return []
    return [TimeMark(planned, "plan", _("Expected end"))]


def planned_end(experiment: Experiment, last: Look) -> datetime | None:
    """Return when a running experiment is expected to end, at its pace; None where nobody knows."""
    if experiment.purpose != Experiment.Purpose.TEST:
        return experiment.ends_at
    seconds = seconds_remaining(experiment, last)
    # A pace that needs years is none: a date that far has no meaning, and may be none at all.
    if seconds is None or seconds > timedelta(days=3650).total_seconds():
        return None
    return last.taken_at + timedelta(seconds=seconds)
