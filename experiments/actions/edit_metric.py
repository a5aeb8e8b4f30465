"""Change a metric that is defined already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.create_metric import CannotCreateError, check_metric, check_scores
from experiments.models import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

# Experiments and reports name a metric by its key, and each kind has fields and policies of its own.
FIXED = ("key", "kind")
# A metric of scores from before its survey was answered in words can still be described and owned.
SCORED = frozenset({"event", "value", "filters"})


def edit_metric(*, metric: Metric, changes: Mapping[str, Any], by: str) -> Metric:
    """Change the named fields of a metric; all others stay.

    What a started experiment counts was fixed at its start and does not change by this.

    Args:
        metric: that is changed.
        changes: values by field.
        by: who.

    Raises:
        CannotCreateError: the fields contradict each other, or the key or the kind would change;
            nothing is changed.
    """
    with transaction.atomic():
        # Two editors follow each other: the rules are checked on what is written.
        locked = Metric.objects.select_for_update().get(pk=metric.pk)
        if why := locked.archived_sentence:
            raise CannotCreateError(why)
        before = {name: getattr(locked, name) for name in changes}
        changed = [name for name, value in changes.items() if before[name] != value]
        for name in FIXED:
            if name in changed:
                raise CannotCreateError(
                    f"{name} == '{changes[name]}', must stay '{before[name]}': create another metric.",
                    field=name,
                )
        for name in changed:
            setattr(locked, name, changes[name])
        spec = check_metric(locked)
        if not SCORED.isdisjoint(changed):
            check_scores(locked, spec)
        if not changed:
            return locked
        locked.save(update_fields=changed)
        record_audit(
            locked.project_id,
            actor=by,
            action="edit metric",
            subject=locked.key,
            detail={"changed": {name: [before[name], changes[name]] for name in changed}},
        )
    return locked
