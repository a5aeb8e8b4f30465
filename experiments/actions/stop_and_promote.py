"""Stop what a surface tests and make a version its champion, in one act.

After a stop alone the loop would start the next challenger before a person could roll back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from experiments.actions.carry_out import Verdict, end_by_verdict
from experiments.actions.count_orders import count_before_serving
from experiments.actions.lock_order import lock_surface
from experiments.actions.promote_version import check_place_of, confirm_champion, make_champion
from experiments.actions.propose_promotion import HandPromotion, require_second_person
from experiments.models import Decision, Experiment
from inference.actions.check_servable import check_servable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.models import ModelVersion


def stop_and_promote(*, version: ModelVersion, by: str, reason: str, person: str = "") -> Decision:
    """End the surface's running tests without a verdict and move the champion.

    Args:
        version: the new champion.
        by: who acts, for the audit trail.
        reason: in words.
        person: whose word it is, where two people approve; empty: `by`.

    Raises:
        AwaitsApprovalError: two people must approve; it is proposed, and the experiments run on.
        CannotPromoteError: it is the champion already, or a web process cannot serve it: then the
            experiments run on.
    """
    require_second_person(
        HandPromotion(version.surface, version, by, person or by, reason, stop_experiment=True)
    )
    answered = check_servable(version)
    count_before_serving(versions=[version])
    with transaction.atomic():
        stop_tests(lock_surface(version.surface_id), by=by, reason=reason)
        check_place_of(version)
        decision = make_champion(version=version, by=by, reason=reason, answered=answered)
    confirm_champion(decision)
    return decision


def stop_tests(running: Sequence[Experiment], *, by: str, reason: str) -> None:
    """End tests without a verdict, inside the caller's transaction, which has locked them."""
    for experiment in running:
        if experiment.purpose == Experiment.Purpose.TEST:
            verdict = Verdict(action=Decision.Action.STOP_INCONCLUSIVE, reason=reason)
            end_by_verdict(experiment=experiment, verdict=verdict, by=by, answered={})
