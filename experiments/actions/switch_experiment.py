"""Turn a running experiment off and on again: the kill switch."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import Experiment
from inference.cache import cache_client
from inference.serving.changes import announce_change


def switch(*, experiment: Experiment, enabled: bool, by: str) -> None:
    """Turn a running experiment on or off; while it is off, no unit is in it.

    Done already, it changes nothing.

    Raises:
        WrongStateError: it does not run.
    """
    with transaction.atomic():
        # Against an end at the same time: what has ended is not turned on.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        locked.require(Experiment.State.RUNNING)
        if locked.enabled == enabled:
            return
        locked.enabled = enabled
        locked.save(update_fields=["enabled"])
        record_audit(
            locked.project_id,
            actor=by,
            action="switch on" if enabled else "switch off",
            subject=locked.key,
        )
    announce_change(cache_client())
