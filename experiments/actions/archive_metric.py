"""Archive a metric that nobody uses any more, restore it, or delete one that was never used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from experiments.actions.archive_surface import CannotArchiveError, refuse_used
from experiments.actions.find_uses import uses_of_metric
from experiments.models import Metric

if TYPE_CHECKING:
    from datetime import datetime


def archive_metric(*, metric: Metric, by: str) -> Metric:
    """Take a metric out of lists and forms; ended experiments show it as before.

    Raises:
        CannotArchiveError: it is archived, or in use; the message names by whom.
    """
    with transaction.atomic():
        locked = _locked(metric)
        if locked.archived_at is not None:
            raise CannotArchiveError(f"metric '{locked.key}' is archived already.", code="wrong_state")
        refuse_used(f"metric '{locked.key}'", uses_of_metric(locked))
        return _save(locked, timezone.now(), by=by, action="archive metric")


def restore_metric(*, metric: Metric, by: str) -> Metric:
    """Put an archived metric back.

    Raises:
        CannotArchiveError: it is not archived.
    """
    with transaction.atomic():
        locked = _locked(metric)
        if locked.archived_at is None:
            raise CannotArchiveError(f"metric '{locked.key}' is not archived.", code="wrong_state")
        return _save(locked, None, by=by, action="restore metric")


def delete_metric(*, metric: Metric, by: str) -> None:
    """Delete a metric for good that no experiment has ever had.

    Raises:
        CannotArchiveError: something depends on it: it can be archived.
    """
    with transaction.atomic():
        locked = _locked(metric)
        refuse_used(f"metric '{locked.key}'", uses_of_metric(locked, with_archived=True))
        if locked.experimentmetric_set.exists():
            raise CannotArchiveError(
                f"metric '{locked.key}' has results of experiments: archive it instead, which keeps "
                "them.",
                code="has_history",
            )
        record_audit(locked.project_id, actor=by, action="delete metric", subject=locked.key)
        locked.delete()


def _locked(metric: Metric) -> Metric:
    return Metric.objects.select_for_update().get(pk=metric.pk)


def _save(metric: Metric, archived_at: datetime | None, *, by: str, action: str) -> Metric:
    metric.archived_at = archived_at
    metric.save(update_fields=["archived_at"])
    record_audit(metric.project_id, actor=by, action=action, subject=metric.key)
    return metric
