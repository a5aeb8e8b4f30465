"""Give an experiment another name, in any state: nothing that is counted or decided contains it."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.define_experiment import check_name
from experiments.models import Experiment


def rename_experiment(*, experiment: Experiment, name: str, by: str) -> Experiment:
    """Change the name that pages show beside the key; an empty one takes it away.

    Raises:
        CannotDefineError: the name is too long.
    """
    check_name(name)
    with transaction.atomic():
        # Of two who rename at once, the second records the first one's name as the one before.
        locked = Experiment.objects.select_for_update(of=("self",), no_key=True).get(pk=experiment.pk)
        if locked.name == name:
            return locked
        before, locked.name = locked.name, name
        locked.save(update_fields=["name"])
        record_audit(
            locked.project_id,
            actor=by,
            action="rename",
            subject=locked.key,
            detail={"changed": {"name": [before, name]}},
        )
    return locked
