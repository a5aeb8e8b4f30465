"""What did all promotions of a project bring? Per surface and month, beside the standing holdout."""

from __future__ import annotations

import csv
import io
import itertools
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.models import Decision, Experiment, Holdout, programme_of
from experiments.reports.autopilot_report import MetricGain
from experiments.reports.chart_texts import translated
from experiments.reports.impact_chart import ImpactPoint, draw_impact
from experiments.reports.impact_types import (
    HoldoutCheck,
    MonthImpact,
    ProjectImpact,
    PromotionImpact,
    SurfaceImpact,
)
from experiments.reports.promotion_history import effect_of, prior_of, read_history
from experiments.stats.cumulative_gain import agrees, lift_of

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project
    from experiments.models import Metric
    from experiments.reports.promotion_history import PromotionHistory
    from experiments.stats.cumulative_gain import LogGain, Prior
    from inference.models import Surface

MAX_MONTHS = 36  # of a chart and its table; what came before is in their first total
COLUMNS = (
    "surface", "metric", "month", "promotions", "gain", "gain_low", "gain_high", "total",
    "total_low", "total_high",
)  # fmt: skip
NOTHING: frozenset[int] = frozenset()


def impact_of(project: Project, now: datetime | None = None) -> ProjectImpact:
    """Read the impact of a project's promotions; sentences of charts in the reader's language."""
    now = now or timezone.now()
    prior = prior_of(project.pk)
    # Where nothing was promoted and no holdout measures there is nothing to say.
    promoted = Exists(Decision.objects.filter(surface=OuterRef("pk"), promoted__isnull=False))
    held_out = Exists(
        Experiment.objects.filter(surface=OuterRef("pk"), purpose=Experiment.Purpose.HOLDOUT)
    )
    surfaces = project.surfaces.exclude(kind="flag").filter(promoted | held_out).order_by("key")
    rows = [_surface_impact(surface, prior, now) for surface in surfaces]
    holdout = Holdout.objects.filter(project=project, share__gt=0).exists()
    return ProjectImpact([row for row in rows if row is not None], prior, holdout)


def gain_since(surface: Surface, since: datetime, now: datetime) -> MetricGain | None:
    """Return what a surface's tested promotions brought since a time; None where there was none."""
    metric = _metric_of(surface)
    if metric is None:
        return None
    history = read_history(surface, metric, prior_of(surface.project_id))
    tested = [one.decision.created_at for one in history.records if one.adjusted is not None]
    if not any(since <= at <= now for at in tested):
        return None
    return MetricGain(metric.key, lift_of(_gain(history, history.at(since), history.at(now))))


def csv_of_impact(impact: ProjectImpact) -> str:
    """Return a row per surface and month."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for surface in impact.surfaces:
        for one in surface.months:
            lifts: list[Any] = []
            for lift in (one.gain, one.total):
                lifts += [lift.estimate, lift.low, lift.high]
            month = f"{one.month:%Y-%m}"
            writer.writerow([surface.surface, surface.metric, month, one.promotions, *lifts])
    return out.getvalue()


def _surface_impact(surface: Surface, prior: Prior, now: datetime) -> SurfaceImpact | None:
    metric = _metric_of(surface)
    if metric is None:
        return None
    history = read_history(surface, metric, prior)
    check = _check(surface, history, now)
    if check is None and not any(record.adjusted for record in history.records):
        return None
    months = _months(history, now)
    return SurfaceImpact(
        surface=surface.key,
        metric=metric.key,
        total=lift_of(_gain(history, NOTHING, history.at(now))),
        promotions=_promotions(history, now),
        months=months,
        holdout=check,
        chart=_chart(months, check, surface.key),
    )


def _metric_of(surface: Surface) -> Metric | None:
    return programme_of(surface).primary_metric or _last_metric(surface)


def _last_metric(surface: Surface) -> Metric | None:
    """Return the primary metric of the last test that shipped, where the programme names none."""
    shipped = Experiment.objects.tests().filter(surface=surface).exclude(shipped_variant="")
    last = shipped.first()
    return last.primary.metric if last is not None else None


def _gain(history: PromotionHistory, before: frozenset[int], after: frozenset[int]) -> LogGain:
    return history.gain(dict.fromkeys(after - before, 1.0) | dict.fromkeys(before - after, -1.0))


def _promotions(history: PromotionHistory, now: datetime) -> list[PromotionImpact]:
    effective = history.at(now)
    return [
        PromotionImpact(
            at=record.decision.created_at,
            promoted=str(record.decision.promoted),
            replaced=str(record.decision.replaced or ""),
            experiment=record.decision.experiment,
            measured=lift_of(record.measured) if record.measured is not None else None,
            adjusted=lift_of(record.adjusted) if record.adjusted is not None else None,
            in_effect=place in effective,
        )
        for place, record in reversed(list(enumerate(history.records)))
    ]


def _months(history: PromotionHistory, now: datetime) -> list[MonthImpact]:
    tested = [one.decision.created_at for one in history.records if one.adjusted is not None]
    if not tested:
        return []
    months, start = [], _first_of_month(min(tested))
    before = history.at(start)
    while start <= now:
        end = _first_of_month(
            datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        )
        after = history.at(min(end, now))
        months.append(
            MonthImpact(
                month=date(start.year, start.month, 1),
                promotions=sum(start <= at < end for at in tested),
                gain=lift_of(_gain(history, before, after)),
                total=lift_of(_gain(history, NOTHING, after)),
            )
        )
        before, start = after, end
    return months[-MAX_MONTHS:]


def _first_of_month(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return datetime(at.year, at.month, 1, tzinfo=UTC)


def _check(surface: Surface, history: PromotionHistory, now: datetime) -> HoldoutCheck | None:
    holdouts = Experiment.objects.filter(surface=surface, purpose=Experiment.Purpose.HOLDOUT)
    for holdout in holdouts.exclude(started_at=None)[:2]:  # the running one, or the last that ended
        measured = effect_of(holdout)
        if measured is None:
            continue
        version = holdout.control.model_version_id
        if version is None:
            return HoldoutCheck(holdout, lift_of(measured), None, None)
        expected = _expected(history, holdout, history.of_version.get(version, NOTHING), now)
        return HoldoutCheck(holdout, lift_of(measured), lift_of(expected), agrees(expected, measured))
    return None


def _expected(
    history: PromotionHistory, holdout: Experiment, held: frozenset[int], now: datetime
) -> LogGain:
    """Return the gain over the held version, averaged over the time of the measurement."""
    start, end = holdout.started_at or now, holdout.ended_at or now
    inner = [at for at, _places in history.moments if start < at < end]
    bounds = [start, *inner, end]
    seconds = max((end - start).total_seconds(), 1e-9)
    weights: dict[int, float] = {}
    for since, until in itertools.pairwise(bounds):
        share, effective = (until - since).total_seconds() / seconds, history.at(since)
        for place in effective - held:
            weights[place] = weights.get(place, 0.0) + share
        for place in held - effective:
            weights[place] = weights.get(place, 0.0) - share
    return history.gain(weights)


def _chart(months: list[MonthImpact], check: HoldoutCheck | None, surface: str) -> str:
    points = [ImpactPoint(f"{one.month:%Y-%m}", one.total) for one in months]
    label = _("Cumulative impact on %(surface)s") % {"surface": surface}
    return draw_impact(
        points, measured=check.measured if check is not None else None, label=label, texts=translated()
    )
