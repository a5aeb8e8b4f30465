"""Add a policy's decisions to its running totals, once their time for rewards is over.

Guarantee: after a count that came to its end the totals are those of all decisions that are stored, in
the order of their ids, whatever the order in which decisions and rewards were committed, and besides of
those that retention or the archive took, as they counted then (`keep_counted` runs before either).
What is written late (a spilled decision, a spilled reward) or taken out (an excluded user, an erased
one) lies among what was counted: the count goes back to the last point before it, at most to the
first decision that is still stored. It is found as a roll-up finds what is new, by the ids of
transactions, and what is deleted by a trigger of the database, so a count reads what came since the
last one, not all decisions.

A count reads the transactions below one number, fixed at its beginning, so it ends; what changes
meanwhile waits for the next one, all of it together. Until then the points of the last complete count
stand.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction

from experiments.looks.policy_decisions import (
    counted_since,
    first_changed,
    read_decisions,
    reward_settings,
)
from experiments.looks.policy_points import (
    PolicyPoint,
    add_decisions,
    is_of_now,
    points_before,
    points_from_json,
    with_point,
)
from experiments.metrics.watermark import TransactionRange, read_watermark
from experiments.models import Slate
from experiments.sql import min_uuid7, time_of_uuid7
from inference.models import PolicyCount, Surface
from inference.serving.rank_settings import RankSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

AT_ONCE = 20_000
# An id begins with the time at which a web process made it, and `since` is the database's.
CLOCKS_DIFFER = timedelta(hours=1)
_NOBODY = UUID(int=0)


def count_decisions(surface: Surface) -> bool:
    """Add the next decisions of a surface; return whether there may be more."""
    PolicyCount.objects.get_or_create(surface=surface)
    with transaction.atomic():
        # Held by an erasure, or by another count: the next one will do.
        row = PolicyCount.objects.select_for_update(skip_locked=True).filter(surface=surface).first()
        return row is not None and _count_next(row, surface)


def keep_counted(surface: Surface, bound: UUID) -> None:
    """Count what is about to be deleted for its age, and keep the totals at its end.

    Args:
        surface: which chooses among actions.
        bound: decisions with ids below it go.
    """
    while count_decisions(surface):
        pass
    with transaction.atomic():
        row = PolicyCount.objects.select_for_update().get(surface=surface)
        while _count_next(row, surface):  # another process may have begun one
            pass
        if row.stored_from is None or row.stored_from < bound:
            row.points = [one.as_json() for one in _with_point(row, surface, bound)]
            row.stored_from = bound
            row.save()


def keep_counted_of(bounds: Mapping[int, UUID]) -> None:
    """Do the same for all surfaces of projects, by the projects' bounds."""
    for surface in Surface.objects.filter(project__in=bounds, kind=Surface.Kind.RANK).order_by("pk"):
        keep_counted(surface, bounds[surface.project_id])


def lock_counts(project_id: int) -> None:
    """Hold up counts until rows of users are deleted, in the caller's transaction.

    The trigger on slates then marks from where to count anew, which it can where there is a row.
    """
    surfaces = Surface.objects.filter(project=project_id, kind=Surface.Kind.RANK)
    rows = [PolicyCount(surface=one) for one in surfaces.order_by("pk")]
    PolicyCount.objects.bulk_create(rows, ignore_conflicts=True)
    # In one order, so that of two erasures none waits for the other.
    list(PolicyCount.objects.filter(surface__in=surfaces).order_by("pk").select_for_update())


def _count_next(row: PolicyCount, surface: Surface) -> bool:
    """Add the next decisions to a row that is locked; return whether there may be more."""
    if row.running is None or not is_of_now(row, surface):
        _begin(row, surface)
    points, upper = points_from_json(row.running or []), row.running_upper or 0
    now = datetime.now(UTC)
    decisions = read_decisions(
        surface, row.since, after=_after(row, points), upper=upper, limit=AT_ONCE
    )
    points = add_decisions(points, decisions, stored_from=row.stored_from)
    as_json = [point.as_json() for point in points]
    is_over = len(decisions) < AT_ONCE
    if is_over:
        row.points, row.watermark = as_json, upper
        row.running = row.running_upper = row.running_expected = None
        wait = timedelta(seconds=RankSettings.parse(surface.rank).wait_seconds)
        row.counted_until = now - wait - CLOCKS_DIFFER
    else:
        row.running, row.counted_until = as_json, time_of_uuid7(points[-1].last)
        if row.running_expected is None:
            row.running_expected = _count_stored(surface, points[-1])
    row.save()
    return not is_over


def _begin(row: PolicyCount, surface: Surface) -> None:
    """Begin a count: from the points before everything that changed since the last one."""
    upper = read_watermark()
    if not is_of_now(row, surface):
        row.points = []
        row.since, row.settings = counted_since(surface), reward_settings(surface)
    row.running = [point.as_json() for point in _still_valid(row, surface, upper)]
    row.running_upper, row.running_expected, row.recount_from = upper, None, None


def _still_valid(row: PolicyCount, surface: Surface, upper: int) -> list[PolicyPoint]:
    """Return the points before everything that was written or taken out since the last count."""
    points = points_from_json(row.points)
    if not points:
        return []
    span = TransactionRange(lower=row.watermark, upper=upper)
    changed = first_changed(surface, points[-1].last, span)
    back_to = [one for one in (changed, row.recount_from) if one is not None]
    # What lies further back is not stored any more.
    return points_before(points, max(min(back_to), row.stored_from or _NOBODY)) if back_to else points


def _after(row: PolicyCount, points: list[PolicyPoint]) -> UUID:
    """Return the id that those of the next decisions are above."""
    after = points[-1].last if points else _NOBODY
    if row.since is not None:
        after = max(after, min_uuid7(row.since - CLOCKS_DIFFER))
    return max(after, UUID(int=row.stored_from.int - 1)) if row.stored_from else after


def _with_point(row: PolicyCount, surface: Surface, bound: UUID) -> list[PolicyPoint]:
    points = points_from_json(row.points)
    reached = points_before(points, bound)
    if len(reached) == len(points):
        return points
    while True:
        decisions = read_decisions(
            surface, row.since, after=_after(row, reached), before=bound, upper=row.watermark,
            limit=AT_ONCE,
        )  # fmt: skip
        reached = add_decisions(reached, decisions, stored_from=row.stored_from)
        if len(decisions) < AT_ONCE:
            return with_point(points, reached, bound)


def _count_stored(surface: Surface, point: PolicyPoint) -> int:
    """Return about how many decisions there will be: the next ones may be forced or not over."""
    later = Slate.objects.filter(surface=surface, recommendation_id__gt=point.last)
    return point.total.decisions + later.count()
