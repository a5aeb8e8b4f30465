"""Tell that a promotion's gain is gone: a holdback acts on nothing by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.alerts.outbox import record_alert
from experiments.reports.holdback_gain import gain_of

if TYPE_CHECKING:
    from experiments.models import Experiment


def notice_lost_gain(experiment: Experiment) -> bool:
    """Alert, once per holdback, in the transaction of the look; return whether it is the first time."""
    if experiment.purpose != experiment.Purpose.HOLDBACK:
        return False
    gain = gain_of(experiment)
    if gain.status != "lost":
        return False
    return record_alert(
        experiment.project_id,
        event="holdback_lost",
        subject=experiment.key,
        summary=f"On surface '{experiment.surface}' {gain.stored}.",
        detail=gain.as_json(),
        path=f"/experiments/{experiment.project.slug}/{experiment.key}/",
        dedupe_key=f"holdback_lost:{experiment.pk}",
    )
