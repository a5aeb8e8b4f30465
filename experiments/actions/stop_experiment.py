"""Stop an experiment by a person's word: without a verdict, or by shipping a treatment."""

from __future__ import annotations

from bakeoff.accounts.actors import reason_of
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.check_variant import check_variant
from experiments.actions.propose_promotion import HandPromotion, require_second_person
from experiments.models import Decision, Experiment, Proposal
from experiments.models.experiment import WrongStateError


def stop_experiment(*, experiment: Experiment, by: str, reason: str = "") -> Decision:
    """End it; the champion stays.

    Raises:
        WrongStateError: it does not run, or it measures the holdout.
    """
    if experiment.purpose == Experiment.Purpose.HOLDOUT:
        raise WrongStateError(
            f"experiment '{experiment.key}' measures the holdout: set its share to 0 to end it"
        )
    verdict = Verdict(
        action=Decision.Action.STOP_INCONCLUSIVE, reason=reason or reason_of("stopped", by)
    )
    return carry_out(experiment=experiment, verdict=verdict, by=by)


def ship_experiment(
    *, experiment: Experiment, variant: str, by: str, reason: str = "", person: str = ""
) -> Decision:
    """End it and promote one of its variants.

    Args:
        experiment: that runs.
        variant: the key of what is shipped.
        by: who acts, for the audit trail.
        reason: in words.
        person: whose word it is, where two people approve; empty: `by`.

    Raises:
        UnknownVariantError: it has no such variant.
        WrongStateError: it does not run, is no test, or its proposal needs two people.
        AwaitsApprovalError: two people must approve; it is proposed.
        CannotPromoteError: a web process cannot serve the variant's version.
    """
    check_variant(experiment, variant)
    experiment.require_test("be shipped")
    waiting = Proposal.objects.open_now().filter(experiment=experiment, required_approvals__gt=1)
    if (proposal := waiting.first()) is not None:
        raise WrongStateError(
            f"experiment '{experiment.key}' needs two approvals to ship: approve proposal {proposal.pk}"
        )
    reason = reason or reason_of("shipped", by)
    chosen = experiment.variants.select_related("model_version").get(key=variant)
    if not chosen.is_control:  # to stay with what is there is no change
        require_second_person(
            HandPromotion(
                surface=experiment.surface,
                version=chosen.model_version,
                by=by,
                person=person or by,
                reason=reason,
                experiment=experiment,
                variant=variant,
            )
        )
    verdict = Verdict(action=Decision.Action.SHIP, reason=reason, variant=variant)
    return carry_out(experiment=experiment, verdict=verdict, by=by)
