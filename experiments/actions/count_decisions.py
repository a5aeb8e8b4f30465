"""Add a policy's decisions to its running totals, once their time for rewards is over.

Guarantee: after any sequence of counts the totals are those of all decisions that are stored, in the
order of their ids, whatever the order in which decisions and rewards were committed. What is written
late (a spilled decision, a spilled reward) or taken out (an excluded user, an erased one) lies among
what was counted: the count goes back to the last point before it. It is found as a roll-up finds what
is new, by the ids of transactions, so a count reads what came since the last one, not all decisions.
"""

from __future__ import annotations

from datetime import timedelta
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
)
from experiments.metrics.watermark import TransactionRange, read_watermark
from experiments.models import Slate
from experiments.sql import min_uuid7
from inference.models import PolicyCount, Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        if row is None:
            return False
        upper, since = read_watermark(), counted_since(surface)
        points = _still_valid(row, surface, upper) if is_of_now(row, surface) else []
        earliest = min_uuid7(since - CLOCKS_DIFFER) if since is not None else _NOBODY
        after = points[-1].last if points else earliest
        decisions = read_decisions(surface, since, after=after, upper=upper, limit=AT_ONCE)
        row.since, row.settings = since, reward_settings(surface)
        row.points = [point.as_json() for point in add_decisions(points, decisions)]
        row.watermark, row.recount_from = upper, None
        row.save()
    return len(decisions) == AT_ONCE


def recount_without(*, project_id: int, unit_ids: Sequence[str]) -> None:
    """Count anew from the first decision of users whose rows are about to be deleted.

    In the caller's transaction, before it deletes them: a count waits for its end.
    """
    first: dict[int, UUID] = {}
    theirs = Slate.objects.filter(
        project_id=project_id, unit_id__in=unit_ids, surface__kind=Surface.Kind.RANK
    )
    for surface_id, decision in theirs.values_list("surface_id", "recommendation_id"):
        first[surface_id] = min(decision, first.get(surface_id, decision))
    counts = PolicyCount.objects.filter(surface__in=first).order_by("pk").select_for_update()
    for row in counts:
        row.recount_from = min(first[row.surface_id], row.recount_from or first[row.surface_id])
        row.save(update_fields=["recount_from"])


def _still_valid(row: PolicyCount, surface: Surface, upper: int) -> list[PolicyPoint]:
    """Return the points before everything that was written or taken out since the last count."""
    points = [PolicyPoint.of_json(one) for one in row.points]
    if row.recount_from is not None:
        points = points_before(points, row.recount_from)
    if not points:
        return []
    span = TransactionRange(lower=row.watermark, upper=upper)
    changed = first_changed(surface, points[-1].last, span)
    return points if changed is None else points_before(points, changed)
