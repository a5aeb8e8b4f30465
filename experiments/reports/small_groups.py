"""Leave out of a report what is said of few users: of a small group, each number is nearly a person's.

`BAKEOFF_MIN_GROUP_USERS` says how many a group needs. Looks are stored as they are, since decisions
hash them; what readers see of them is cut here, for page, JSON, files and frozen copies alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from experiments.stats.segments import SegmentEffect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.reports.variant_surveys import SurveyComparison
    from experiments.reports.variant_themes import VariantTheme
    from experiments.stats.srm import SegmentRatio


def min_group_users() -> int:
    """Return how many users a group needs to be shown."""
    users: int = settings.BAKEOFF.min_group_users
    return users


def hide_small_segments(rows: Iterable[SegmentEffect]) -> list[SegmentEffect]:
    """Return effects by segment, without the numbers of those of too few users."""
    minimum = min_group_users()
    why_not = _("fewer than %(minimum)s users") % {"minimum": minimum}
    return [
        SegmentEffect(row.segment, row.variant, why_not=why_not)
        if not row.why_not and row.units < minimum
        else row
        for row in rows
    ]


def hide_small_ratios(rows: Sequence[SegmentRatio]) -> list[SegmentRatio]:
    """Return the segments whose split is off, without those of too few users."""
    return [row for row in rows if sum(row.counts.values()) >= min_group_users()]


def hide_small_themes(rows: Iterable[VariantTheme]) -> list[VariantTheme]:
    """Return the themes of a copy that leaves the platform, without those of few users."""
    minimum = min_group_users()
    return [row for row in rows if row.control_units + row.treatment_units >= minimum]


def hide_small_surveys(surveys: SurveyComparison) -> SurveyComparison:
    """Return the surveys of such a copy, without what few users were asked or answered."""
    minimum = min_group_users()
    return replace(
        surveys,
        answers=[row for row in surveys.answers if row.control_users + row.treatment_users >= minimum],
        responses=[row for row in surveys.responses if row.users >= minimum],
    )
