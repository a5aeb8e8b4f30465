"""Counts of an experiment before its first results: they show that tracking works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.code_names import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.reports.breaker_report import BreakerLine
    from experiments.reports.experiment_report import ExperimentReport


@dataclass(frozen=True, slots=True)
class LiveCount:
    """One count.

    Attributes:
        name: what is counted.
        counts: by variant, in the report's order; None where it is not counted.
    """

    name: str
    counts: Sequence[int | None]


def read_live_counts(report: ExperimentReport) -> list[LiveCount]:
    """Return users, users with each watched event, and answers, from what is stored."""
    if report.shares_lists:
        return []
    keys = [row.key for row in report.variants]
    rows = [LiveCount(_("Users"), [row.units for row in report.variants])]
    for metric, counts in _outcomes(report).items():
        name = _("Users with %(metric)s") % {"metric": metric}
        rows.append(LiveCount(name, [counts.get(key) for key in keys]))
    served: dict[str, int] = {}
    for look in report.looks:
        for row in look.served_variants:
            served[row.variant] = served.get(row.variant, 0) + row.slates
    if served:
        rows.append(LiveCount(_("Recommendations served"), [served.get(key, 0) for key in keys]))
    return rows


def describe_outcomes(report: ExperimentReport) -> str:
    """Say how many users had the primary metric's event so far, or nothing where none is watched."""
    primary = next((row for row in report.metrics if row.role == "primary"), None)
    counts = _outcomes(report).get(primary.metric_key, {}) if primary is not None else {}
    if primary is None or not counts:
        return ""
    shares = _(", ").join(
        _("%(users)s in %(variant)s") % {"users": f"{count:,}", "variant": name_of(key).lower()}
        for key, count in counts.items()
    )
    values = {"users": f"{sum(counts.values()):,}", "metric": primary.metric, "shares": shares}
    return _("Not judged yet: %(users)s users with %(metric)s (%(shares)s).") % values


def _outcomes(report: ExperimentReport) -> dict[str, dict[str, int]]:
    """Return users with an outcome by metric and variant, as the breaker counts them."""
    lines: Sequence[BreakerLine] = report.breaker.lines if report.breaker is not None else ()
    control = next((row.key for row in report.variants if row.is_control), "")
    counts: dict[str, dict[str, int]] = {}
    for line in lines:
        if line.about == "event":
            row = counts.setdefault(line.metric, {control: line.controlled})
            row[line.variant] = line.treated
    return counts
