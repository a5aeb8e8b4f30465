"""Figures of a project at a glance: what was decided, how many tests won, what they brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.translation import gettext as _

from experiments.models import Decision, Experiment
from experiments.reports.ends_of_tests import SHIP, read_ends
from experiments.reports.impact import impact_of
from experiments.reports.percentages import percent
from experiments.reports.spark import draw_spark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bakeoff.accounts.models import Project
    from experiments.reports.impact_types import SurfaceImpact

QUARTER, YEAR = timedelta(days=91), timedelta(days=365)
WEEK, WEEKS = timedelta(days=7), 13
# Ways in which a test ends with an answer, or without one.
ENDS = ("ship", "roll_back", "stop_inconclusive", "halt")


@dataclass(frozen=True, slots=True)
class ProjectFigures:
    """Of one project.

    Attributes:
        decided: actions that ended tests in the last 91 days, oldest first.
        shipped: tests of the last 365 days that shipped a challenger.
        tested: that ended at all in them.
        impact: of the surface with most promotions, and their metric; None before the first.
        running: tests that ran at the end of each of the last 13 weeks, the oldest first.
    """

    decided: Sequence[str]
    shipped: int
    tested: int
    impact: SurfaceImpact | None
    running: Sequence[int] = ()

    @property
    def running_drawn(self) -> str:
        """The weeks as a small picture; nothing where no test ran."""
        if not any(self.running):
            return ""
        label = _("Experiments running at the end of each of 13 weeks, at most %(count)s") % {
            "count": max(self.running)
        }
        return draw_spark(self.running, label)

    @property
    def impact_drawn(self) -> str:
        """The impact of all promotions by month, as a small picture; nothing of one month."""
        months = [month.total.estimate for month in self.impact.months] if self.impact else []
        if len(months) < 2:
            return ""
        label = _("Impact of all promotions by month, at last %(total)s") % {
            "total": percent(months[-1])
        }
        return draw_spark(months, label)

    @property
    def win_rate(self) -> float | None:
        """Shipped over tested; None before the first end."""
        return self.shipped / self.tested if self.tested else None


def figures_of(project: Project, now: datetime) -> ProjectFigures:
    """Read the figures of a project."""
    ends = Decision.objects.filter(
        project=project, experiment__purpose="test", action__in=ENDS, created_at__gt=now - YEAR
    )
    last = read_ends(ends)  # a test's last decision is its end
    impacts = impact_of(project, now).surfaces
    return ProjectFigures(
        decided=[action for action, at in last.values() if at > now - QUARTER],
        shipped=sum(action == SHIP for action, _at in last.values()),
        tested=len(last),
        impact=max((one for one in impacts if one.promotions), key=_promotions, default=None),
        running=_running_by_week(project, now),
    )


def _running_by_week(project: Project, now: datetime) -> list[int]:
    spans = list(
        Experiment.objects.tests()
        .filter(Q(ended_at=None) | Q(ended_at__gt=now - QUARTER), project=project)
        .exclude(started_at=None)
        .values_list("started_at", "ended_at")
    )
    ends = [now - WEEK * ago for ago in reversed(range(WEEKS))]
    return [
        sum(start <= end and (stop is None or stop > end) for start, stop in spans if start is not None)
        for end in ends
    ]


def _promotions(impact: SurfaceImpact) -> int:
    return len(impact.promotions)
