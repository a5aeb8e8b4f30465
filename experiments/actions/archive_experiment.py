"""Archive an ended experiment, restore it, and write down what was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError

if TYPE_CHECKING:
    from collections.abc import Sequence

# About two printed pages: the report shows them whole.
MAX_LEARNINGS = 5000


def archive_experiment(*, experiment: Experiment, by: str) -> None:
    """Take it out of the list; it stays searchable.

    Raises:
        WrongStateError: it has not ended, or is archived.
    """
    with transaction.atomic():
        locked = _locked(experiment)
        if locked.archived_at is not None:
            raise WrongStateError(f"experiment '{locked.key}' is archived already")
        locked.archived_at = timezone.now()
        _save(locked, ["archived_at"], by=by, action="archive")


def restore_experiment(*, experiment: Experiment, by: str) -> None:
    """Put it back into the list.

    Raises:
        WrongStateError: it is not archived.
    """
    with transaction.atomic():
        locked = _locked(experiment)
        if locked.archived_at is None:
            raise WrongStateError(f"experiment '{locked.key}' is not archived")
        locked.archived_at = None
        _save(locked, ["archived_at"], by=by, action="restore")


def write_learnings(*, experiment: Experiment, learnings: str, by: str) -> None:
    """Save what was learned; the report shows it and the search finds it.

    Raises:
        WrongStateError: it has not ended.
        ValueError: the text is too long.
    """
    if len(learnings) > MAX_LEARNINGS:
        raise ValueError(f"learnings == {len(learnings)} characters, must be at most {MAX_LEARNINGS}.")
    with transaction.atomic():
        locked = _locked(experiment)
        locked.learnings = learnings
        _save(locked, ["learnings"], by=by, action="learn")


def _locked(experiment: Experiment) -> Experiment:
    # Two people may press at once: the second sees what the first has done, and is refused.
    locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
    locked.require(Experiment.State.ENDED)
    return locked


def _save(experiment: Experiment, fields: Sequence[str], *, by: str, action: str) -> None:
    experiment.save(update_fields=fields)
    record_audit(experiment.project_id, actor=by, action=action, subject=experiment.key)
