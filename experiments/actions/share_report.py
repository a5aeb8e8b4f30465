"""Freeze a copy of a report behind a link, and revoke the link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from experiments.models import ReportShare

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Experiment


@transaction.atomic
def share_report(*, experiment: Experiment, page: str, until: datetime, by: str) -> str:
    """Store a copy of the page; return the link's token, which is not stored."""
    _, token = ReportShare.make(experiment, page=page, by=by, until=until)
    detail = {"until": until.isoformat()}
    record_audit(experiment.project_id, actor=by, action="share", subject=experiment.key, detail=detail)
    return token


@transaction.atomic
def revoke_share(*, share: ReportShare, by: str) -> None:
    """End a link at once; revoked already, nothing changes."""
    # Of two that revoke at once, one writes the audit entry.
    locked = (
        ReportShare.objects.select_for_update(of=("self",))
        .select_related("experiment")
        .get(pk=share.pk)
    )
    if locked.revoked_at is not None:
        return
    locked.revoked_at = timezone.now()
    locked.save(update_fields=["revoked_at"])
    record_audit(
        locked.experiment.project_id,
        actor=by,
        action="revoke share",
        subject=locked.experiment.key,
        detail={"share": locked.pk},
    )
