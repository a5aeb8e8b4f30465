"""Tell that the gain of a promotion is gone, and propose to go back; a holdback does nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import experiment_path
from experiments.actions.close_holdback import recipe_serves
from experiments.actions.propose import ProposalDraft, propose
from experiments.models import Proposal
from experiments.reports.holdback_gain import gain_of

if TYPE_CHECKING:
    from experiments.models import Experiment, Look


def notice_lost_gain(experiment: Experiment, look: Look) -> bool:
    """Alert and propose, once per holdback, in the transaction of the look; return whether it did.

    What people declined is not proposed again.
    """
    if experiment.purpose != experiment.Purpose.HOLDBACK:
        return False
    gain = gain_of(experiment)
    if gain.status != "lost":
        return False
    is_first = record_alert(
        experiment.project_id,
        event="holdback_lost",
        subject=experiment.key,
        summary=f"On surface '{experiment.surface}' {gain.stored}.",
        detail=gain.as_json(),
        path=experiment_path(experiment.project.slug, experiment.key),
        dedupe_key=f"holdback_lost:{experiment.pk}",
    )
    if is_first and recipe_serves(experiment):
        propose(
            ProposalDraft(
                surface=experiment.surface,
                kind=Proposal.Kind.RESTORE,
                reason=gain.stored,
                experiment=experiment,
                version=experiment.control.model_version,
                evidence={"look": look.number, **gain.as_json()},
            )
        )
    return is_first
