"""Stop what a surface tests and make a version its champion, in one act.

After a stop alone the loop would start the next challenger before a person could roll back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from experiments.actions.carry_out import Verdict, end_by_verdict
from experiments.actions.promote_version import check_place_of, confirm_champion, make_champion
from experiments.models import Decision, Experiment
from inference.actions.check_servable import check_servable

if TYPE_CHECKING:
    from inference.models import ModelVersion


def stop_and_promote(*, version: ModelVersion, by: str, reason: str) -> Decision:
    """End the surface's running tests without a verdict and move the champion.

    Raises:
        CannotPromoteError: it is the champion already, or a web process cannot serve it: then the
            experiments run on.
    """
    answered = check_servable(version)
    with transaction.atomic():
        running = Experiment.objects.running().tests().filter(surface=version.surface)
        # In one order, so that two such acts wait for each other and do not stand still.
        for experiment in running.select_for_update().order_by("pk"):
            verdict = Verdict(action=Decision.Action.STOP_INCONCLUSIVE, reason=reason)
            end_by_verdict(experiment=experiment, verdict=verdict, by=by, answered={})
        check_place_of(version)
        decision = make_champion(version=version, by=by, reason=reason, answered=answered)
    confirm_champion(decision)
    return decision
