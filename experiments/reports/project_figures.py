"""Figures of a project at a glance: what was decided, how many tests won, what they brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from experiments.models import Decision
from experiments.reports.ends_of_tests import SHIP, read_ends
from experiments.reports.impact import impact_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bakeoff.accounts.models import Project
    from experiments.reports.impact_types import SurfaceImpact

QUARTER, YEAR = timedelta(days=91), timedelta(days=365)
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
    """

    decided: Sequence[str]
    shipped: int
    tested: int
    impact: SurfaceImpact | None

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
    )


def _promotions(impact: SurfaceImpact) -> int:
    return len(impact.promotions)
