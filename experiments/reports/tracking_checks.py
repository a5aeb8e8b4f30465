"""Whether what an experiment needs arrives: the primary's event, and the checks of its first day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import is_slate_fact
from experiments.reports.code_names import name_of
from experiments.reports.event_search import has_event
from experiments.reports.expected_outcomes import MIN_USERS, expect_outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Experiment, Metric
    from experiments.models.served_variant import ServedVariant
    from experiments.reports.breaker_report import BreakerReport
    from experiments.reports.experiment_report import ExperimentReport

MIN_CHECKED = 30  # users before whom a check would only tell chance
MIN_EXPECTED = 5.0  # users that a variant must expect before having none is a sign
SETTLE_SECONDS = 3600.0  # what clients and imports send late has come by then
MAX_ERRORS = 0.01
MAX_FALLBACK = 0.5


@dataclass(frozen=True, slots=True)
class MissingOutcome:
    """A primary metric of which nothing was recorded, although enough users are there.

    Attributes:
        metric: its name.
        event: that it counts.
        users: how many of them had none.
        expected_rate: share of users who were expected to have one.
        is_known: whether earlier users of the surface had it so often; else the share is assumed.
    """

    metric: str
    event: str
    users: int
    expected_rate: float
    is_known: bool


@dataclass(frozen=True, slots=True)
class TrackingCheck:
    """One thing that must be right on the first day.

    Attributes:
        name: what is checked.
        counted: what was seen.
        is_fine: whether it is as it should be.
    """

    name: str
    counted: str
    is_fine: bool


def find_missing_outcome(
    experiment: Experiment, breaker: BreakerReport | None, *, users: int, units: int
) -> MissingOutcome | None:
    """Return the primary metric if nothing of it was recorded; None if something was, or too early.

    Args:
        experiment: any; only a running test lacks outcomes.
        breaker: its report, which counts users with an outcome before their windows are over.
        users: who were exposed; before their windows are over, it is missing only where the project
            recorded no such event of anybody since the start.
        units: who are complete.
    """
    is_running = experiment.state == experiment.State.RUNNING
    if not is_running or experiment.purpose != experiment.Purpose.TEST or users < MIN_USERS:
        return None
    metric = experiment.primary.metric
    spec = spec_of(experiment.primary, experiment)
    event = spec.steps[-1] if spec.steps else spec.event
    if is_slate_fact(event) or count_outcomes(breaker, metric.key):
        return None  # every answer has its facts
    if units >= MIN_USERS and _has_totals(experiment, metric):
        return None
    expected = expect_outcomes(experiment, spec, event)
    silent = units if units >= expected.required_users else users
    if silent < expected.required_users:
        return None
    if silent != units and (
        count_outcomes(breaker, metric.key) is None or not _was_never_sent(experiment, spec, event)
    ):
        return None
    return MissingOutcome(str(metric), event, silent, expected.rate, expected.is_known)


def count_outcomes(breaker: BreakerReport | None, metric: str) -> int | None:
    """Return users with a metric's event, of all variants; None where nothing counts them yet."""
    lines = breaker.lines if breaker is not None else ()
    watched = [line for line in lines if line.about == "event" and line.metric == metric]
    if not watched:
        return None
    return sum(line.treated for line in watched) + watched[0].controlled


def _has_totals(experiment: Experiment, metric: Metric) -> bool:
    """Whether a complete user has an outcome; so it is said of metrics whose totals do not tell."""
    totals = experiment.totals.filter(metric=metric, segment="")
    nonzero: int | None = totals.aggregate(nonzero=Sum("nonzero"))["nonzero"]
    return nonzero != 0


def _was_never_sent(experiment: Experiment, spec: MetricSpec, event: str) -> bool:
    """Whether outcomes count from the exposure on, there was time for one, and nobody had any.

    A rare outcome may be still to come to all users of the experiment: so others' are looked for too.
    """
    start = experiment.started_at
    if spec.delay_seconds or start is None:
        return False
    elapsed = (timezone.now() - start).total_seconds()
    if elapsed < min(spec.complete_after_seconds, SETTLE_SECONDS):
        return False
    return has_event(experiment.project_id, event, since=start) is False


def tracking_checks(report: ExperimentReport, split: str) -> list[TrackingCheck]:
    """Return the checks of the first day, each with what the stored analyses counted.

    Args:
        report: of a test without results.
        split: how users are divided, in words.
    """
    if report.shares_lists or report.users < MIN_CHECKED:
        return []
    checks = []
    if not report.counts_blocks:  # at first there is one block, of one variant; users meet several
        expected = [(row.units, row.expected_share * report.users) for row in report.variants]
        reached = all(units for units, users in expected if users >= MIN_EXPECTED)
        checks.append(TrackingCheck(_("Split between variants"), split, reached))
    outcomes = _check_outcomes(report)
    checks += [outcomes] if outcomes is not None else []
    if not report.counts_blocks:
        count = report.crossover_units
        values = {"count": f"{count:,}", "all": f"{report.users:,}"}
        counted = _("%(count)s of %(all)s users") % values
        checks.append(TrackingCheck(_("Users in both variants"), counted, count == 0))
    served = [row for look in report.looks for row in look.served_variants if row.slates]
    return [*checks, *(_check_serving(served) if served else [])]


def _check_outcomes(report: ExperimentReport) -> TrackingCheck | None:
    metric = report.experiment.primary.metric
    count = count_outcomes(report.breaker, metric.key)
    if count is None or (count == 0 and report.missing_outcome is None):  # too early to tell
        return None
    values = {"users": f"{count:,}", "all": f"{report.users:,}", "metric": str(metric)}
    counted = _("%(users)s of %(all)s users with %(metric)s") % values
    return TrackingCheck(_("Events match users"), counted, count > 0)


def _check_serving(served: Sequence[ServedVariant]) -> list[TrackingCheck]:
    answers = sum(row.slates for row in served)
    failed = round(sum(row.slates * row.errors for row in served))
    values = {"count": f"{failed:,}", "all": f"{answers:,}"}
    counted = _("%(count)s of %(all)s answers") % values
    shares = {
        key: sum(row.slates * row.fallback for row in served if row.variant == key)
        / sum(row.slates for row in served if row.variant == key)
        for key in dict.fromkeys(row.variant for row in served)
    }
    fallbacks = _(", ").join(f"{name_of(key)} {share:.0%}" for key, share in shares.items())
    return [
        TrackingCheck(_("Failed answers"), counted, failed <= MAX_ERRORS * answers),
        TrackingCheck(_("Fallback lists"), fallbacks, max(shares.values()) <= MAX_FALLBACK),
    ]
