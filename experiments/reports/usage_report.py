"""What a project used, as its page shows it: the table's months, pictures, and how quotas stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from bakeoff.accounts.usage import read_usage
from bakeoff.accounts.usage_kinds import begin_of, next_month
from experiments.reports.series_chart import SeriesPoint, draw_series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bakeoff.accounts.models import Project
    from bakeoff.accounts.usage import MonthOfUsage, Usage

MAX_DRAWN = 24  # months of a picture; the table has all


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Usage with its pictures.

    Attributes:
        usage: months, and how quotas stand.
        charts: as SVG: what was counted, and tokens where there are any.
    """

    usage: Usage
    charts: tuple[str, ...]


def report_usage(project: Project, now: datetime) -> UsageReport:
    """Return what a project used until a moment."""
    usage = read_usage(project, now)
    months = usage.months[:MAX_DRAWN][::-1]
    counted = {
        "answers": _("Answers"),
        "events": _("Events"),
        "feedback": _("Feedback"),
        "generations": _("Generations"),
    }
    tokens = {"tokens_in": _("Tokens in"), "tokens_out": _("Tokens out")}
    charts = (_draw(months, counted, _("Usage by month")), _draw(months, tokens, _("Tokens by month")))
    return UsageReport(usage, tuple(chart for chart in charts if chart))


def _draw(months: Sequence[MonthOfUsage], names: Mapping[str, str], label: str) -> str:
    """Return the picture of some counts, a line each; nothing where all are 0."""
    lines = {
        title: [_point(month, getattr(month, name)) for month in months]
        for name, title in names.items()
        if any(getattr(month, name) for month in months)
    }
    if not lines:
        return ""
    start, end = begin_of(months[0].month), begin_of(months[-1].month)
    if start == end:  # a single month is a point at the left of its own span
        end = begin_of(next_month(months[0].month))
    return draw_series(lines, label=label, start=start, end=end)


def _point(month: MonthOfUsage, count: int) -> SeriesPoint:
    return SeriesPoint(begin_of(month.month), count, f"{month.month:%Y-%m}: {count:,}")
