"""Change how many units are kept out of every experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.measure_holdout import measure_holdout
from experiments.models import Experiment, Holdout
from experiments.models.experiment import WrongStateError
from inference.cache import cache_client
from inference.models import Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project


def put_holdout(*, project: Project, share: float, by: str) -> Holdout:
    """Set the holdout's share of all units, and begin to measure it; at share 0 that ends.

    Raises:
        WrongStateError: an experiment runs, and units would leave or enter it.
    """
    with transaction.atomic():
        # A start locks its surface: while all are held here no experiment starts between the question
        # whether one runs and the change. In order of their ids, so that two requests do not wait in a
        # circle; the project's row holds up two requests of a project without surfaces.
        type(project).objects.select_for_update().get(pk=project.pk)
        surfaces = list(Surface.objects.select_for_update().filter(project=project).order_by("pk"))
        before = Holdout.objects.filter(project=project).first()
        running = (
            Experiment.objects.running()
            .filter(project=project)
            .exclude(purpose=Experiment.Purpose.HOLDOUT)
            .first()
        )
        if before is not None and before.share == share:
            return before
        if running is not None and share != (before.share if before is not None else 0.0):
            raise WrongStateError(
                f"experiment '{running.key}' runs: another holdout would take units out of it. Change "
                "it when no experiment runs"
            )
        holdout, _ = Holdout.objects.update_or_create(project=project, defaults={"share": share})
        record_audit(
            project.pk, actor=by, action="holdout", subject=project.slug, detail={"share": share}
        )
        for surface in surfaces:
            measure_holdout(surface=surface)
    announce_change(cache_client())
    return holdout
