"""Turn a running experiment off and on again: the kill switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.propose_exposure import Exposure, awaiting, propose_exposure
from experiments.models import Experiment
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Sequence


def switch(
    *,
    experiment: Experiment,
    enabled: bool,
    by: str,
    person: str = "",
    approvals: Sequence[str] = (),
) -> None:
    """Turn a running experiment on or off; while it is off, no unit is in it.

    Done already, it changes nothing. Off waits for nobody.

    Args:
        experiment: that runs.
        enabled: on, or off.
        by: who acts, for the audit trail.
        person: whose word it is, where two people approve; empty: `by`.
        approvals: the people who have approved it, where it was proposed.

    Raises:
        ExposureAwaitsApprovalError: two people must approve that it is turned on; it is proposed.
        WrongStateError: it does not run.
    """
    with transaction.atomic():
        # Against an end at the same time: what has ended is not turned on.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        locked.require(Experiment.State.RUNNING)
        if locked.enabled == enabled:
            return
        proposal = None
        if enabled:
            exposure = Exposure(
                verb="switch on",
                changed={"enabled": (False, True)},
                by=by,
                person=person or by,
                approvals=approvals,
            )
            proposal = propose_exposure(locked, exposure)
        if proposal is None:
            locked.enabled = enabled
            locked.save(update_fields=["enabled"])
            record_audit(
                locked.project_id,
                actor=by,
                action="switch on" if enabled else "switch off",
                subject=locked.key,
            )
    if proposal is not None:
        raise awaiting(proposal)
    announce_change(cache_client())
