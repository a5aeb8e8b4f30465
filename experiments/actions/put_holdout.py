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
    from collections.abc import Sequence

    from bakeoff.accounts.models import Project


def put_holdout(*, project: Project, share: float, by: str) -> Holdout:
    """Set the holdout's share of all units, and begin to measure it; at share 0 that ends.

    Raises:
        WrongStateError: an experiment runs, and units would leave or enter it.
    """
    with transaction.atomic():
        holdout, surfaces, is_new = _lock(project)
        running = (
            Experiment.objects.running()
            .filter(project=project)
            .exclude(purpose=Experiment.Purpose.HOLDOUT)
            .first()
        )
        if holdout.share == share and not is_new:
            return holdout
        if running is not None and share != holdout.share:
            raise WrongStateError(
                f"experiment '{running.key}' runs: another holdout would take units out of it. Change "
                "it when no experiment runs"
            )
        holdout.share = share
        holdout.save(update_fields=["share"])
        record_audit(
            project.pk, actor=by, action="holdout", subject=project.slug, detail={"share": share}
        )
        for surface in surfaces:
            measure_holdout(surface=surface)
    announce_change(cache_client())
    return holdout


def _lock(project: Project) -> tuple[Holdout, Sequence[Surface], bool]:
    """Return the holdout, locked, the project's surfaces, locked, and whether there was no holdout."""
    holdout, is_new = Holdout.objects.get_or_create(project=project, defaults={"share": 0.0})
    holdout = Holdout.objects.select_for_update().get(pk=holdout.pk)
    # What measures the old share ends below.
    measured = Experiment.objects.running().filter(project=project, purpose=Experiment.Purpose.HOLDOUT)
    list(measured.select_for_update(no_key=True).order_by("pk"))
    # A start locks its surface: while all are held here no experiment starts between the question
    # whether one runs and the change. In order of their ids, so that two requests do not wait in a
    # circle.
    surfaces = Surface.objects.select_for_update(no_key=True).filter(project=project).order_by("pk")
    return holdout, list(surfaces), is_new
